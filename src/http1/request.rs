//! The head of a request.

use std::ops::Range;

use super::body::{Framing, coding};
use super::error::HeadError;
use super::field::{ConnectionOptions, Fields, Name};
use super::lines;
use super::syntax::{Version, is_token, list_items, number};
use super::target::{Target, classify, is_host};

/// How large a head may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of the whole head; beyond it a request gets 431.
    pub head: usize,
    /// Most bytes of the request line; beyond it a request gets 414.
    pub line: usize,
    /// Most fields; beyond it a request gets 431.
    pub fields: usize,
}

impl Limits {
    /// `head` bytes in all, no line longer than half of that, and 128 fields.
    #[must_use]
    pub const fn new(head: usize) -> Self {
        Self { head, line: head / 2, fields: 128 }
    }
}

/// Longest method that exists is far below this.
const METHOD_MAX: usize = 32;

/// The head of a request: its text, and where the parts are in it. Made to be used again, so that
/// reading one allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct RequestHead {
    fields: Fields,
    method: Range<usize>,
    /// As an origin server wants it: path and query, `*`, or the authority of CONNECT.
    target: Range<usize>,
    /// The host of an absolute target, or the value of `Host`; empty in HTTP/1.0 without both.
    host: Range<usize>,
    version: Version,
    /// Where the body ends. For HTTP/2 without a length [`Framing::Chunked`] stands for a body of
    /// unknown length; [`Self::set_framing`] says so.
    framing: Framing,
    /// `close` in `Connection`, or HTTP/1.0 without `keep-alive`.
    closes: bool,
    /// Whether `Connection` names other fields.
    names_fields: bool,
    upgrades: bool,
    expects_continue: bool,
}

impl RequestHead {
    /// Reads the head at the start of `bytes`; how many of them it takes, an empty line before it
    /// included (RFC 9112 2.2). `None` if it has not come whole: then nothing of `self` counts.
    ///
    /// # Errors
    /// What is wrong with it; [`HeadError::status`] is the answer.
    pub fn read(&mut self, bytes: &[u8], limits: &Limits) -> Result<Option<usize>, HeadError> {
        let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        self.fields.clear();
        let end = match self.parse(bytes, start, limits) {
            Ok(Some(end)) => end,
            Ok(None) => return too_long(bytes, start, limits).map_or(Ok(None), Err),
            Err(error) => return Err(too_long(bytes, start, limits).unwrap_or(error)),
        };
        if end - start > limits.head {
            return Err(HeadError::TooLarge);
        }
        self.fields.text.extend_from_slice(&bytes[start..end]);
        self.interpret()?;
        Ok(Some(end))
    }

