//! Where requests go, and how their heads read.

use std::net::SocketAddr;

use bytes::Bytes;

use super::config::Extras;
use crate::scenario::HashKey;
use crate::traffic::{ClassConfig, Request};

/// An HTTP server to send requests to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its address.
    pub address: SocketAddr,
    /// What the `host` header says.
    pub authority: String,
    /// In front of the path of every class; without a slash at its end.
    pub prefix: String,
    /// Whether it is reached through TLS.
    pub secure: bool,
}

/// Why a URL is no target.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is not of the form `http://host[:port][/path]`.
    #[error("`{url}` is not a URL like http://127.0.0.1:8080/: {why}")]
    Malformed {
        /// As given.
        url: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Its host has no address.
    #[error("`{url}` has no address: {source}")]
    Unresolved {
        /// As given.
        url: String,
        /// What the resolver says.
        source: std::io::Error,
    },
}

impl Target {
    /// Reads `url` and looks its host up.
    ///
    /// # Errors
    /// When it is none of HTTP or WebSocket, holds what cannot be sent, or its host is unknown.
    pub fn resolve(url: &str) -> Result<Self, TargetError> {
        let (target, path) = Self::with_path(url)?;
        Ok(Self { prefix: path.trim_end_matches('/').to_owned(), ..target })
    }

