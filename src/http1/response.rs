//! The head of a response.

use std::ops::Range;

use super::body::{Framing, coding};
use super::error::HeadError;
use super::field::{ConnectionOptions, Fields, Name};
use super::lines;
use super::request::{Limits, version_of};
use super::syntax::{Version, is_value, number};

/// The head of a response: its text, and where the parts are in it.
#[derive(Clone, Debug, Default)]
pub struct ResponseHead {
    fields: Fields,
    version: Version,
    status: u16,
    /// Status and reason, as they go into a status line.
    status_text: Range<usize>,
    length: Option<u64>,
    chunked: bool,
    closes: bool,
    names_fields: bool,
}

impl ResponseHead {
    /// Reads the head at the start of `bytes`; how many of them it takes. `None` if it has not come
    /// whole: then nothing of `self` counts.
    ///
    /// # Errors
    /// What is wrong with it. Nothing of such a response may be passed on.
    pub fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, HeadError> {
        self.fields.clear();
        let Some(end) = self.parse(bytes, limits)? else {
            return if bytes.len() > limits.head { Err(HeadError::TooLarge) } else { Ok(None) };
        };
        if end > limits.head {
            return Err(HeadError::TooLarge);
        }
        self.fields.text.extend_from_slice(&bytes[..end]);
        self.interpret()?;
        Ok(Some(end))
    }

    /// Takes a response that came in another form than text. A body of unknown length is
    /// [`Framing::UntilClose`] then; its stream tells the end.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn assemble<'a>(
        &mut self,
        status: u16,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        limits: &Limits,
    ) -> Result<(), HeadError> {
        let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes();
        for (name, value) in fields {
            lines::write(&[name, b": ", value], &mut text)?;
        }
        text.extend_from_slice(b"\r\n");
        match self.read(&text, limits)? {
            Some(end) if end == text.len() => Ok(()),
            _ => Err(HeadError::FieldValue),
        }
    }

    fn parse(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, HeadError> {
        let Some((line, next)) = lines::line(bytes, 0)? else {
            // What does not begin like HTTP/1 need not be waited for.
            let like = bytes.iter().zip(b"HTTP/1.").all(|(byte, wanted)| byte == wanted);
            return if like { Ok(None) } else { Err(HeadError::StatusLine) };
        };
        let (version, rest) = line.split_at_checked(8).ok_or(HeadError::StatusLine)?;
        self.version = version_of(version).map_err(|_| HeadError::StatusLine)?;
        let [b' ', a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', reason @ ..] = rest else {
            return Err(HeadError::StatusLine);
        };
        if !matches!(reason, [] | [b' ', ..]) || !is_value(reason) {
            return Err(HeadError::StatusLine);
        }
        self.status = [a, b, c].iter().fold(0, |sum, digit| sum * 10 + u16::from(**digit - b'0'));
        self.status_text = 9..line.len();
        lines::fields(bytes, next, 0, limits.fields, &mut self.fields.list)
    }

    fn interpret(&mut self) -> Result<(), HeadError> {
        let fields = &self.fields;
        let length = fields.only(Name::ContentLength).map_err(|()| HeadError::ContentLength)?;
        self.length = match length {
            Some(length) => Some(number(length).ok_or(HeadError::ContentLength)?),
            None => None,
        };
        self.chunked = coding(fields, self.version)?;
        if self.chunked && self.length.is_some() {
            return Err(HeadError::TwoFramings);
        }
        let connection = ConnectionOptions::of(fields);
        self.names_fields = connection.names_fields;
        self.closes = connection.closes(self.version);
        Ok(())
    }

    /// Three digits.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Status and reason, as they go into a status line.
    #[must_use]
    pub fn status_text(&self) -> &[u8] {
        &self.fields.text[self.status_text.clone()]
    }

    /// Whether another head follows, that of the real response. A 101 is none of these.
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        self.status < 200 && self.status != 101
    }

    /// Where its body ends (RFC 9112 6.3); `to_head` tells that the request was a HEAD.
    #[must_use]
    pub const fn framing(&self, to_head: bool) -> Framing {
        if to_head || self.status < 200 || self.status == 204 || self.status == 304 {
            return Framing::None;
        }
        match self.length {
            Some(length) => Framing::Length(length),
            None if self.chunked => Framing::Chunked,
            None => Framing::UntilClose,
        }
    }

    /// `Content-Length`, also where there is no body.
    #[must_use]
    pub const fn length(&self) -> Option<u64> {
        self.length
    }

    /// Whether its connection ends behind it.
    #[must_use]
    pub const fn closes(&self) -> bool {
        self.closes
    }

    /// Whether `Connection` names fields, which are of this hop then.
    #[must_use]
    pub const fn names_fields(&self) -> bool {
        self.names_fields
    }

    /// All fields.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }
}

/// What a status is called (RFC 9110 15); nothing for one that is not known here.
#[must_use]
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<ResponseHead, HeadError> {
        let mut head = ResponseHead::default();
        match head.read(text.as_bytes(), &Limits::new(1024))? {
            Some(end) if end == text.len() => Ok(head),
            other => panic!("{other:?} of {} bytes", text.len()),
        }
    }

    #[test]
    fn where_a_body_ends() {
        for (text, to_head, framing) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, Framing::Length(5)),
            ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, Framing::None),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", false, Framing::Chunked),
            ("HTTP/1.0 200 OK\r\n\r\n", false, Framing::UntilClose),
            ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", false, Framing::None),
            ("HTTP/1.1 304 \r\nContent-Length: 5\r\n\r\n", false, Framing::None),
            ("HTTP/1.1 103\r\n\r\n", false, Framing::None),
        ] {
            assert_eq!(read(text).expect(text).framing(to_head), framing, "{text}");
        }
    }

    #[test]
    fn malformed_heads_are_refused() {
        for text in [
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 200OK\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "ICY 200 OK\r\n\r\n",
            "secret without any head",
            "HTTP/1.1 200 O\0K\r\n\r\n",
            "HTTP/1.1 200 OK\nA: b\n\n",
            "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            let read = ResponseHead::default().read(text.as_bytes(), &Limits::new(1024));
            assert!(read.is_err(), "{text}: {read:?}");
        }
        let mut endless = b"HTTP/1.1 200 OK\r\nA: ".to_vec();
        endless.resize(2000, b'a');
        let read = ResponseHead::default().read(&endless, &Limits::new(1024));
        assert_eq!(read, Err(HeadError::TooLarge));
    }

    #[test]
    fn who_keeps_a_connection() {
        let closes = |text: &str| read(text).expect(text).closes();
        assert!(!closes("HTTP/1.1 200 OK\r\n\r\n"));
        assert!(closes("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"));
        assert!(closes("HTTP/1.0 200 OK\r\n\r\n"));
        assert!(!closes("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n"));
    }

    #[test]
    fn a_response_of_another_form_is_assembled() {
        let mut head = ResponseHead::default();
        let fields = [(b"server".as_slice(), b"x".as_slice()), (b"content-length", b"3")];
        head.assemble(200, fields.into_iter(), &Limits::new(1024)).expect("good");
        assert_eq!((head.status(), head.length()), (200, Some(3)));
        let bad = [(b"a".as_slice(), b"b\r\nc: d".as_slice())];
        assert!(head.assemble(200, bad.into_iter(), &Limits::new(1024)).is_err());
    }
}
