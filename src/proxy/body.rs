//! The body of a request on its way to a peer: held whole if it is small, so that another peer can
//! get it too, or streamed if it is not.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::host::clock;
use crate::units::Nanos;

/// Bodies of a known length up to this are held, in bytes.
pub(super) const HELD_MAX: u64 = 64 * 1024;

/// A request's body towards a peer.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// All of it; `None` once it is handed over.
    Held(Option<Bytes>),
    /// As it comes from the client.
    Streamed(Upload),
}

impl Outgoing {
    /// Holds a small body, after reading it; streams any other.
    ///
    /// # Errors
    /// When the client breaks off while its body is read.
    pub(super) async fn of(body: Incoming) -> Result<Self, hyper::Error> {
        if body.is_end_stream() {
            return Ok(Self::Held(None));
        }
        match body.size_hint().exact() {
            Some(length) if length <= HELD_MAX => {
                Ok(Self::Held(Some(body.collect().await?.to_bytes())))
            }
            _ => Ok(Self::Streamed(Upload { body, progress: Arc::default() })),
        }
    }

    /// Whether another peer can get it too.
    pub(super) const fn is_held(&self) -> bool {
        matches!(self, Self::Held(_))
    }

    /// The same body once more, if it is held.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Held(bytes) => Some(Self::Held(bytes.clone())),
            Self::Streamed(_) => None,
        }
    }

    /// How far a streamed body is; `None` for a held one, which needs nobody's patience.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        match self {
            Self::Held(_) => None,
            Self::Streamed(upload) => Some(Arc::clone(&upload.progress)),
        }
    }
}

/// A streamed body.
#[derive(Debug)]
pub(super) struct Upload {
    body: Incoming,
    progress: Arc<Progress>,
}

/// When a streamed body last moved, and who is waited for, in one word: the instant in
/// nanoseconds, its lowest bit set while the client is waited for.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    fn set(&self, waiting_for_client: bool) {
        let word = (clock::now().0 & !1) | u64::from(waiting_for_client);
        self.0.store(word, Ordering::Relaxed);
    }

    /// The last movement, and whether the client is waited for since then.
    pub(super) fn last(&self) -> (Nanos, bool) {
        let word = self.0.load(Ordering::Relaxed);
        (Nanos(word & !1), word & 1 == 1)
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Held(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed(upload) => {
                let frame = Pin::new(&mut upload.body).poll_frame(context);
                upload.progress.set(frame.is_pending());
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Held(bytes) => bytes.is_none(),
            Self::Streamed(upload) => upload.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Held(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Streamed(upload) => upload.body.size_hint(),
        }
    }
}