    /// As [`Target::resolve`], with the path and query beside it, exactly as written, or `/`.
    ///
    /// # Errors
    /// As [`Target::resolve`].
    pub fn with_path(url: &str) -> Result<(Self, String), TargetError> {
        let malformed = |why| TargetError::Malformed { url: url.to_owned(), why };
        let (secure, rest) = match url.split_once("://") {
            Some(("http" | "ws", rest)) => (false, rest),
            Some(("https" | "wss", rest)) => (true, rest),
            Some(_) => return Err(malformed("only http, https, ws and wss are supported")),
            None => return Err(malformed("it must begin with http://")),
        };
        let place = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(place);
        if authority.is_empty() || authority.contains('@') {
            return Err(malformed("it needs a host, and no user"));
        }
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || path.contains('#') {
            return Err(malformed("it holds characters that must be percent-encoded"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let address = lookup(authority, if secure { 443 } else { 80 })
            .map_err(|source| TargetError::Unresolved { url: url.to_owned(), source })?;
        let target =
            Self { address, authority: authority.to_owned(), prefix: String::new(), secure };
        Ok((target, path))
    }

    /// Its host's name or address, without the port.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = match split_port(&self.authority) {
            Some((host, _)) => host,
            None => &self.authority,
        };
        host.trim_matches(['[', ']'])
    }
}

/// Host and port, if there is one.
fn split_port(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = authority.rsplit_once(':')?;
    // A colon of an IPv6 address stands inside brackets.
    if host.starts_with('[') != host.ends_with(']') {
        return None;
    }
    Some((host, port.parse().ok()?))
}

fn lookup(authority: &str, port: u16) -> std::io::Result<SocketAddr> {
    use std::net::ToSocketAddrs;
    let (host, port) = split_port(authority).unwrap_or((authority, port));
    let mut found = (host.trim_matches(['[', ']']), port).to_socket_addrs()?;
    found.next().ok_or_else(|| std::io::Error::other("its name stands for no address"))
}

/// Bodies up to this many bytes are written with the head, in one system call; longer ones are not
/// copied for each request.
const SHORT: usize = 16 << 10;

/// The part of the requests of a class to a target that never changes.
#[derive(Clone, Debug)]
pub(super) struct Template {
    head: Vec<u8>,
    /// The head of a request with a key, before and behind its number.
    keyed: Option<[Vec<u8>; 2]>,
    /// A short body, which is written with the head.
    body: Bytes,
    /// A long one, which all requests share.
    apart: Bytes,
    pub(super) is_head: bool,
    pub(super) is_idempotent: bool,
}

impl Template {
    /// `hash_key` is where the balancer looks for the key.
    pub(super) fn new(
        target: &Target,
        class: &ClassConfig,
        hash_key: Option<&HashKey>,
        extras: &Extras,
    ) -> Self {
        let path = format!("{}{}", target.prefix, class.path);
        let path = if path.is_empty() { "/" } else { &path };
        let body = match &extras.body {
            Some(body) => body.clone(),
            None => vec![b'x'; class.body.0 as usize].into(),
        };
        let mut lines = if !body.is_empty() || matches!(&*class.method, "POST" | "PUT" | "PATCH") {
            format!("content-length: {}\r\n", body.len())
        } else {
            String::new()
        };
        let mut host = target.authority.clone();
        for (name, value) in &extras.headers {
            if name.eq_ignore_ascii_case("host") {
                host.clone_from(value);
            } else {
                lines.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        let method = &class.method;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{lines}").into_bytes();
        let keyed = hash_key.and_then(|key| keyed(key, target, class, &lines));
        let (is_head, is_idempotent) = (class.method == "HEAD", class.idempotent());
        let (body, apart) =
            if body.len() > SHORT { (Bytes::new(), body) } else { (body, Bytes::new()) };
        Self { head, keyed, body, apart, is_head, is_idempotent }
    }

    /// What follows behind the bytes of a request: its body, if that is long.
    pub(super) fn apart(&self) -> Bytes {
        self.apart.clone()
    }

    /// The bytes of `request`, up to a long body. Those of a trace carry their demand.
    /// `lines` are further lines of the head.
    pub(super) fn bytes(&self, request: &Request, lines: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.head.len() + self.body.len() + 80);
        self.append(request, lines, &mut bytes);
        bytes
    }

    /// Appends them.
    pub(super) fn append(
        &self,
        request: &Request,
        lines: impl FnOnce(&mut Vec<u8>),
        bytes: &mut Vec<u8>,
    ) {
        match &self.keyed {
            Some([before, behind]) if request.key != 0 => {
                bytes.extend_from_slice(before);
                number(request.key, bytes);
                bytes.extend_from_slice(behind);
            }
            _ => bytes.extend_from_slice(&self.head),
        }
        bytes.extend_from_slice(b"x-lab-id: ");
        number(request.id, bytes);
        if let Some(demand) = request.demand {
            bytes.extend_from_slice(b"\r\nx-lab-demand-ns: ");
            number(demand.0, bytes);
        }
        bytes.extend_from_slice(b"\r\n");
        lines(bytes);
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
    }
}

fn number(value: u64, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The head of a request with a key, before and behind its number; `None` where the client's
/// address is the key. What is hashed begins as the model has it: see [`HashKey::carrier`].
fn keyed(
    key: &HashKey,
    target: &Target,
    class: &ClassConfig,
    length: &str,
) -> Option<[Vec<u8>; 2]> {
    let (method, host, prefix) = (&class.method, &target.authority, &target.prefix);
    let before = key.carrier(class).before;
    let query = class.path.find('?').map_or("", |place| &class.path[place..]);
    let plain = format!("{method} {prefix}{} HTTP/1.1\r\nhost: ", class.path);
    let [before, behind] = match key {
        HashKey::Client => return None,
        HashKey::Uri => {
            let behind = format!(" HTTP/1.1\r\nhost: {host}\r\n{length}");
            [format!("{method} {prefix}{before}"), behind]
        }
        HashKey::Path => {
            let behind = format!("{query} HTTP/1.1\r\nhost: {host}\r\n{length}");
            [format!("{method} {prefix}{before}"), behind]
        }
        HashKey::Host => [format!("{plain}{before}"), format!("\r\n{length}")],
        HashKey::Header(name) => [format!("{plain}{host}\r\n{length}{name}: "), "\r\n".to_owned()],
        HashKey::Cookie(name) => {
            [format!("{plain}{host}\r\n{length}cookie: {name}="), "\r\n".to_owned()]
        }
    };
    Some([before.into_bytes(), behind.into_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{self, Nanos, Ratio, Span};

    #[test]
    fn a_url_is_read_or_refused_with_its_reason() {
        let target = Target::resolve("http://127.0.0.1:8080/api/?x=1").unwrap();
        assert_eq!(target.address, "127.0.0.1:8080".parse().unwrap());
        assert_eq!(
            (target.authority.as_str(), target.prefix.as_str()),
            ("127.0.0.1:8080", "/api/?x=1")
        );
        assert_eq!(Target::resolve("http://127.0.0.1").unwrap().address.port(), 80);
        let six = Target::resolve("http://[::1]:81/").unwrap();
        assert_eq!((six.prefix.as_str(), six.host(), six.address.port()), ("", "::1", 81));
        let secure = Target::resolve("https://[::1]/x").unwrap();
        assert_eq!((secure.secure, secure.host(), secure.address.port()), (true, "::1", 443));
        assert!(Target::resolve("wss://localhost/x").unwrap().secure);
        for (url, word) in [
            ("ftp://127.0.0.1/", "only http"),
            ("127.0.0.1:80", "begin with"),
            ("http:///x", "host"),
            ("http://127.0.0.1/a b", "percent-encoded"),
            ("http://127.0.0.1/a\r\nx:", "percent-encoded"),
        ] {
            let message = Target::resolve(url).unwrap_err().to_string();
            assert!(message.contains(word), "{url}: {message}");
        }
    }

    #[test]
    fn a_request_carries_its_id_and_a_demand_only_if_it_has_one() {
        let target = Target::resolve("http://127.0.0.1:8080/").unwrap();
        let class = ClassConfig {
            name: "upload".to_owned(),
            path: "/up".to_owned(),
            method: "POST".to_owned(),
            share: Ratio(1.0),
            body: units::Bytes(3),
        };
        let template = Template::new(&target, &class, None, &Extras::default());
        let mut request =
            Request { id: 7, at: Nanos::ZERO, class: 0, key: 0, demand_word: 0, demand: None };
        let head =
            "POST /up HTTP/1.1\r\nhost: 127.0.0.1:8080\r\ncontent-length: 3\r\nx-lab-id: 7\r\n";
        assert_eq!(template.bytes(&request, |_| {}), format!("{head}\r\nxxx").as_bytes());
        request.demand = Some(Span(9));
        assert_eq!(
            template.bytes(&request, |_| {}),
            format!("{head}x-lab-demand-ns: 9\r\n\r\nxxx").as_bytes()
        );
        assert!(template.apart().is_empty());
        let long = ClassConfig { body: units::Bytes(1 << 20), ..class };
        let template = Template::new(&target, &long, None, &Extras::default());
        request.demand = None;
        let head = head.replace("length: 3", "length: 1048576");
        assert_eq!(template.bytes(&request, |_| {}), format!("{head}\r\n").as_bytes());
        assert_eq!(template.apart().len(), 1 << 20);
    }

    #[test]
    fn a_key_is_where_the_balancer_looks_for_it() {
        let target = Target::resolve("http://127.0.0.1:8080/").unwrap();
        let class = ClassConfig {
            name: "all".to_owned(),
            path: "/a?x=1".to_owned(),
            method: "GET".to_owned(),
            share: Ratio(1.0),
            body: units::Bytes(0),
        };
        let mut request =
            Request { id: 7, at: Nanos::ZERO, class: 0, key: 42, demand_word: 0, demand: None };
        let (line, host) = ("GET /a?x=1 HTTP/1.1\r\n", "host: 127.0.0.1:8080\r\n");
        for (key, head) in [
            (HashKey::Client, format!("{line}{host}")),
            (HashKey::Uri, format!("GET /a?x=1&key=42 HTTP/1.1\r\n{host}")),
            (HashKey::Path, format!("GET /a/42?x=1 HTTP/1.1\r\n{host}")),
            (HashKey::Host, format!("{line}host: key-42\r\n")),
            (HashKey::Header("x-user".to_owned()), format!("{line}{host}x-user: 42\r\n")),
            (HashKey::Cookie("id".to_owned()), format!("{line}{host}cookie: id=42\r\n")),
        ] {
            request.key = 42;
            let template = Template::new(&target, &class, Some(&key), &Extras::default());
            let bytes = String::from_utf8(template.bytes(&request, |_| {})).unwrap();
            assert_eq!(bytes, format!("{head}x-lab-id: 7\r\n\r\n"), "{key:?}");
            request.key = 0;
            let bytes = String::from_utf8(template.bytes(&request, |_| {})).unwrap();
            assert_eq!(bytes, format!("{line}{host}x-lab-id: 7\r\n\r\n"), "without {key:?}");
        }
    }
}
