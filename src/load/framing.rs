//! Where a response body ends (RFC 9112, 6 and 7.1). Its content is counted, not kept.

use super::head::Invalid;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// The connection closes.
    UntilClose,
}

/// Where in the chunked coding the next byte stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the line with the size, of which this is known; digits count.
    Size { value: u64, digits: u8 },
    /// In an extension of that line, which is skipped.
    Extension { value: u64 },
    /// In the data: so many bytes are still to come.
    Data(u64),
    /// In the line end behind the data.
    DataEnd,
    /// In the trailer section, with so many bytes in the present line.
    Trailer(u32),
    /// Behind the end.
    Done,
}

/// Longest chunk size that is read: 15 hexadecimal digits cannot overflow.
const MAX_DIGITS: u8 = 15;

impl Framing {
    pub(super) const fn chunked() -> Self {
        Self::Chunked(Chunk::Size { value: 0, digits: 0 })
    }

    /// Whether the body is complete.
    pub(super) const fn is_done(self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunk::Done))
    }

    /// Takes what of `bytes` belongs to the body: how many bytes, and how many of content.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(usize, u64), Invalid> {
        match self {
            Self::UntilClose => Ok((bytes.len(), bytes.len() as u64)),
            Self::Length(left) => {
                let taken = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                Ok((taken, taken as u64))
            }
            Self::Chunked(chunk) => feed_chunks(chunk, bytes),
        }
    }
}

fn feed_chunks(chunk: &mut Chunk, bytes: &[u8]) -> Result<(usize, u64), Invalid> {
    let (mut place, mut content) = (0, 0);
    while place < bytes.len() && *chunk != Chunk::Done {
        if let Chunk::Data(left) = *chunk {
            let taken = (bytes.len() - place).min(usize::try_from(left).unwrap_or(usize::MAX));
            place += taken;
            content += taken as u64;
            let left = left - taken as u64;
            *chunk = if left == 0 { Chunk::DataEnd } else { Chunk::Data(left) };
        } else {
            *chunk = chunk.step(bytes[place])?;
            place += 1;
        }
    }
    Ok((place, content))
}

impl Chunk {
    /// The state behind `byte`, outside of data.
    fn step(self, byte: u8) -> Result<Self, Invalid> {
        Ok(match (self, byte) {
            (Self::Size { value, digits }, _)
                if byte.is_ascii_hexdigit() && digits < MAX_DIGITS =>
            {
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                Self::Size { value: value * 16 + digit, digits: digits + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => return Err(Invalid),
            (Self::Size { value, .. }, b';' | b' ' | b'\t' | b'\r') => Self::Extension { value },
            (Self::Size { value, .. } | Self::Extension { value }, b'\n') => {
                if value == 0 {
                    Self::Trailer(0)
                } else {
                    Self::Data(value)
                }
            }
            (Self::Size { .. }, _) => return Err(Invalid),
            (Self::Extension { value }, _) => Self::Extension { value },
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::Size { value: 0, digits: 0 },
            (Self::DataEnd, _) => return Err(Invalid),
            (Self::Trailer(0), b'\n') => Self::Done,
            (Self::Trailer(_), b'\n') => Self::Trailer(0),
            (Self::Trailer(length), b'\r') => Self::Trailer(length),
            (Self::Trailer(length), _) => Self::Trailer(length.saturating_add(1)),
            (Self::Data(_) | Self::Done, _) => self,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\ntrailer: 1\r\n\r\n";

    #[test]
    fn chunks_end_in_the_same_place_however_they_arrive() {
        for step in 1..=CHUNKED.len() {
            let mut framing = Framing::chunked();
            let mut content = 0;
            for piece in CHUNKED.chunks(step) {
                assert!(!framing.is_done());
                let (taken, counted) = framing.feed(piece).unwrap();
                assert_eq!(taken, piece.len());
                content += counted;
            }
            assert!(framing.is_done(), "{step}");
            assert_eq!(content, 15);
        }
    }

    #[test]
    fn what_follows_the_body_is_left() {
        let mut framing = Framing::chunked();
        let with_more = [CHUNKED, b"HTTP/1.1"].concat();
        assert_eq!(framing.feed(&with_more), Ok((CHUNKED.len(), 15)));
        let mut framing = Framing::Length(3);
        assert_eq!(framing.feed(b"abcdef"), Ok((3, 3)));
        assert!(framing.is_done());
    }

    #[test]
    fn broken_chunks_are_invalid() {
        for text in ["\r\n", "xyz\r\n", "5\r\nhelloX", "FFFFFFFFFFFFFFFFF\r\n"] {
            assert_eq!(Framing::chunked().feed(text.as_bytes()), Err(Invalid), "{text}");
        }
    }
}
