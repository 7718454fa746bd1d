//! Bytes on their way from a socket to who reads them.

use std::io;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::transport::Transport;

/// What a buffer holds when it is first filled: a page's worth of small requests, or a good piece
/// of a large body.
pub(super) const INPUT: usize = 16 << 10;

/// A buffer that is filled at its end and emptied at its start. It has no memory until it is filled.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    /// Always initialised, so that reading into it needs no unsafe code.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// What is in it.
    pub(super) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Whether nothing is in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Takes `length` bytes from its start.
    pub(super) fn consume(&mut self, length: usize) {
        debug_assert!(self.start + length <= self.end);
        self.start += length;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Adds bytes at its end.
    #[cfg(test)]
    fn append(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len(), usize::MAX);
        self.bytes[self.end..][..bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Reads once, up to `most` bytes being in it: how many came, 0 at the end of the connection.
    /// A buffer that is full waits.
    pub(super) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        transport: &mut Transport,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        if self.end == self.bytes.len() {
            self.make_room(1, most);
        }
        if self.end == self.bytes.len() {
            return Poll::Pending;
        }
        let mut room = ReadBuf::new(&mut self.bytes[self.end..]);
        ready!(transport.poll_read(context, &mut room))?;
        let length = room.filled().len();
        self.end += length;
        Poll::Ready(Ok(length))
    }

    /// Makes room for `wanted` bytes behind its content, if `most` allows.
    fn make_room(&mut self, wanted: usize, most: usize) {
        if self.start > 0 && self.end + wanted > self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end + wanted > self.bytes.len() {
            let size = (self.end + wanted).max(self.bytes.len() * 2).max(INPUT);
            self.bytes.resize(size.min(most.max(INPUT)).max(self.bytes.len()), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_and_moves_and_keeps_the_order() {
        let mut buffer = Buffer::default();
        let mut expected = std::collections::VecDeque::new();
        for round in 0..200u32 {
            let piece: Vec<u8> = (0..round * 7 % 999).map(|i| (i + round) as u8).collect();
            buffer.append(&piece);
            expected.extend(piece);
            let taken = expected.len() * (round as usize % 3) / 2;
            let taken = taken.min(expected.len());
            assert!(expected.drain(..taken).eq(buffer.filled()[..taken].iter().copied()));
            buffer.consume(taken);
            assert_eq!(buffer.filled().len(), expected.len());
        }
    }
}
