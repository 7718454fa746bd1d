//! HTTP/1 on a connection, seen from either end: a body that comes, and a message that goes.
//!
//! Everything is polled by the task that serves the request: no task and no channel stands between
//! the two connections of an exchange. Small parts of what goes are gathered, so that a head and its
//! small body leave in one write; large ones are written from where they were read.

use std::io;
use std::task::{Context, Poll, ready};

use super::buffer::Buffer;
use super::message::{Broken, Piece};
use super::transport::Transport;
use crate::http1::{BodyReader, Fields, Framing, Step, chunked};

/// Content up to this is copied behind what already waits to be written.
const GATHERED: usize = 4 << 10;
/// No more than this waits to be written.
const OUTPUT_MAX: usize = 64 << 10;

/// A connection that speaks HTTP/1.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) transport: Transport,
    /// What was read and not yet used.
    pub(super) input: Buffer,
    /// What is to be written.
    pub(super) output: Vec<u8>,
    /// How much of it was.
    written: usize,
    reader: BodyReader,
    /// Content at the start of `input`.
    content: usize,
    /// Whether what goes is chunked.
    chunks: bool,
}

impl Wire {
    pub(super) fn new(transport: Transport) -> Self {
        Self {
            transport,
            input: Buffer::default(),
            output: Vec::new(),
            written: 0,
            reader: BodyReader::default(),
            content: 0,
            chunks: false,
        }
    }

    /// A body framed so begins at the start of the input.
    pub(super) fn read_body(&mut self, framing: Framing) {
        self.reader = BodyReader::new(framing);
        self.content = 0;
    }

    /// What comes and goes from now on is neither framed nor part of a message.
    pub(super) fn begin_tunnel(&mut self) {
        self.read_body(Framing::UntilClose);
        self.chunks = false;
        self.transport.send_at_once();
    }

    /// Whether the body that comes was read to its end.
    pub(super) fn is_read(&self) -> bool {
        self.content == 0 && self.reader.is_ended()
    }

    /// The next piece of the body that comes.
    pub(super) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        while self.content == 0 {
            match self.reader.next(self.input.filled()).map_err(Broken::Malformed)? {
                Step::End { skip } => {
                    self.input.consume(skip);
                    return Poll::Ready(Ok(Piece::End));
                }
                Step::Content { skip, length } => {
                    self.input.consume(skip);
                    self.content = length;
                }
            }
            if self.content == 0 && ready!(self.poll_fill(context, OUTPUT_MAX))? == 0 {
                self.reader.closed().map_err(Broken::Malformed)?;
            }
        }
        Poll::Ready(Ok(Piece::Content))
    }

    /// The content that [`Self::poll_body`] told of.
    pub(super) fn content(&self) -> &[u8] {
        &self.input.filled()[..self.content]
    }

    /// `length` bytes of it were passed on.
    pub(super) fn took(&mut self, length: usize) {
        self.content -= length;
        self.input.consume(length);
        self.reader.took(length);
    }

    pub(super) fn take_trailer(&mut self) -> Option<Box<Fields>> {
        self.reader.take_trailer()
    }

    /// Reads once; 0 is the end of the connection.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        most: usize,
    ) -> Poll<Result<usize, Broken>> {
        self.input.poll_fill(context, &mut self.transport, most).map_err(Broken::Connection)
    }

    /// Ready when the other side has closed, or the connection is broken. What it sends meanwhile
    /// is kept, as far as there is room.
    pub(super) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            match ready!(self.poll_fill(context, super::buffer::INPUT)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// What follows in `output` and [`Self::poll_content`] is a message framed so.
    pub(super) const fn write_body(&mut self, framing: Framing) {
        self.chunks = matches!(framing, Framing::Chunked);
    }

    /// Takes content of the message that goes: how much, at least a byte. It may stay here until
    /// [`Self::poll_flush`].
    pub(super) fn poll_content(
        &mut self,
        context: &mut Context<'_>,
        content: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.chunks {
            if self.waiting() >= GATHERED {
                ready!(self.poll_flush(context))?;
            }
            let content = &content[..content.len().min(OUTPUT_MAX)];
            chunked::write_size(content.len(), &mut self.output);
            self.output.extend_from_slice(content);
            self.output.extend_from_slice(b"\r\n");
            return Poll::Ready(Ok(content.len()));
        }
        if self.waiting() + content.len() <= GATHERED {
            self.output.extend_from_slice(content);
            return Poll::Ready(Ok(content.len()));
        }
        loop {
            let before = self.waiting();
            let parts = [&self.output[self.written..], content];
            let written = ready!(self.transport.poll_write(context, parts))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.wrote(written.min(before));
            if written > before {
                return Poll::Ready(Ok(written - before));
            }
        }
    }

    /// The message that goes has ended.
    pub(super) fn end(&mut self, trailer: Option<&Fields>) {
        if std::mem::take(&mut self.chunks) {
            chunked::write_end(trailer, &mut self.output);
        }
    }

    /// Writes what waits.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.waiting() > 0 {
            let parts = [&self.output[self.written..], &[]];
            match ready!(self.transport.poll_write(context, parts))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.wrote(written),
            }
        }
        self.transport.poll_flush(context)
    }

    /// Bytes that wait to be written.
    pub(super) const fn waiting(&self) -> usize {
        self.output.len() - self.written
    }

    fn wrote(&mut self, length: usize) {
        self.written += length;
        if self.written == self.output.len() {
            self.output.clear();
            self.written = 0;
        }
    }
}
