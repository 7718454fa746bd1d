//! The bytes below a connection of HTTP/2: what was read before it was known to be one, then the
//! transport, with a look at the frames that pass.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::allowance::Allowance;
use super::frames::{Frames, Seen};
use crate::host::clock;
use crate::proxy::transport::Transport;

/// What was seen of a connection.
#[derive(Debug)]
pub(in crate::proxy) struct Watch {
    /// The client has used up its allowance: nothing more is read.
    flooded: AtomicBool,
    /// The last stream that the other side may have processed; `u32::MAX` before a GOAWAY.
    last_stream: AtomicU32,
}

impl Watch {
    pub(in crate::proxy) fn is_flooded(&self) -> bool {
        self.flooded.load(Relaxed)
    }

    /// Whether the other side has said that it did not process this stream.
    pub(in crate::proxy) fn unprocessed(&self, stream: u32) -> bool {
        stream > self.last_stream.load(Relaxed)
    }

    /// Whether it has said that it takes no more.
    pub(in crate::proxy) fn is_going_away(&self) -> bool {
        self.last_stream.load(Relaxed) != u32::MAX
    }
}

/// A transport that carries HTTP/2.
#[derive(Debug)]
pub(in crate::proxy) struct Io {
    transport: Transport,
    /// Read before, and where the rest of it begins.
    early: (Vec<u8>, usize),
    frames: Frames,
    /// Of a client; a peer was chosen by whoever runs the proxy.
    allowance: Option<Allowance>,
    watch: Arc<Watch>,
}

impl Io {
    /// Of a client, which has already sent `early`, the beginning of its preface.
    pub(in crate::proxy) fn of_client(transport: Transport, early: Vec<u8>) -> Self {
        let allowance = Some(Allowance::new(clock::now()));
        Self::new(transport, early, Frames::behind_preface(), allowance)
    }

    /// Of a peer.
    pub(in crate::proxy) fn of_peer(transport: Transport) -> Self {
        Self::new(transport, Vec::new(), Frames::new(), None)
    }

    fn new(
        transport: Transport,
        early: Vec<u8>,
        frames: Frames,
        allowance: Option<Allowance>,
    ) -> Self {
        transport.send_at_once();
        let watch =
            Watch { flooded: AtomicBool::new(false), last_stream: AtomicU32::new(u32::MAX) };
        Self { transport, early: (early, 0), frames, allowance, watch: Arc::new(watch) }
    }

    pub(in crate::proxy) fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    fn follow(&mut self, bytes: &[u8]) {
        let Self { frames, allowance, watch, .. } = self;
        frames.follow(bytes, |seen| match seen {
            Seen::Frame(frame) => {
                if let Some(allowance) = allowance {
                    allowance.read(frame);
                }
            }
            Seen::GoAway { last_stream } => {
                watch.last_stream.fetch_min(last_stream, Relaxed);
            }
        });
        if allowance.as_mut().is_some_and(|allowance| allowance.is_used_up(clock::now)) {
            watch.flooded.store(true, Relaxed);
        }
    }

    fn wrote(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(length)), Some(allowance)) = (&polled, &mut self.allowance) {
            allowance.wrote(*length);
        }
        polled
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.watch.is_flooded() {
            // The session, which is polling this, looks at the watch and ends the connection.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let (early, at) = &mut this.early;
        if *at < early.len() {
            let length = (early.len() - *at).min(buffer.remaining());
            buffer.put_slice(&early[*at..*at + length]);
            *at += length;
            if *at == early.len() {
                this.early = (Vec::new(), 0);
            }
        } else {
            ready!(this.transport.poll_read(context, buffer))?;
        }
        this.follow(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = self.transport.poll_write(context, [bytes, &[]]);
        self.wrote(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut parts = parts.iter().filter(|part| !part.is_empty());
        let first = parts.next().map_or(&[][..], |part| part);
        let second = parts.next().map_or(&[][..], |part| part);
        let polled = self.transport.poll_write(context, [first, second]);
        self.wrote(polled)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.transport.poll_shutdown(context)
    }
}
