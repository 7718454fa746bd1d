//! The peer's side of one attempt, whatever protocol it speaks.
//!
//! The request is put together by [`Peer::start`], [`Peer::poll_content`] and [`Peer::end`], and
//! sent by [`Peer::poll_flush`]. Heads are polled for until one is the response, then its body; both
//! go on at the same time, so that a peer may answer before it has read everything. Everything is
//! polled by the one task that serves the request. Dropping a peer gives the exchange up.

pub(super) mod http1;
pub(super) mod http2;
pub(super) mod shared;

use std::io;
use std::task::{Context, Poll};

use super::desk::Sheets;
use super::message::{Broken, Piece, RequestOut};
use crate::http1::{Fields, HeadError, ResponseHead};

/// A peer that has been connected to.
pub(super) enum Peer {
    /// A connection of HTTP/1, used by nobody else meanwhile.
    Http1(Box<http1::Connection>),
    /// A stream on a connection of HTTP/2 that others use too.
    Http2(Box<http2::Stream>),
}

/// Why there is no head.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoHead {
    /// The connection ended or broke before.
    #[error("the connection ended before the head")]
    Closed,
    /// The peer says that it has not begun to process the request (a stream above the last of a
    /// GOAWAY, or REFUSED_STREAM; RFC 9113, 8.7): it may be sent again, whatever it is.
    #[error("the request was not processed")]
    Unprocessed,
    /// It is none, or one of what was not asked for.
    #[error("a malformed head: {0}")]
    Malformed(HeadError),
}

/// Calls the same method of whichever it is.
macro_rules! each {
    ($self:expr, $peer:ident => $call:expr) => {
        match $self {
            Self::Http1($peer) => $call,
            Self::Http2($peer) => $call,
        }
    };
}

impl Peer {
    /// Whether a connection was opened for it.
    pub(super) const fn is_new(&self) -> bool {
        match self {
            Self::Http1(_) => true,
            Self::Http2(peer) => peer.is_new(),
        }
    }

    /// Lends memory to a connection of HTTP/1; one of HTTP/2 has its own.
    pub(super) fn lend(&mut self, sheets: &mut Sheets) {
        if let Self::Http1(peer) = self {
            sheets.lend(&mut peer.wire);
        }
    }

    /// Takes the memory back from one that [is reusable](Self::is_reusable).
    pub(super) fn take_back(&mut self, sheets: &mut Sheets) {
        if let Self::Http1(peer) = self {
            sheets.take_back(&mut peer.wire);
        }
    }

    /// Whether it belongs into the pool when its response has ended. Of HTTP/2: no, a stream
    /// carries one request, and its connection is kept elsewhere.
    pub(super) fn is_reusable(&self) -> bool {
        matches!(self, Self::Http1(peer) if peer.is_reusable())
    }

    /// Whether it is still open and silent while it is in the pool; `context` is woken when that
    /// changes.
    pub(super) fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        match self {
            Self::Http1(peer) => peer.is_idle(context),
            Self::Http2(_) => false,
        }
    }

    /// Begins a request.
    pub(super) fn start(&mut self, request: &RequestOut<'_>) {
        each!(self, peer => peer.start(request));
    }

    /// Takes content of the request: how much, at least a byte. It may be kept back until
    /// [`Self::poll_flush`].
    pub(super) fn poll_content(
        &mut self,
        context: &mut Context<'_>,
        content: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, peer => peer.poll_content(context, content))
    }

    /// The request has ended.
    pub(super) fn end(&mut self, trailer: Option<&Fields>) {
        each!(self, peer => peer.end(trailer));
    }

    /// Sends what was kept back.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, peer => peer.poll_flush(context))
    }

    /// The next head, in `head`. Behind one that is not interim its body follows.
    pub(super) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), NoHead>> {
        each!(self, peer => peer.poll_head(context, head))
    }

    /// The next piece of the response's body.
    pub(super) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        each!(self, peer => peer.poll_body(context))
    }

    /// The content that [`Self::poll_body`] told of.
    pub(super) fn content(&self) -> &[u8] {
        each!(self, peer => peer.content())
    }

    /// `length` bytes of it were passed on.
    pub(super) fn took(&mut self, length: usize) {
        each!(self, peer => peer.took(length));
    }

    /// The trailer section of a body that has ended.
    pub(super) fn take_trailer(&mut self) -> Option<Box<Fields>> {
        each!(self, peer => peer.take_trailer())
    }

    /// Behind a 101: what comes and goes from now on is the content of a tunnel, both ways, and
    /// ends when the peer or [`Self::poll_shutdown`] says so.
    pub(super) fn begin_tunnel(&mut self) {
        if let Self::Http1(peer) = self {
            peer.wire.begin_tunnel();
        }
    }

    /// Tells the peer that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Http1(peer) => peer.wire.transport.poll_shutdown(context),
            // No stream becomes a tunnel.
            Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }
}
