//! The bytes below HTTP: TCP, or TLS on it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;

/// A connection to a client or to a peer.
#[derive(Debug)]
pub(super) enum Transport {
    /// As it is.
    Tcp(TcpStream),
    /// Under TLS; which side of it makes no difference.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Transport {
    /// Ready when reading would bring something: data, the end, or an error. Needs no buffer, so
    /// that an idle connection holds none.
    pub(super) fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            // A readable socket may hold a session ticket, which is nothing to read here.
            Self::Tls(stream) => Pin::new(stream).poll_fill_buf(context).map_ok(drop),
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
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }

    /// Writes from `parts`, in order, as much as goes at once.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: [&[u8]; 2],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => poll_write_parts(Pin::new(stream), context, parts),
            Self::Tls(stream) => poll_write_parts(Pin::new(stream), context, parts),
        }
    }

    /// Ready when everything written is on its way.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            // TCP keeps nothing back here.
            Self::Tcp(_) => Poll::Ready(Ok(())),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    /// Tells the other side that nothing more comes.
    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    /// Small writes are sent at once from now on: needed where a write may follow another before
    /// the other side has said anything, else the second waits for a delayed acknowledgement.
    pub(super) fn send_at_once(&self) {
        match self {
            // A socket that refuses it is slower, and no less right.
            Self::Tcp(stream) => drop(stream.set_nodelay(true)),
            Self::Tls(stream) => drop(stream.get_ref().0.set_nodelay(true)),
        }
    }

    /// When it is closed, the other side is told that it broke, not that it ended.
    pub(super) fn reset(&self) {
        match self {
            // `set_zero_linger` closes by RST. If it fails the other side hears of an end.
            Self::Tcp(stream) => drop(stream.set_zero_linger()),
            Self::Tls(stream) => drop(stream.get_ref().0.set_zero_linger()),
        }
    }
}

fn poll_write_parts(
    stream: Pin<&mut impl AsyncWrite>,
    context: &mut Context<'_>,
    parts: [&[u8]; 2],
) -> Poll<io::Result<usize>> {
    match parts {
        [only, []] | [[], only] => stream.poll_write(context, only),
        [first, second] => {
            let parts = [IoSlice::new(first), IoSlice::new(second)];
            stream.poll_write_vectored(context, &parts)
        }
    }
}
