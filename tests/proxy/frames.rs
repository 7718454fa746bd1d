//! HTTP/2 frame by frame, so that what no library would send can be sent.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        self.payload[at..].first_chunk().map(|code| u32::from_be_bytes(*code))
    }

    /// The status in a response's HEADERS, as the static table and `h2` write it.
    pub(crate) fn status(&self) -> Option<u16> {
        // Behind changes of the dynamic table's size (RFC 7541, 6.3).
        let start = self.payload.iter().position(|byte| byte & 0xe0 != 0x20)?;
        match (self.kind, &self.payload[start..]) {
            (HEADERS, [index @ 0x88..=0x8e, ..]) => {
                Some([200, 204, 206, 304, 400, 404, 500][usize::from(index - 0x88)])
            }
            // Three digits, as a literal with an indexed name; in Huffman's code all digits of
            // statuses that are answered here take five or six bits.
            (HEADERS, [0x08 | 0x48, rest @ ..]) => literal_status(rest),
            _ => None,
        }
    }
}

fn literal_status(bytes: &[u8]) -> Option<u16> {
    let (first, rest) = bytes.split_first()?;
    let text = rest.get(..usize::from(first & 0x7f))?;
    if first & 0x80 == 0 {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    // RFC 7541, appendix B: '0' to '2' take five bits from 0, '3' to '9' six bits from 0x19.
    let bits: Vec<bool> =
        text.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1)).collect();
    let value = |bits: &[bool]| bits.iter().fold(0u16, |sum, bit| sum << 1 | u16::from(*bit));
    let (mut at, mut status) = (0, 0);
    for _ in 0..3 {
        let five = value(bits.get(at..at + 5)?);
        let (digit, length) =
            if five < 3 { (five, 5) } else { (value(bits.get(at..at + 6)?) - 0x19 + 3, 6) };
        at += length;
        status = status * 10 + digit;
    }
    Some(status)
}

/// A frame to send.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields as HPACK literals without indexing (RFC 7541, 6.2.2), in order, whatever they are.
pub(crate) fn fields(list: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in list {
        block.push(0);
        for text in [name, value] {
            length(text.len(), &mut block);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541, 5.1).
fn length(mut value: usize, block: &mut Vec<u8>) {
    if value < 127 {
        return block.push(value as u8);
    }
    block.push(127);
    value -= 127;
    while value >= 128 {
        block.push((value % 128 + 128) as u8);
        value /= 128;
    }
    block.push(value as u8);
}

/// The pseudo-fields of a GET for `/`.
pub(crate) const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "test")];

/// A GET for `/` on `stream`, with more fields.
pub(crate) fn get(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    let block = fields(&[&GET, more].concat());
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}

/// A connection.
pub(crate) struct Raw(pub(crate) TcpStream);

impl Raw {
    /// Connects, and sends the preface and SETTINGS: no dynamic table, so that every status can be
    /// read by itself.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connected");
        stream.set_nodelay(true).expect("set");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        stream.set_write_timeout(Some(Duration::from_secs(20))).expect("set");
        let mut raw = Self(stream);
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
        raw.send(&frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0])).expect("sent");
        raw
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    /// The next frame; an error at the end of the connection.
    pub(crate) fn next(&mut self) -> io::Result<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head)?;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, l0, l1, l2]) as usize];
        self.0.read_exact(&mut payload)?;
        Ok(Frame { kind, flags, stream: u32::from_be_bytes([s0, s1, s2, s3]), payload })
    }

    /// The next frame that is wanted; others are passed over.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Frame) -> bool) -> io::Result<Frame> {
        loop {
            let frame = self.next()?;
            if wanted(&frame) {
                return Ok(frame);
            }
        }
    }

    /// How the connection ends: the code of its GOAWAY, or `None` if it just ends.
    pub(crate) fn ending(&mut self) -> Option<u32> {
        let mut code = None;
        loop {
            match self.next() {
                Ok(frame) if frame.kind == GOAWAY => code = frame.code(),
                Ok(_) => {}
                Err(error) => {
                    let late =
                        matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut);
                    assert!(!late, "the connection does not end");
                    return code;
                }
            }
        }
    }

    /// What becomes of `stream`: a status, or the code of its reset.
    pub(crate) fn verdict(&mut self, stream: u32) -> Result<u16, u32> {
        let end = self
            .until(|frame| {
                frame.kind == GOAWAY
                    || (frame.stream == stream && matches!(frame.kind, HEADERS | RST_STREAM))
            })
            .expect("an answer");
        match end.status() {
            Some(status) => Ok(status),
            None => Err(end.code().unwrap_or(u32::MAX)),
        }
    }
}