    /// Takes a request that came in another form than text: `target` is its path and query. What
    /// cannot be written as text is an error.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn assemble<'a>(
        &mut self,
        method: &[u8],
        target: &[u8],
        host: &[u8],
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
        limits: &Limits,
    ) -> Result<(), HeadError> {
        let mut text = Vec::with_capacity(512);
        lines::write(&[method, b" ", target, b" HTTP/1.1"], &mut text)?;
        lines::write(&[b"Host: ", host], &mut text)?;
        for (name, value) in fields {
            lines::write(&[name, b": ", value], &mut text)?;
        }
        text.extend_from_slice(b"\r\n");
        match self.read(&text, limits)? {
            Some(end) if end == text.len() => Ok(()),
            _ => Err(HeadError::FieldValue),
        }
    }

    fn parse(
        &mut self,
        bytes: &[u8],
        start: usize,
        limits: &Limits,
    ) -> Result<Option<usize>, HeadError> {
        let Some((line, next)) = lines::line(bytes, start)? else {
            return match bytes.get(start) {
                // What cannot become a request is refused without waiting for the rest of it.
                Some(first) if !is_token(&[*first]) && *first != b'\r' => {
                    Err(HeadError::RequestLine)
                }
                _ => Ok(None),
            };
        };
        if line.len() > limits.line {
            return Err(HeadError::TargetTooLong);
        }
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(HeadError::RequestLine);
        };
        if !is_token(method) || target.is_empty() {
            return Err(HeadError::RequestLine);
        }
        if method.len() > METHOD_MAX {
            return Err(HeadError::Method);
        }
        self.version = version_of(version)?;
        self.method = 0..method.len();
        self.target = method.len() + 1..method.len() + 1 + target.len();
        lines::fields(bytes, next, start, limits.fields, &mut self.fields.list)
    }

    /// What the fields mean for this hop.
    fn interpret(&mut self) -> Result<(), HeadError> {
        let text = &self.fields.text;
        let target = classify(&text[self.target.clone()], &text[self.method.clone()])?;
        let host = self.fields.only(Name::Host).map_err(|()| HeadError::Host)?;
        match host {
            Some(host) if is_host(host) => self.host = self.place(host),
            None if self.version == Version::Http10 => self.host = 0..0,
            _ => return Err(HeadError::Host),
        }
        if let Target::Absolute { host, path } = target {
            let base = self.target.start;
            self.host = base + host.start..base + host.end;
            self.target = base + path.start..base + path.end;
        }
        self.framing = self.framing_of_fields()?;
        self.connection();
        self.expectation()
    }

    /// RFC 9112 6.3: a request has a body only if it says so.
    fn framing_of_fields(&self) -> Result<Framing, HeadError> {
        let fields = &self.fields;
        let framed = fields
            .list
            .iter()
            .any(|field| matches!(field.name, Name::ContentLength | Name::TransferEncoding));
        if !framed {
            return Ok(Framing::None);
        }
        let length = fields.only(Name::ContentLength).map_err(|()| HeadError::ContentLength)?;
        let coding = coding(fields, self.version)?;
        match (length, coding) {
            (Some(_), true) => Err(HeadError::TwoFramings),
            (None, true) => Ok(Framing::Chunked),
            (Some(length), false) => {
                number(length).map(Framing::Length).ok_or(HeadError::ContentLength)
            }
            (None, false) => Ok(Framing::None),
        }
    }

    fn connection(&mut self) {
        let connection = ConnectionOptions::of(&self.fields);
        self.names_fields = connection.names_fields;
        self.closes = connection.closes(self.version);
        self.upgrades = connection.upgrade
            && self.version == Version::Http11
            && upgrade_passes(self.fields.all(Name::Upgrade));
    }

    fn expectation(&mut self) -> Result<(), HeadError> {
        self.expects_continue = false;
        for value in self.fields.all(Name::Expect) {
            if !value.eq_ignore_ascii_case(b"100-continue") {
                return Err(HeadError::Expectation);
            }
            // RFC 9110 10.1.1: of HTTP/1.0 it is ignored, and without a body it asks for nothing.
            self.expects_continue =
                self.version == Version::Http11 && self.framing != Framing::None;
        }
        Ok(())
    }

    /// Where a part of the text is.
    fn place(&self, part: &[u8]) -> Range<usize> {
        let start = part.as_ptr().addr() - self.fields.text.as_ptr().addr();
        start..start + part.len()
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        &self.fields.text[self.method.clone()]
    }

    /// Path and query as the client sent them, `*`, or the authority of CONNECT. Empty for an
    /// absolute target without a path: see [`Self::write_target`].
    #[must_use]
    pub fn target(&self) -> &[u8] {
        &self.fields.text[self.target.clone()]
    }

    /// Appends the target as an origin server wants it.
    pub fn write_target(&self, out: &mut Vec<u8>) {
        match self.target() {
            [] if self.method() == b"OPTIONS" => out.push(b'*'),
            target @ ([] | [b'?', ..]) => {
                out.push(b'/');
                out.extend_from_slice(target);
            }
            target => out.extend_from_slice(target),
        }
    }

    /// The host it is for, with the port if that is named: of an absolute target, else of `Host`.
    /// `None` in HTTP/1.0 without both.
    #[must_use]
    pub fn host(&self) -> Option<&[u8]> {
        let host = &self.fields.text[self.host.clone()];
        if host.is_empty() { None } else { Some(host) }
    }

    /// The version that the client speaks.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Where its body ends.
    #[must_use]
    pub const fn framing(&self) -> Framing {
        self.framing
    }

    /// For a request of HTTP/2, whose end its stream tells: [`Framing::None`] without a body,
    /// [`Framing::Chunked`] with one of unknown length.
    pub const fn set_framing(&mut self, framing: Framing) {
        self.framing = framing;
    }

    /// Whether the client wants its connection closed behind the response.
    #[must_use]
    pub const fn closes(&self) -> bool {
        self.closes
    }

    /// Whether `Connection` names fields, which are of this hop then.
    #[must_use]
    pub const fn names_fields(&self) -> bool {
        self.names_fields
    }

    /// Whether it asks for another protocol (RFC 9110 7.8).
    #[must_use]
    pub const fn upgrades(&self) -> bool {
        self.upgrades
    }

    /// Whether the client waits for a 100 before it sends its body.
    #[must_use]
    pub const fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// All fields.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }
}

