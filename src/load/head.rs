//! The head of an HTTP/1.1 response: what the generator needs of it (RFC 9112, 2 to 6).

use super::framing::Framing;

/// A longer head is refused.
const HEAD_LIMIT: usize = 64 << 10;

/// A response's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head<'a> {
    pub(super) status: u16,
    pub(super) framing: Framing,
    /// The connection may carry another request once the body is read.
    pub(super) keep_alive: bool,
    pub(super) lab: LabHeaders<'a>,
}

/// What lab's own programs say of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LabHeaders<'a> {
    pub(super) demand_ns: u64,
    pub(super) queued_ns: u64,
    pub(super) service_ns: u64,
    pub(super) attempts: Option<u16>,
    /// Name of the peer tried last, as the proxy knows it, or of the backend itself.
    pub(super) upstream: Option<&'a str>,
    backend: Option<&'a str>,
    /// The same by a header that a person chose.
    chosen: Option<&'a str>,
    /// A cookie to keep.
    pub(super) set_cookie: Option<&'a str>,
}

impl<'a> LabHeaders<'a> {
    /// What the header says that a person chose. A proxy that tried several servers lists them, the
    /// last one at the end (NGINX's `$upstream_addr`).
    pub(super) fn named(&mut self, value: &'a str) {
        let last = value.rsplit([',', ' ']).find(|part| !part.is_empty() && *part != ":");
        self.chosen = last.or(self.chosen);
    }

    /// The server that answered, or that was tried last.
    pub(super) fn server(&self) -> Option<&'a str> {
        self.chosen.or(self.upstream).or(self.backend)
    }
}

/// Not HTTP/1, or not to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Reads the head at the front of `bytes` and tells its length; `None` if it is not complete.
/// `no_body`: the request was a HEAD. `server_header`, in small letters, names the server; `None`
/// for lab's own headers.
pub(super) fn parse<'a>(
    bytes: &'a [u8],
    no_body: bool,
    server_header: Option<&str>,
) -> Result<Option<(Head<'a>, usize)>, Invalid> {
    let Some(length) = end(bytes) else {
        let known = bytes.len().min(5);
        let plausible = bytes[..known] == b"HTTP/"[..known] && bytes.len() <= HEAD_LIMIT;
        return if plausible { Ok(None) } else { Err(Invalid) };
    };
    let text = std::str::from_utf8(&bytes[..length]).map_err(|_| Invalid)?;
    let mut lines = text.split("\r\n");
    let (status, version_keeps) = status_line(lines.next().ok_or(Invalid)?)?;
    let mut fields = Fields::default();
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(Invalid)?;
        let value = value.trim();
        fields.take(name, value)?;
        if server_header.is_some_and(|header| name.eq_ignore_ascii_case(header)) {
            fields.lab.named(value);
        }
    }
    let empty = no_body || status < 200 || matches!(status, 204 | 304);
    let framing = match (empty, fields.chunked, fields.length) {
        (true, ..) => Framing::Length(0),
        (_, true, _) => Framing::chunked(),
        (_, _, Some(length)) => Framing::Length(length),
        _ => Framing::UntilClose,
    };
    let keep_alive = fields.keep_alive.unwrap_or(version_keeps) && framing != Framing::UntilClose;
    Ok(Some((Head { status, framing, keep_alive, lab: fields.lab }, length)))
}

/// Where the head ends, its empty line included.
fn end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|place| place + 4)
}

fn status_line(line: &str) -> Result<(u16, bool), Invalid> {
    let (version, rest) = line.split_once(' ').ok_or(Invalid)?;
    let keeps = match version {
        "HTTP/1.1" => true,
        "HTTP/1.0" => false,
        _ => return Err(Invalid),
    };
    let status = rest.get(..3).and_then(|code| code.parse().ok()).ok_or(Invalid)?;
    if (100..1000).contains(&status) { Ok((status, keeps)) } else { Err(Invalid) }
}

#[derive(Debug, Default)]
struct Fields<'a> {
    length: Option<u64>,
    chunked: bool,
    keep_alive: Option<bool>,
    lab: LabHeaders<'a>,
}

