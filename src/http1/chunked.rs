//! The chunked coding (RFC 9112 7.1), both ways.

use super::body::Step;
use super::error::BodyError;
use super::field::Fields;
use super::lines;

/// Digits of a chunk's size: 15 hexadecimal ones cannot overflow.
const SIZE_DIGITS: u8 = 15;
/// Most bytes of chunk extensions of one message. They are read over and not passed on.
const EXTENSIONS_MAX: u32 = 4096;
/// Most bytes of a trailer section.
const TRAILER_MAX: usize = 8192;

/// Reads chunks.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    extensions: u32,
    trailer: Vec<u8>,
}

/// Where the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In a chunk's size.
    Size { value: u64, digits: u8 },
    /// In its extensions.
    Extension { value: u64 },
    /// Behind the CR of that line.
    SizeEnd { value: u64 },
    /// In its data, of which so much is left.
    Data(u64),
    /// Behind its data.
    DataEnd,
    /// Behind the CR that is behind its data.
    DataLineFeed,
    /// In the trailer section; `line` bytes into a line.
    Trailer { line: u32 },
    /// Behind all of it.
    Ended,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { value: 0, digits: 0 }
    }
}

impl Decoder {
    /// Whether the last chunk and the trailer section were read.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// What `bytes` hold next; see [`Step`].
    ///
    /// # Errors
    /// When it is not the chunked coding.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Step, BodyError> {
        let mut place = 0;
        loop {
            match self.state {
                State::Data(left) => {
                    let here = bytes.len() - place;
                    let length = here.min(usize::try_from(left).unwrap_or(usize::MAX));
                    return Ok(Step::Content { skip: place, length });
                }
                State::Ended => return Ok(Step::End { skip: place }),
                _ => {}
            }
            let Some(byte) = bytes.get(place) else {
                return Ok(Step::Content { skip: place, length: 0 });
            };
            self.state = self.step(*byte)?;
            place += 1;
        }
    }

    /// `length` bytes of content were taken.
    pub fn took(&mut self, length: usize) {
        if let State::Data(left) = &mut self.state {
            *left -= length as u64;
            if *left == 0 {
                self.state = State::DataEnd;
            }
        }
    }

    /// The trailer section, once the message has ended, if it has fields.
    pub fn take_trailer(&mut self) -> Option<Box<Fields>> {
        if !self.is_ended() || self.trailer.len() <= 2 {
            return None;
        }
        // It was parsed when it ended.
        lines::trailer(&std::mem::take(&mut self.trailer)).ok().map(Box::new)
    }

    /// The state behind `byte`, outside of data.
    fn step(&mut self, byte: u8) -> Result<State, BodyError> {
        match (self.state, byte) {
            (State::Size { value, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == SIZE_DIGITS {
                    return Err(BodyError::ChunkSize);
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                Ok(State::Size { value: value * 16 + digit, digits: digits + 1 })
            }
            (State::Size { digits: 0, .. }, _) => Err(BodyError::ChunkSize),
            (State::Size { value, .. } | State::Extension { value }, b'\r') => {
                Ok(State::SizeEnd { value })
            }
            (State::Size { value, .. }, b';') => Ok(State::Extension { value }),
            (State::Extension { value }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extensions += 1;
                if self.extensions > EXTENSIONS_MAX {
                    return Err(BodyError::Extensions);
                }
                Ok(State::Extension { value })
            }
            (State::SizeEnd { value: 0 }, b'\n') => Ok(State::Trailer { line: 0 }),
            (State::SizeEnd { value }, b'\n') => Ok(State::Data(value)),
            (State::DataEnd, b'\r') => Ok(State::DataLineFeed),
            (State::DataLineFeed, b'\n') => Ok(State::default()),
            (State::DataEnd | State::DataLineFeed, _) => Err(BodyError::ChunkEnd),
            (State::Trailer { line }, _) => self.trail(line, byte),
            _ => Err(BodyError::ChunkSize),
        }
    }

    fn trail(&mut self, line: u32, byte: u8) -> Result<State, BodyError> {
        self.trailer.push(byte);
        if self.trailer.len() > TRAILER_MAX {
            return Err(BodyError::Trailer(super::HeadError::TooLarge));
        }
        if byte != b'\n' {
            return Ok(State::Trailer { line: line + 1 });
        }
        // The empty line has nothing but its CR; one without is refused by the parser.
        let empty = line == 0 || (line == 1 && self.trailer.ends_with(b"\r\n"));
        if !empty {
            return Ok(State::Trailer { line: 0 });
        }
        lines::trailer(&self.trailer).map_err(BodyError::Trailer)?;
        Ok(State::Ended)
    }
}

/// Appends the line before a chunk of `length` bytes, which is not 0.
pub fn write_size(length: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - length.leading_zeros()).div_ceil(4).max(1);
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[length >> (4 * place) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the end of a message, with its trailer section.
pub fn write_end(trailer: Option<&Fields>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailer) = trailer {
        trailer.write_trailer(out);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Content of a message, the bytes behind it, and its trailer section.
    type Decoded = (Vec<u8>, usize, Option<Box<Fields>>);

    /// Reads a message that arrives in pieces of at most `step` bytes.
    fn decode(message: &[u8], step: usize) -> Result<Decoded, BodyError> {
        let mut decoder = Decoder::default();
        let (mut content, mut from, mut to) = (Vec::new(), 0, 0);
        loop {
            match decoder.next(&message[from..to])? {
                Step::End { skip } => {
                    let trailer = decoder.take_trailer();
                    return Ok((content, message.len() - from - skip, trailer));
                }
                Step::Content { skip, length } => {
                    content.extend_from_slice(&message[from + skip..][..length]);
                    decoder.took(length);
                    from += skip + length;
                }
            }
            if from == to {
                assert!(to < message.len(), "it never ends");
                to = message.len().min(to + step);
            }
        }
    }

    #[test]
    fn chunks_are_read_however_they_arrive() {
        let message =
            b"5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nExpires: 1\r\nHost: x\r\n\r\nGET";
        for step in 1..=message.len() {
            let (content, behind, trailer) = decode(message, step).expect("good chunks");
            assert_eq!(content, b"hello0123456789");
            assert!(behind <= 3);
            let mut out = Vec::new();
            write_end(trailer.as_deref(), &mut out);
            assert_eq!(out, b"0\r\nExpires: 1\r\n\r\n", "Host does not belong there");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "\r\n",
            "x\r\n",
            "5 \r\nhello\r\n",
            " 5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "+5\r\nhello\r\n",
            "5\nhello\r\n",
            "5\rhello",
            "5\r\nhelloX",
            "5\r\nhello\n0\r\n",
            "5\r\nhello\rX",
            "5;a\nb\r\n",
            "5;a\rb\r\n",
            "5;a\0\r\n",
            "1000000000000000\r\n",
            "0\r\nbad name: x\r\n\r\n",
            "0\r\nA: b\n\r\n",
            "0\r\n A: b\r\n\r\n",
            "0\r\n\n",
        ] {
            let message = [text.as_bytes(), &[b'z'; 64]].concat();
            let result = std::panic::catch_unwind(|| decode(&message, 7));
            assert!(matches!(result, Ok(Err(_))), "{text:?}: {result:?}");
        }
        let flood = format!("1;{}\r\na\r\n", "x".repeat(600)).repeat(8);
        assert_eq!(decode(flood.as_bytes(), 4096), Err(BodyError::Extensions));
        let long = format!("0\r\nA: {}\r\n\r\n", "x".repeat(9000));
        assert!(matches!(decode(long.as_bytes(), 4096), Err(BodyError::Trailer(_))));
    }

    proptest! {
        /// What is written is read back, in pieces of any size.
        #[test]
        fn written_chunks_are_read_back(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..600), 0..8),
            step in 1..700usize,
        ) {
            let mut message = Vec::new();
            for chunk in &chunks {
                write_size(chunk.len(), &mut message);
                message.extend_from_slice(chunk);
                message.extend_from_slice(b"\r\n");
            }
            write_end(None, &mut message);
            let (content, behind, trailer) = decode(&message, step).expect("good chunks");
            prop_assert_eq!(content, chunks.concat());
            prop_assert_eq!((behind, trailer), (0, None));
        }

        /// Whatever comes, how it is cut into pieces changes nothing.
        #[test]
        fn pieces_change_nothing(
            noise in proptest::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'0'), Just(b'3'), Just(b';'), any::<u8>()],
                0..64,
            ),
            step in 1..16usize,
        ) {
            let message = [noise.as_slice(), b"\r\n0\r\n\r\n", &[b'\r'; 1], &[0; 4096]].concat();
            let (whole, cut) = (run(&message, message.len()), run(&message, step));
            prop_assert_eq!(whole, cut);
        }
    }

    /// What comes of it, content and verdict, without the end that may never come.
    fn run(message: &[u8], step: usize) -> (Vec<u8>, Option<Result<(), BodyError>>) {
        let mut decoder = Decoder::default();
        let (mut content, mut from, mut to) = (Vec::new(), 0, 0);
        loop {
            match decoder.next(&message[from..to]) {
                Err(error) => return (content, Some(Err(error))),
                Ok(Step::End { .. }) => return (content, Some(Ok(()))),
                Ok(Step::Content { skip, length }) => {
                    content.extend_from_slice(&message[from + skip..][..length]);
                    decoder.took(length);
                    from += skip + length;
                }
            }
            if from == to {
                if to == message.len() {
                    return (content, None);
                }
                to = message.len().min(to + step);
            }
        }
    }
}
