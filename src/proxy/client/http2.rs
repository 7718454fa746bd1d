//! A request that came as a stream of HTTP/2.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::Response;

use crate::http1::{Fields, HeadError, Limits, RequestHead};
use crate::proxy::http2::{content, convert, io_error};
use crate::proxy::message::{Broken, Piece, ResponseOut};

/// A stream with a request.
pub(in crate::proxy) struct Stream {
    head: RequestHead,
    incoming: content::Incoming,
    answer: SendResponse<Bytes>,
    outgoing: Outgoing,
}

/// How far the response is.
enum Outgoing {
    /// Not begun.
    None,
    /// Its head, kept back: it may be all there is, and gRPC clients tell a head that ends its
    /// stream from one that is followed by an empty end.
    Head(Response<()>),
    /// Its head was sent.
    Body(SendStream<Bytes>),
    /// It has ended, or will not.
    Ended,
}

impl Stream {
    /// A stream whose head is kept in `head`, if that can be said in HTTP/1; else what is wrong
    /// with it, and the way to answer.
    ///
    /// # Errors
    /// What is wrong with the head.
    pub(in crate::proxy) fn new(
        request: http::Request<RecvStream>,
        answer: SendResponse<Bytes>,
        limits: &Limits,
    ) -> Result<Self, (HeadError, SendResponse<Bytes>)> {
        let (parts, body) = request.into_parts();
        let request = http::Request::from_parts(parts, ());
        let mut head = RequestHead::default();
        let has_body = !body.is_end_stream();
        match convert::request_head(&request, has_body, &mut head, limits) {
            Ok(()) => Ok(Self {
                head,
                incoming: content::Incoming::new(body),
                answer,
                outgoing: Outgoing::None,
            }),
            Err(error) => Err((error, answer)),
        }
    }

    pub(super) const fn head(&self) -> &RequestHead {
        &self.head
    }

    pub(super) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        self.incoming.poll(context)
    }

    pub(super) fn content(&self) -> &[u8] {
        self.incoming.content()
    }

    pub(super) fn took(&mut self, length: usize) {
        self.incoming.took(length);
    }

    pub(super) fn take_trailer(&mut self) -> Option<Box<Fields>> {
        self.incoming.take_trailer()
    }

    pub(super) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        match &mut self.outgoing {
            Outgoing::Body(stream) => stream.poll_reset(context).map(drop),
            Outgoing::Ended => Poll::Pending,
            Outgoing::None | Outgoing::Head(_) => self.answer.poll_reset(context).map(drop),
        }
    }

    pub(super) fn start(&mut self, response: &ResponseOut<'_>) {
        let response_head = convert::response(response);
        if response.head.is_interim() {
            // If it cannot be sent, neither can what follows, and that tells.
            drop(self.answer.send_informational(response_head));
        } else {
            self.outgoing = Outgoing::Head(response_head);
        }
    }

    pub(super) fn poll_content(
        &mut self,
        context: &mut Context<'_>,
        content: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.send_head()?;
        match &mut self.outgoing {
            Outgoing::Body(stream) => content::poll_send(stream, context, content),
            _ => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Sends the head, if it was kept back; a body follows.
    fn send_head(&mut self) -> io::Result<()> {
        if !matches!(self.outgoing, Outgoing::Head(_)) {
            return Ok(());
        }
        let Outgoing::Head(head) = std::mem::replace(&mut self.outgoing, Outgoing::Ended) else {
            return Ok(());
        };
        let stream = self.answer.send_response(head, false).map_err(io_error)?;
        self.outgoing = Outgoing::Body(stream);
        Ok(())
    }

    /// An error here is that of a client that has gone, which needs no end.
    pub(super) fn end(&mut self, trailer: Option<&Fields>) {
        if trailer.is_some() {
            drop(self.send_head());
        }
        match std::mem::replace(&mut self.outgoing, Outgoing::Ended) {
            Outgoing::Head(head) => drop(self.answer.send_response(head, true)),
            Outgoing::Body(mut stream) => content::end(&mut stream, trailer),
            Outgoing::None | Outgoing::Ended => {}
        }
    }

    /// What was handed over is on its way as fast as the client takes it.
    pub(super) fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send_head())
    }

    pub(super) fn abort(&mut self) {
        self.outgoing = Outgoing::Ended;
        self.answer.send_reset(Reason::INTERNAL_ERROR);
    }
}
