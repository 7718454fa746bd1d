//! The body of a response on its way to the client. At its end the attempt is given back and the
//! connection returned; if the client leaves earlier the connection is closed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::connection::Connection;
use super::in_flight::InFlight;
use super::pool::Kept;
use super::worker::Worker;

/// A body towards a client.
pub(super) enum Reply {
    /// What a peer sends.
    Relayed(Box<Relay>),
    /// What the proxy itself says; `None` once it is handed over.
    Own(Option<Bytes>),
}

/// A body from a peer, with what produces it.
pub(super) struct Relay {
    body: Incoming,
    /// Present until the body has ended or broken.
    source: Option<Source>,
    worker: Arc<Worker>,
    /// Whether the peer is waited for.
    waiting: bool,
    /// How the body has broken off, until the server is told.
    failed: Option<BodyError>,
}

struct Source {
    kept: Kept<Connection>,
    /// Dropping it reports the end of the attempt.
    _in_flight: InFlight,
}

impl Relay {
    pub(super) fn new(
        body: Incoming,
        kept: Kept<Connection>,
        in_flight: InFlight,
        worker: Arc<Worker>,
    ) -> Self {
        let source = Some(Source { kept, _in_flight: in_flight });
        Self { body, source, worker, waiting: false, failed: None }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(error) = self.failed.take() {
            return Poll::Ready(Some(Err(error)));
        }
        // Data comes out of the connection, which is polled with the real waker below.
        let mut quiet = Context::from_waker(Waker::noop());
        let mut polled = Pin::new(&mut self.body).poll_frame(&mut quiet);
        if let (Poll::Pending, Some(source)) = (&polled, &mut self.source) {
            source.kept.connection.drive(context);
            polled = Pin::new(&mut self.body).poll_frame(&mut quiet);
        }
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.waiting = false;
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.source = None;
                self.fail(context, BodyError::Broken(error))
            }
            Poll::Ready(None) => {
                self.settle();
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_patience(context).map(|()| {
                self.source = None;
                Some(Err(BodyError::Silent))
            }),
        }
    }

    /// Ends the body with an error, one wake-up later: the server sends what it has of the response
    /// only when it is told to wait, and throws it away with an error.
    fn fail(
        &mut self,
        context: &Context<'_>,
        error: BodyError,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.failed = Some(error);
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready when the peer has been silent for too long.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(source) = &mut self.source else { return Poll::Pending };
        if !std::mem::replace(&mut self.waiting, true) {
            source.kept.connection.wait();
        }
        source.kept.connection.poll_patience(context)
    }

    /// The body was passed on whole: the connection may serve again.
    fn settle(&mut self) {
        if let Some(source) = self.source.take() {
            self.worker.give_back(source.kept);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // The server drops a body that it knows to be complete without asking for its end.
        if self.body.is_end_stream() {
            self.settle();
        }
    }
}

/// Why a response was broken off after its head.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The connection broke or its framing was wrong.
    #[error("the response broke off: {0}")]
    Broken(hyper::Error),
    /// Nothing came for the read time-out.
    #[error("the response stopped coming")]
    Silent,
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Relayed(relay) => relay.poll(context),
            Self::Own(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Relayed(relay) => relay.body.is_end_stream(),
            Self::Own(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Relayed(relay) => relay.body.size_hint(),
            Self::Own(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
        }
    }
}
