//! A request to a peer as a stream of HTTP/2.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, SendStream};

use super::NoHead;
use super::shared::Place;
use crate::http1::{BodyError, Fields, Framing, HeadError, Limits, ResponseHead};
use crate::proxy::http2::{content, convert};
use crate::proxy::message::{Broken, Piece, RequestOut};

/// Most of a response's head; the line is the status alone.
const HEAD: Limits = Limits { head: 64 << 10, line: 8 << 10, fields: 256 };

/// A stream of a shared connection. Dropping it before its end resets it (CANCEL); the connection
/// goes on.
pub(in crate::proxy) struct Stream {
    place: Place,
    state: State,
    outgoing: Option<SendStream<Bytes>>,
    incoming: Option<content::Incoming>,
}

enum State {
    /// Nothing was sent yet.
    New,
    /// Waiting for a head.
    Sent(ResponseFuture),
    /// The head was read.
    Answered,
    /// There will be no head.
    Failed(NoHead),
}

impl Stream {
    /// A stream at a place that was found for it.
    pub(in crate::proxy) const fn new(place: Place) -> Self {
        Self { place, state: State::New, outgoing: None, incoming: None }
    }

    pub(super) const fn is_new(&self) -> bool {
        self.place.is_new()
    }

    pub(super) fn start(&mut self, request: &RequestOut<'_>) {
        let ends = request.head.framing() == Framing::None;
        self.state = match convert::request(request, self.place.is_tls()) {
            Err(error) => State::Failed(NoHead::Malformed(error)),
            Ok(out) => match self.place.send(out, ends) {
                Ok((response, stream)) => {
                    self.outgoing = (!ends).then_some(stream);
                    State::Sent(response)
                }
                // A connection that takes no stream has processed none.
                Err(_) => State::Failed(NoHead::Unprocessed),
            },
        };
    }

    pub(super) fn poll_content(
        &mut self,
        context: &mut Context<'_>,
        content: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.outgoing {
            Some(stream) => content::poll_send(stream, context, content),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    pub(super) fn end(&mut self, trailer: Option<&Fields>) {
        if let Some(mut stream) = self.outgoing.take() {
            content::end(&mut stream, trailer);
        }
    }

    /// What was handed over is on its way as fast as the peer takes it.
    pub(super) const fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), NoHead>> {
        match std::mem::replace(&mut self.state, State::Failed(NoHead::Closed)) {
            State::Sent(mut response) => {
                let polled = poll_head(&mut response, context, head);
                match polled {
                    Poll::Ready(Ok(body)) => {
                        self.state = match body {
                            Some(body) => {
                                self.incoming = Some(content::Incoming::new(body));
                                self.place.answered();
                                State::Answered
                            }
                            None => State::Sent(response),
                        };
                        Poll::Ready(Ok(()))
                    }
                    Poll::Ready(Err(error)) => {
                        let stream = response.stream_id().as_u32();
                        Poll::Ready(Err(self.place.judge(error, stream)))
                    }
                    Poll::Pending => {
                        self.state = State::Sent(response);
                        Poll::Pending
                    }
                }
            }
            State::Failed(error) => Poll::Ready(Err(error)),
            State::New | State::Answered => Poll::Ready(Err(NoHead::Closed)),
        }
    }

    pub(super) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        match &mut self.incoming {
            Some(incoming) => incoming.poll(context),
            None => Poll::Ready(Err(Broken::Malformed(BodyError::Incomplete))),
        }
    }

    pub(super) fn content(&self) -> &[u8] {
        self.incoming.as_ref().map_or(&[], content::Incoming::content)
    }

    pub(super) fn took(&mut self, length: usize) {
        if let Some(incoming) = &mut self.incoming {
            incoming.took(length);
        }
    }

    pub(super) fn take_trailer(&mut self) -> Option<Box<Fields>> {
        self.incoming.as_mut()?.take_trailer()
    }
}

/// Why a stream has no head.
pub(super) enum Failure {
    Stream(h2::Error),
    Head(HeadError),
}

/// The next head; with the body that follows it, unless it is interim.
fn poll_head(
    response: &mut ResponseFuture,
    context: &mut Context<'_>,
    head: &mut ResponseHead,
) -> Poll<Result<Option<h2::RecvStream>, Failure>> {
    match ready!(response.poll_informational(context)) {
        Some(Ok(interim)) => {
            convert::response_head(&interim, head, &HEAD).map_err(Failure::Head)?;
            // Nothing is switched to in HTTP/2 (RFC 9113, 8.6).
            let good = head.is_interim();
            return Poll::Ready(if good {
                Ok(None)
            } else {
                Err(Failure::Head(HeadError::StatusLine))
            });
        }
        Some(Err(error)) => return Poll::Ready(Err(Failure::Stream(error))),
        None => {}
    }
    let (parts, body) =
        ready!(Pin::new(response).poll(context)).map_err(Failure::Stream)?.into_parts();
    let response = http::Response::from_parts(parts, ());
    convert::response_head(&response, head, &HEAD).map_err(Failure::Head)?;
    Poll::Ready(Ok(Some(body)))
}

/// Whether the error says that the request was not processed (RFC 9113, 8.7).
pub(super) fn is_refused(error: &h2::Error) -> bool {
    error.is_reset() && error.is_remote() && error.reason() == Some(Reason::REFUSED_STREAM)
}
