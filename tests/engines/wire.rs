//! One side of a connection, read as far as bytes have come.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use super::problem::{Problem, Tried};

/// A request or a response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The first line, and the fields.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Message {
    /// Word `place` of the first line.
    pub(crate) fn word(&self, place: usize) -> &str {
        self.head.lines().next().and_then(|line| line.split(' ').nth(place)).unwrap_or_default()
    }

    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.trim())
    }

    fn length(&self) -> Option<usize> {
        self.field("content-length").and_then(|length| length.parse().ok())
    }
}

/// A connection with what was read of the next message.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    ended: bool,
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Tried<Self> {
        stream.set_nodelay(true).map_err(Problem::during("cannot set TCP_NODELAY"))?;
        stream.set_nonblocking(true).map_err(Problem::during("cannot set O_NONBLOCK"))?;
        Ok(Self { stream, read: Vec::new(), ended: false })
    }

    pub(crate) fn connect(address: SocketAddr) -> Tried<Self> {
        let stream = TcpStream::connect(address);
        Self::new(stream.map_err(Problem::during(format!("cannot connect to {address}")))?)
    }

    /// Messages here are far smaller than a socket's buffer, so that this never has to wait.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Tried<()> {
        self.stream.write_all(bytes).map_err(Problem::during("cannot write to a connection"))
    }

    /// The body of a response, read to the end of the connection; it may come in chunks, whose sizes
    /// are then among the lines.
    pub(crate) fn whole_response(mut self) -> Tried<Vec<u8>> {
        let failed = || Problem::during("cannot read a response");
        self.stream.set_nonblocking(false).map_err(failed())?;
        let mut all = Vec::new();
        self.stream.read_to_end(&mut all).map_err(failed())?;
        Ok(all)
    }

    /// Reads what there is. A reset is an end like any other.
    pub(crate) fn fill(&mut self) {
        let mut buffer = [0; 8192];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(length) if length > 0 => self.read.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => {
                    self.ended = true;
                    return;
                }
            }
        }
    }

    /// Whether the other side has closed.
    pub(crate) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next request, if it is whole: without a length it has no body.
    pub(crate) fn request(&mut self) -> Option<Message> {
        self.message(Some(0))
    }

    /// The response, if it is whole: without a length, or cut, it goes to the end of the connection.
    pub(crate) fn response(&mut self) -> Option<Message> {
        self.message(None)
    }

    fn message(&mut self, without_length: Option<usize>) -> Option<Message> {
        let head_end = self.read.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&self.read[..head_end]).into_owned();
        let mut message = Message { head, body: Vec::new() };
        let there = self.read.len() - head_end;
        let length = match message.length().or(without_length) {
            Some(length) if length <= there => length,
            _ if self.ended => there,
            _ => return None,
        };
        message.body = self.read[head_end..head_end + length].to_vec();
        self.read.drain(..head_end + length);
        Some(message)
    }
}
