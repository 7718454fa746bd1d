//! Bodies of streams: content and trailers, both ways, no faster than the other side takes them.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use h2::{RecvStream, SendStream};

use super::{CHUNK, convert, io_error};
use crate::http1::{BodyError, Fields};
use crate::proxy::message::{Broken, Piece};

/// A body that comes on a stream.
pub(in crate::proxy) struct Incoming {
    stream: RecvStream,
    /// What came last and is not yet passed on.
    content: Bytes,
    trailer: Option<Box<Fields>>,
    ended: bool,
}

impl Incoming {
    pub(in crate::proxy) const fn new(stream: RecvStream) -> Self {
        Self { stream, content: Bytes::new(), trailer: None, ended: false }
    }

    /// The next piece.
    pub(in crate::proxy) fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Piece, Broken>> {
        while self.content.is_empty() {
            if self.ended {
                return Poll::Ready(Ok(Piece::End));
            }
            match ready!(self.stream.poll_data(context)) {
                Some(content) => self.content = content.map_err(broken)?,
                None => {
                    let trailer = ready!(self.stream.poll_trailers(context)).map_err(broken)?;
                    self.ended = true;
                    self.trailer = match trailer {
                        Some(map) => Some(Box::new(convert::trailer(&map).map_err(malformed)?)),
                        None => None,
                    };
                }
            }
        }
        Poll::Ready(Ok(Piece::Content))
    }

    pub(in crate::proxy) fn content(&self) -> &[u8] {
        &self.content
    }

    /// `length` bytes were passed on: so many more may come.
    pub(in crate::proxy) fn took(&mut self, length: usize) {
        self.content.advance(length);
        // It fails only for more than came.
        drop(self.stream.flow_control().release_capacity(length));
    }

    pub(in crate::proxy) fn take_trailer(&mut self) -> Option<Box<Fields>> {
        self.trailer.take()
    }
}

fn broken(error: h2::Error) -> Broken {
    Broken::Connection(io_error(error))
}

fn malformed(error: crate::http1::HeadError) -> Broken {
    Broken::Malformed(BodyError::Trailer(error))
}

/// Takes of `content` what the other side has room for, at least a byte.
pub(in crate::proxy) fn poll_send(
    stream: &mut SendStream<Bytes>,
    context: &mut Context<'_>,
    content: &[u8],
) -> Poll<io::Result<usize>> {
    let content = &content[..content.len().min(CHUNK)];
    stream.reserve_capacity(content.len());
    // Only news are polled for: what there is already is asked for.
    while stream.capacity() == 0 {
        match ready!(stream.poll_capacity(context)) {
            Some(capacity) => capacity.map(drop).map_err(io_error)?,
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
    let length = content.len().min(stream.capacity());
    let sent = Bytes::copy_from_slice(&content[..length]);
    Poll::Ready(stream.send_data(sent, false).map(|()| length).map_err(io_error))
}

/// Ends what goes on a stream. An error is that of one that has gone, which needs no end.
pub(in crate::proxy) fn end(stream: &mut SendStream<Bytes>, trailer: Option<&Fields>) {
    let trailer = trailer.map(convert::trailer_map).filter(|map| !map.is_empty());
    drop(match trailer {
        Some(map) => stream.send_trailers(map),
        None => stream.send_data(Bytes::new(), true),
    });
}
