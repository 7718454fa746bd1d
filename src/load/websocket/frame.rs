//! Frames and messages of WebSocket (RFC 6455, 5), as a client writes and reads them.

const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;
/// A longer message is no echo of ours.
const LONGEST: usize = 64 << 20;

/// A whole message with `payload`, as text where it is text.
pub(super) fn message(payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let opcode = if std::str::from_utf8(payload).is_ok() { TEXT } else { BINARY };
    frame(opcode, payload, mask)
}

/// The answer to a ping.
pub(super) fn pong(content: &[u8], mask: [u8; 4]) -> Vec<u8> {
    frame(PONG, content, mask)
}

fn frame(opcode: u8, payload: &[u8], mask: [u8; 4]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    bytes.push(FINAL | opcode);
    match payload.len() {
        length @ ..126 => bytes.push(MASKED | length as u8),
        length @ ..=0xFFFF => {
            bytes.push(MASKED | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            bytes.push(MASKED | 127);
            bytes.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    bytes.extend_from_slice(&mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A whole message.
    Message(Vec<u8>),
    /// To be answered with the same content.
    Ping(Vec<u8>),
    /// It wants to go.
    Close,
}

/// Not what a server may send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// Puts messages together from what comes.
#[derive(Debug)]
pub(super) struct Messages {
    buffer: Vec<u8>,
    /// The message of which not all frames have come.
    begun: Option<Vec<u8>>,
}

impl Messages {
    /// `buffer` came behind the handshake.
    pub(super) const fn new(buffer: Vec<u8>) -> Self {
        Self { buffer, begun: None }
    }

    /// Where what comes is appended.
    pub(super) const fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// What is complete; `None` if more must come.
    pub(super) fn next(&mut self) -> Result<Option<Event>, Broken> {
        while let Some((first, head, length)) = self.head()? {
            if self.buffer.len() < head + length {
                return Ok(None);
            }
            let payload = self.buffer[head..head + length].to_vec();
            self.buffer.drain(..head + length);
            if let Some(event) = self.take(first, payload)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The first byte of a frame, the length of its head, and that of its payload.
    fn head(&self) -> Result<Option<(u8, usize, usize)>, Broken> {
        let [first, second, rest @ ..] = &*self.buffer else { return Ok(None) };
        // No extension was agreed on, and a server does not mask.
        if first & 0x70 != 0 || second & MASKED != 0 {
            return Err(Broken);
        }
        let (head, length) = match (second, rest) {
            (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
            (127, [a, b, c, d, e, f, g, h, ..]) => {
                let length = u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]);
                (10, usize::try_from(length).map_err(|_| Broken)?)
            }
            (126 | 127, _) => return Ok(None),
            (short, _) => (2, usize::from(*short)),
        };
        if length > LONGEST { Err(Broken) } else { Ok(Some((*first, head, length))) }
    }

    fn take(&mut self, first: u8, payload: Vec<u8>) -> Result<Option<Event>, Broken> {
        let is_final = first & FINAL != 0;
        let message = match (first & 0x0F, self.begun.take()) {
            (TEXT | BINARY, None) => payload,
            (CONTINUATION, Some(mut begun)) => {
                begun.extend(payload);
                begun
            }
            // Control frames come between those of a message, whole and short.
            (opcode @ (CLOSE | PING | PONG), begun) if is_final && payload.len() < 126 => {
                self.begun = begun;
                return Ok(match opcode {
                    CLOSE => Some(Event::Close),
                    PING => Some(Event::Ping(payload)),
                    _ => None,
                });
            }
            _ => return Err(Broken),
        };
        if message.len() > LONGEST {
            return Err(Broken);
        }
        if is_final {
            return Ok(Some(Event::Message(message)));
        }
        self.begun = Some(message);
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a server sends it: not masked.
    fn served(first: u8, payload: &[u8]) -> Vec<u8> {
        let masked = frame(0, payload, [0; 4]);
        let head = masked.len() - payload.len() - 4;
        let mut bytes = [&masked[..head], payload].concat();
        bytes[0] = first;
        bytes[1] &= !MASKED;
        bytes
    }

    #[test]
    fn a_frame_of_the_standard_is_written_to_the_byte() {
        // RFC 6455, 5.7: a single-frame masked text message of "Hello".
        let hello = message(b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        let standard = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        assert_eq!(hello, standard);
        assert_eq!(message(&[0xFF], [0; 4])[0], FINAL | BINARY);
    }

    #[test]
    fn messages_come_whole_however_their_bytes_arrive() {
        let long = vec![b'x'; 70_000];
        let middle = vec![b'y'; 300];
        let bytes = [
            served(TEXT, b"Hel"),
            served(FINAL | PING, b"still there?"),
            served(FINAL | CONTINUATION, b"lo"),
            served(FINAL | PONG, b""),
            served(FINAL | BINARY, &middle),
            served(FINAL | TEXT, &long),
            served(FINAL | CLOSE, &[]),
        ]
        .concat();
        let expected = [
            Event::Ping(b"still there?".to_vec()),
            Event::Message(b"Hello".to_vec()),
            Event::Message(middle),
            Event::Message(long),
            Event::Close,
        ];
        for step in [1, 7, 4096, bytes.len()] {
            let mut messages = Messages::new(Vec::new());
            let mut events = Vec::new();
            for piece in bytes.chunks(step) {
                messages.buffer().extend_from_slice(piece);
                while let Some(event) = messages.next().unwrap() {
                    events.push(event);
                }
            }
            assert_eq!(events, expected, "in steps of {step}");
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_refused() {
        for bytes in [
            vec![0x81, 0x80],
            vec![0xC1, 0x00],
            served(FINAL | CONTINUATION, b"x"),
            served(FINAL | 0x3, b"x"),
            served(PING, b"x"),
            [served(TEXT, b"a"), served(FINAL | TEXT, b"b")].concat(),
            vec![0x81, 127, 0xFF, 0, 0, 0, 0, 0, 0, 0],
        ] {
            let mut messages = Messages::new(bytes.clone());
            let outcome = std::iter::repeat_with(|| messages.next())
                .find(|event| !matches!(event, Ok(Some(_))));
            assert_eq!(outcome, Some(Err(Broken)), "{bytes:?}");
        }
    }
}