impl<'a> Fields<'a> {
    fn take(&mut self, name: &str, value: &'a str) -> Result<(), Invalid> {
        // The length tells most names apart before any letter is compared.
        match name.len() {
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length = value.parse().map_err(|_| Invalid)?;
                if self.length.is_some_and(|other| other != length) {
                    return Err(Invalid);
                }
                self.length = Some(length);
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                self.chunked = ends_with_chunked(value);
            }
            10 if name.eq_ignore_ascii_case("connection") => self.connection(value),
            10 if name.eq_ignore_ascii_case("set-cookie") => self.lab.set_cookie = Some(value),
            _ if name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("x-lab-")) => {
                self.lab(&name[6..], value);
            }
            _ => {}
        }
        Ok(())
    }

    fn connection(&mut self, value: &str) {
        for option in value.split(',').map(str::trim) {
            if option.eq_ignore_ascii_case("close") {
                self.keep_alive = Some(false);
            } else if option.eq_ignore_ascii_case("keep-alive") {
                self.keep_alive = self.keep_alive.or(Some(true));
            }
        }
    }

    /// A header of lab's that cannot be read is as one that is not there.
    fn lab(&mut self, name: &str, value: &'a str) {
        self.lab.take(name, value);
    }
}

impl<'a> LabHeaders<'a> {
    /// Takes `x-lab-NAME: value`.
    pub(super) fn take(&mut self, name: &str, value: &'a str) {
        match name.to_ascii_lowercase().as_str() {
            "demand-ns" => self.demand_ns = value.parse().unwrap_or(0),
            "queued-ns" => self.queued_ns = value.parse().unwrap_or(0),
            "service-ns" => self.service_ns = value.parse().unwrap_or(0),
            "attempts" => self.attempts = value.parse().ok(),
            "upstream" => self.upstream = Some(value),
            "backend" => self.backend = Some(value),
            _ => {}
        }
    }
}

fn ends_with_chunked(value: &str) -> bool {
    value.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Option<(Head<'_>, usize)>, Invalid> {
        parse(text.as_bytes(), false, None)
    }

    #[test]
    fn a_head_is_read_once_it_is_complete() {
        let text = "HTTP/1.1 503 Nope\r\nContent-Length: 12\r\nX-Lab-Attempts: 2\r\nx-lab-upstream: b\r\nx-lab-backend: c\r\nx-lab-queued-ns: 77\r\n\r\nbody";
        for cut in 0..text.len() - 4 {
            assert_eq!(read(&text[..cut]), Ok(None), "{cut}");
        }
        let (head, length) = read(text).unwrap().unwrap();
        assert_eq!(&text[length..], "body");
        assert_eq!((head.status, head.framing, head.keep_alive), (503, Framing::Length(12), true));
        assert_eq!((head.lab.attempts, head.lab.server()), (Some(2), Some("b")));
        assert_eq!(head.lab.queued_ns, 77);
    }

    #[test]
    fn framing_and_keep_alive_follow_the_standard() {
        let head = |text: &str| {
            let text = format!("{text}\r\n\r\n");
            let (head, _) = read(&text).unwrap().unwrap();
            (head.framing, head.keep_alive)
        };
        let one = Framing::Length(1);
        assert_eq!(head("HTTP/1.0 200 OK\r\ncontent-length: 1"), (one, false));
        assert_eq!(
            head("HTTP/1.0 200 OK\r\ncontent-length: 1\r\nConnection: Keep-Alive"),
            (one, true)
        );
        assert_eq!(
            head("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: x, close"),
            (one, false)
        );
        let both = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: gzip, chunked";
        assert_eq!(head(both), (Framing::chunked(), true));
        assert_eq!(head("HTTP/1.1 200 OK"), (Framing::UntilClose, false));
        assert_eq!(head("HTTP/1.1 204 No Content"), (Framing::Length(0), true));
        let answer_to_head = parse(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", true, None);
        assert_eq!(answer_to_head.unwrap().unwrap().0.framing, Framing::Length(0));
    }

    #[test]
    fn the_server_is_named_by_the_header_that_was_chosen() {
        let server = |line: &str| {
            let text = format!("HTTP/1.1 200 OK\r\nx-lab-backend: b\r\n{line}\r\n\r\n");
            let (head, _) = parse(text.as_bytes(), false, Some("x-upstream")).unwrap().unwrap();
            head.lab.server().map(str::to_owned)
        };
        assert_eq!(server("X-Upstream: 10.0.0.7:80").as_deref(), Some("10.0.0.7:80"));
        assert_eq!(server("x-upstream: 10.0.0.7:80, 10.0.0.8:80").as_deref(), Some("10.0.0.8:80"));
        assert_eq!(server("x-upstream: a, b : c").as_deref(), Some("c"));
        assert_eq!(server("x-other: c").as_deref(), Some("b"));
    }

    #[test]
    fn what_is_not_http_is_invalid_at_the_first_byte() {
        for text in [
            "SSH-2.0",
            "HTTQ",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 abc\r\n\r\n",
            "HTTP/1.1 099 x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        ] {
            assert_eq!(read(text), Err(Invalid), "{text}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(HEAD_LIMIT));
        assert_eq!(read(&endless), Err(Invalid));
    }
}
