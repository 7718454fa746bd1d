//! The bytes below HTTP: TCP, or TLS on it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection to a client or to a peer.
#[derive(Debug)]
pub(super) enum Transport {
    /// As it is.
    Tcp(TcpStream),
}

impl Transport {
    /// Ready when reading would bring something: data, the end, or an error. Needs no buffer, so
    /// that an idle connection holds none.
    pub(super) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
        }
    }

    /// Reads into `buffer`; nothing more in it means the end.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    /// Writes from `parts`, in order, as much as goes at once.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: [&[u8]; 2],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => match parts {
                [only, []] | [[], only] => Pin::new(stream).poll_write(context, only),
                [first, second] => {
                    let parts = [IoSlice::new(first), IoSlice::new(second)];
                    Pin::new(stream).poll_write_vectored(context, &parts)
                }
            },
        }
    }

    /// Ready when everything written is on its way.
    pub(super) fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // TCP keeps nothing back here.
            Self::Tcp(_) => Poll::Ready(Ok(())),
        }
    }

    /// Tells the other side that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    /// Small writes are sent at once from now on: needed where a write may follow another before
    /// the other side has said anything, else the second waits for a delayed acknowledgement.
    pub(super) fn send_at_once(&self) {
        match self {
            // A socket that refuses it is slower, and no less right.
            Self::Tcp(stream) => drop(stream.set_nodelay(true)),
        }
    }

    /// When it is closed, the other side is told that it broke, not that it ended.
    pub(super) fn reset(&self) {
        match self {
            // `set_zero_linger` closes by RST. If it fails the other side hears of an end.
            Self::Tcp(stream) => drop(stream.set_zero_linger()),
        }
    }
}
