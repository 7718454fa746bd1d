//! Where a message ends (RFC 9112 6.3), and its body on the way there.

use super::chunked::Decoder;
use super::error::{BodyError, HeadError};
use super::field::{Fields, Name};
use super::syntax::{Version, list_items};

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// By its length in bytes.
    Length(u64),
    /// In chunks; or a stream of HTTP/2 without a length.
    Chunked,
    /// By the end of the connection; responses only.
    UntilClose,
}

/// Whether the message is chunked, by its `Transfer-Encoding`.
pub(super) fn coding(fields: &Fields, version: Version) -> Result<bool, HeadError> {
    let value = fields.only(Name::TransferEncoding).map_err(|()| HeadError::TransferEncoding)?;
    let Some(value) = value else { return Ok(false) };
    if version == Version::Http10 {
        return Err(HeadError::TransferEncoding);
    }
    let mut chunked = 0;
    for item in list_items(value) {
        if item.eq_ignore_ascii_case(b"chunked") {
            chunked += 1;
        } else {
            return Err(HeadError::UnknownCoding);
        }
    }
    // An item that is empty is written by nobody who means well.
    let only = chunked == 1 && value.eq_ignore_ascii_case(b"chunked");
    if only { Ok(true) } else { Err(HeadError::TransferEncoding) }
}

/// What a slice of a message holds next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// So many bytes of framing, then so many of content. Take both away and say so of the content
    /// with [`BodyReader::took`], of all of it or of a part. Content of length 0: more is needed.
    Content {
        /// Bytes of framing before it.
        skip: usize,
        /// Bytes of content.
        length: usize,
    },
    /// So many bytes of framing, and the message has ended.
    End {
        /// Bytes of framing before the end.
        skip: usize,
    },
}

/// Reads a body out of the slices that a connection brings.
#[derive(Debug, Default)]
pub struct BodyReader(State);

#[derive(Debug, Default)]
enum State {
    #[default]
    Ended,
    Length(u64),
    Chunked(Box<Decoder>),
    UntilClose,
}

impl BodyReader {
    /// For a body that ends so.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::None | Framing::Length(0) => State::Ended,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Chunked(Box::default()),
            Framing::UntilClose => State::UntilClose,
        })
    }

    /// Whether all of it was read.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        match &self.0 {
            State::Ended => true,
            State::Chunked(decoder) => decoder.is_ended(),
            State::Length(_) | State::UntilClose => false,
        }
    }

    /// What `bytes` hold next.
    ///
    /// # Errors
    /// When the framing is malformed: nothing behind it may be believed.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Step, BodyError> {
        match &mut self.0 {
            State::Ended => Ok(Step::End { skip: 0 }),
            State::Length(left) => {
                let length = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                Ok(Step::Content { skip: 0, length })
            }
            State::Chunked(decoder) => decoder.next(bytes),
            State::UntilClose => Ok(Step::Content { skip: 0, length: bytes.len() }),
        }
    }

    /// `length` bytes of the content that [`Self::next`] told of were taken.
    pub fn took(&mut self, length: usize) {
        match &mut self.0 {
            State::Length(left) => {
                *left -= length as u64;
                if *left == 0 {
                    self.0 = State::Ended;
                }
            }
            State::Chunked(decoder) => decoder.took(length),
            State::Ended | State::UntilClose => {}
        }
    }

    /// The connection has ended.
    ///
    /// # Errors
    /// When the body had not.
    pub fn closed(&mut self) -> Result<(), BodyError> {
        match self.0 {
            State::UntilClose => self.0 = State::Ended,
            _ if self.is_ended() => {}
            _ => return Err(BodyError::Incomplete),
        }
        Ok(())
    }

    /// The trailer section of a chunked body that has ended, if it has fields.
    pub fn take_trailer(&mut self) -> Option<Box<Fields>> {
        match &mut self.0 {
            State::Chunked(decoder) => decoder.take_trailer(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_counts_down() {
        let mut reader = BodyReader::new(Framing::Length(5));
        assert_eq!(reader.next(b"abc"), Ok(Step::Content { skip: 0, length: 3 }));
        reader.took(3);
        assert_eq!(reader.closed(), Err(BodyError::Incomplete));
        assert_eq!(reader.next(b"defgh"), Ok(Step::Content { skip: 0, length: 2 }));
        reader.took(2);
        assert!(reader.is_ended());
        assert_eq!(reader.next(b"fgh"), Ok(Step::End { skip: 0 }));
    }

    #[test]
    fn the_end_of_the_connection_ends_only_what_it_may() {
        let mut reader = BodyReader::new(Framing::UntilClose);
        assert_eq!(reader.next(b"abc"), Ok(Step::Content { skip: 0, length: 3 }));
        assert!(!reader.is_ended());
        assert_eq!(reader.closed(), Ok(()));
        assert!(reader.is_ended());
        assert_eq!(BodyReader::new(Framing::Chunked).closed(), Err(BodyError::Incomplete));
        assert_eq!(BodyReader::new(Framing::None).closed(), Ok(()));
    }
}
