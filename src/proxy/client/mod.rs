//! The client's side of one exchange, whatever protocol it speaks.
//!
//! The request's head is there from the beginning. Its body is polled for, and the response is put
//! together by [`Client::start`], [`Client::poll_content`] and [`Client::end`], and sent by
//! [`Client::poll_flush`]; both go on at the same time. Everything is polled by the one task that
//! serves the request.

pub(super) mod http1;
pub(super) mod http2;

use std::io;
use std::task::{Context, Poll};

use super::count::Protocol;
use super::message::{Broken, Piece, ResponseOut};
use crate::http1::{Fields, RequestHead};

/// A client with a request.
pub(super) enum Client<'a> {
    /// A connection of HTTP/1.
    Http1(&'a mut http1::Connection),
    /// A stream of HTTP/2.
    Http2(&'a mut http2::Stream),
}

/// Calls the same method of whichever it is.
macro_rules! each {
    ($self:expr, $client:ident => $call:expr) => {
        match $self {
            Self::Http1($client) => $call,
            Self::Http2($client) => $call,
        }
    };
}

impl Client<'_> {
    /// What it speaks.
    pub(super) const fn protocol(&self) -> Protocol {
        match self {
            Self::Http1(_) => Protocol::Http1,
            Self::Http2(_) => Protocol::Http2,
        }
    }

    /// The request's head.
    pub(super) fn head(&self) -> &RequestHead {
        each!(self, client => client.head())
    }

    /// The next piece of the request's body.
    pub(super) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        each!(self, client => client.poll_body(context))
    }

    /// The content that [`Self::poll_body`] told of.
    pub(super) fn content(&self) -> &[u8] {
        each!(self, client => client.content())
    }

    /// `length` bytes of it were passed on.
    pub(super) fn took(&mut self, length: usize) {
        each!(self, client => client.took(length));
    }

    /// The trailer section of a body that has ended.
    pub(super) fn take_trailer(&mut self) -> Option<Box<Fields>> {
        each!(self, client => client.take_trailer())
    }

    /// Ready when the client has gone. For when nothing else of it is waited for.
    pub(super) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        each!(self, client => client.poll_gone(context))
    }

    /// Whether the client can be told of a head that is not yet the response (1xx).
    pub(super) fn takes_interim(&self) -> bool {
        match self {
            Self::Http1(client) => client.takes_interim(),
            Self::Http2(_) => true,
        }
    }

    /// Begins the response, or with a 1xx that is not 101, says something before it.
    pub(super) fn start(&mut self, response: &ResponseOut<'_>) {
        each!(self, client => client.start(response));
    }

    /// Takes content of the response: how much, at least a byte. It may be kept back until
    /// [`Self::poll_flush`].
    pub(super) fn poll_content(
        &mut self,
        context: &mut Context<'_>,
        content: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, client => client.poll_content(context, content))
    }

    /// The response has ended.
    pub(super) fn end(&mut self, trailer: Option<&Fields>) {
        each!(self, client => client.end(trailer));
    }

    /// Sends what was kept back.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, client => client.poll_flush(context))
    }

    /// The response will not end: lets the client know in the way of its protocol (HTTP/1: the
    /// connection breaks off; HTTP/2: RST_STREAM).
    pub(super) fn abort(&mut self) {
        each!(self, client => client.abort());
    }

    /// Bytes that were kept back.
    pub(super) fn waiting(&self) -> usize {
        match self {
            Self::Http1(client) => client.wire.waiting(),
            Self::Http2(_) => 0,
        }
    }

    /// Behind a 101: what comes and goes from now on is the content of a tunnel, both ways, and
    /// ends when the client or [`Self::poll_shutdown`] says so.
    pub(super) fn begin_tunnel(&mut self) {
        match self {
            Self::Http1(client) => client.wire.begin_tunnel(),
            // No stream asks for another protocol (RFC 9113, 8.6).
            Self::Http2(_) => {}
        }
    }

    /// Tells the client that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Http1(client) => client.wire.transport.poll_shutdown(context),
            Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }
}