/// Whether the protocols asked for may be passed on. HTTP/2 behind an Upgrade would go past
/// everything that is checked here; a proxy may leave any Upgrade out (RFC 9110 7.8), and clients
/// have other ways to HTTP/2 (RFC 9113 3.1).
fn upgrade_passes<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    let mut protocols = values.flat_map(list_items).peekable();
    let is_http2 = |protocol: &[u8]| {
        let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
        name.eq_ignore_ascii_case(b"h2c") || name.eq_ignore_ascii_case(b"h2")
    };
    protocols.peek().is_some() && protocols.all(|protocol| !is_http2(protocol))
}

/// What is wrong with the length of an unfinished head.
fn too_long(bytes: &[u8], start: usize, limits: &Limits) -> Option<HeadError> {
    let bytes = &bytes[start.min(bytes.len())..];
    let line = memchr::memchr(b'\n', bytes).unwrap_or(bytes.len());
    if line > limits.line + 1 {
        return Some(HeadError::TargetTooLong);
    }
    (bytes.len() > limits.head && !lines::head_ends(&bytes[..limits.head], &mut 0))
        .then_some(HeadError::TooLarge)
}

pub(super) fn version_of(word: &[u8]) -> Result<Version, HeadError> {
    match word {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(HeadError::Version)
        }
        _ => Err(HeadError::RequestLine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<RequestHead, HeadError> {
        let mut head = RequestHead::default();
        match head.read(text.as_bytes(), &Limits::new(1024))? {
            Some(end) if end == text.len() => Ok(head),
            other => panic!("{other:?} of {} bytes", text.len()),
        }
    }

    #[test]
    fn a_head_is_its_parts() {
        let head = read(
            "PUT /a?b HTTP/1.1\r\nHost: shop:81\r\nContent-Length: 7\r\nConnection: close\r\n\
             Expect: 100-Continue\r\n\r\n",
        )
        .expect("a good head");
        assert_eq!((head.method(), head.target()), (b"PUT".as_slice(), b"/a?b".as_slice()));
        assert_eq!(head.host(), Some(b"shop:81".as_slice()));
        assert_eq!((head.framing(), head.version()), (Framing::Length(7), Version::Http11));
        assert!(head.closes() && head.expects_continue() && !head.upgrades());
        assert_eq!(head.fields().named(b"CONNECTION"), Some(b"close".as_slice()));
    }

    #[test]
    fn an_absolute_target_becomes_a_path_and_a_host() {
        for (target, host, path) in [
            ("http://shop:81/a?b=c", "shop:81", "/a?b=c"),
            ("http://shop", "shop", "/"),
            ("HTTPS://shop?x", "shop", "/?x"),
        ] {
            let head =
                read(&format!("GET {target} HTTP/1.1\r\nHost: other\r\n\r\n")).expect(target);
            assert_eq!(head.host(), Some(host.as_bytes()));
            let mut out = Vec::new();
            head.write_target(&mut out);
            assert_eq!(out, path.as_bytes());
        }
    }

    #[test]
    fn a_head_in_pieces_is_waited_for_and_an_empty_line_before_it_skipped() {
        let text = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut head = RequestHead::default();
        for length in 0..text.len() {
            assert_eq!(head.read(&text[..length], &Limits::new(64)), Ok(None), "{length}");
        }
        assert_eq!(head.read(text, &Limits::new(64)), Ok(Some(text.len())));
        assert_eq!(head.method(), b"GET");
    }

    #[test]
    fn each_fault_has_its_answer() {
        let long = "a".repeat(2000);
        let fields = "A: b\r\n".repeat(130);
        for (text, status) in [
            ("GET /\r\n\r\n".to_owned(), 400),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n".to_owned(), 400),
            ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
            ("GET / http/1.1\r\nHost: a\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.10\r\nHost: a\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.2\r\nHost: a\r\n\r\n".to_owned(), 505),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n".to_owned(), 505),
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost:\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n".to_owned(), 400),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"
                    .to_owned(),
                400,
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n".to_owned(), 400),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
                    .to_owned(),
                400,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".to_owned(),
                501,
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(), 501),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n".to_owned(), 501),
            ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n".to_owned(), 400),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n"
                    .to_owned(),
                400,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
                 Transfer-Encoding: chunked\r\n\r\n"
                    .to_owned(),
                400,
            ),
            ("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(), 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n".to_owned(), 417),
            (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
            (format!("GET /{long}"), 414),
            (format!("GET / HTTP/1.1\r\nHost: a\r\nB: {long}\r\n\r\n"), 431),
            (format!("GET / HTTP/1.1\r\nHost: a\r\nB: {long}"), 431),
            (format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"), 431),
            (format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "M".repeat(40)), 501),
            ("\u{16}\u{3}\u{1}".to_owned(), 400),
            ("{}".to_owned(), 400),
        ] {
            let error = RequestHead::default().read(text.as_bytes(), &Limits::new(1024));
            assert_eq!(error.map_err(HeadError::status), Err(status), "{text}");
        }
    }

    #[test]
    fn who_keeps_a_connection() {
        let closes = |text: &str| read(text).expect(text).closes();
        assert!(!closes("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(closes("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"));
        assert!(closes("GET / HTTP/1.0\r\n\r\n"));
        assert!(!closes("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    }

    #[test]
    fn what_is_no_text_is_not_assembled() {
        let limits = Limits::new(1024);
        let assemble = |method: &str, target: &str, field: (&str, &str)| {
            let mut head = RequestHead::default();
            let fields = [(field.0.as_bytes(), field.1.as_bytes())];
            head.assemble(method.as_bytes(), target.as_bytes(), b"a", fields.into_iter(), &limits)
                .map(|()| head)
        };
        let head = assemble("GET", "/x", ("b", "c")).expect("good");
        assert_eq!((head.target(), head.host()), (b"/x".as_slice(), Some(b"a".as_slice())));
        for (method, target, field) in [
            ("GET", "/ HTTP/1.1\r\nX: y", ("b", "c")),
            ("GET / HTTP/1.1\r\n", "/", ("b", "c")),
            ("GET", "/", ("b", "c\r\nd: e")),
            ("GET", "/", ("b", "c\r\n\r\nGET / HTTP/1.1\r\nHost: a")),
            ("GET", "/", ("b\r\nd", "c")),
            ("GET", "/", ("b", "c\0")),
            ("GET", "/ x", ("b", "c")),
        ] {
            let made = assemble(method, target, field);
            let names = made.as_ref().map(|head| head.fields().list().len());
            assert!(made.is_err(), "{method} {target} {field:?}: {names:?} fields");
        }
    }
}
