//! Targets of requests (RFC 9112 3.2) and the hosts they name (RFC 3986 3.2.2).

use std::ops::Range;

use super::error::HeadError;

/// What a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// `/path?query`
    Origin,
    /// `http://host/path?query`: where host and the rest are in it.
    Absolute { host: Range<usize>, path: Range<usize> },
    /// `*`, with OPTIONS.
    Asterisk,
    /// `host:port`, with CONNECT.
    Authority,
}

pub(super) fn classify(target: &[u8], method: &[u8]) -> Result<Target, HeadError> {
    // A fragment is never sent, and what is beyond ASCII must be escaped.
    if !target.iter().fold(true, |good, byte| good & byte.is_ascii_graphic() & (*byte != b'#')) {
        return Err(HeadError::Target);
    }
    match target {
        _ if method == b"CONNECT" => {
            let port = target.rsplit(|byte| *byte == b':').next().unwrap_or_default();
            let good = is_host(target) && port.len() < target.len() && !target.ends_with(b"]");
            if good { Ok(Target::Authority) } else { Err(HeadError::Target) }
        }
        [b'/', ..] => Ok(Target::Origin),
        b"*" if method == b"OPTIONS" => Ok(Target::Asterisk),
        _ => absolute(target).ok_or(HeadError::Target),
    }
}

fn absolute(target: &[u8]) -> Option<Target> {
    let start = [b"http://".as_slice(), b"https://"]
        .iter()
        .find(|scheme| {
            target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        })?
        .len();
    let length = target[start..].iter().position(|byte| matches!(byte, b'/' | b'?'));
    let end = length.map_or(target.len(), |length| start + length);
    is_host(&target[start..end])
        .then_some(Target::Absolute { host: start..end, path: end..target.len() })
}

/// Whether `bytes` are a host with or without a port: a name, an IPv4 address, or an IPv6 address in
/// brackets. No user, no empty port.
pub(super) fn is_host(bytes: &[u8]) -> bool {
    let (host, port) = match bytes {
        [b'[', ..] => {
            let Some(end) = bytes.iter().position(|byte| *byte == b']') else { return false };
            let address = &bytes[1..end];
            let good = std::str::from_utf8(address)
                .is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
            if !good {
                return false;
            }
            (b"x".as_slice(), &bytes[end + 1..])
        }
        _ => {
            let end = bytes.iter().position(|byte| *byte == b':').unwrap_or(bytes.len());
            bytes.split_at(end)
        }
    };
    is_name(host) && is_port(port)
}

fn is_name(host: &[u8]) -> bool {
    !host.is_empty()
        && host.iter().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'%')
        })
}

fn is_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => {
            super::syntax::number(digits).is_some_and(|port| port <= u64::from(u16::MAX))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses_with_a_port_or_without() {
        for good in
            ["a", "shop.example:8080", "127.0.0.1:80", "[::1]", "[2001:db8::7]:443", "a_b-c"]
        {
            assert!(is_host(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a:", "a:b", "a:65536", "a:80:80", "user@a", "u:p@a", "a b", "a,b", "a/b",
            "[::1", "[::1]x", "[x]", "[]", "::1", "a?b", "a#b", "\u{e4}", "a\\b",
        ] {
            assert!(!is_host(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn targets_have_one_of_four_forms() {
        let of = |target: &str, method: &str| classify(target.as_bytes(), method.as_bytes());
        assert_eq!(of("/a?b=c|{}", "GET"), Ok(Target::Origin));
        assert_eq!(of("*", "OPTIONS"), Ok(Target::Asterisk));
        assert_eq!(of("a:80", "CONNECT"), Ok(Target::Authority));
        assert_eq!(of("HTTP://a:80/b", "GET"), Ok(Target::Absolute { host: 7..11, path: 11..13 }));
        assert_eq!(of("http://a?b", "GET"), Ok(Target::Absolute { host: 7..8, path: 8..10 }));
        for (bad, method) in [
            ("*", "GET"),
            ("a", "GET"),
            ("a:80", "GET"),
            ("ftp://a/", "GET"),
            ("http://", "GET"),
            ("http:///x", "GET"),
            ("http://u@a/", "GET"),
            ("/a#b", "GET"),
            ("/\u{e4}", "GET"),
            ("/a\tb", "GET"),
            ("a", "CONNECT"),
            ("/", "CONNECT"),
            ("", "GET"),
            ("[::1]", "CONNECT"),
        ] {
            assert_eq!(of(bad, method), Err(HeadError::Target), "{method} {bad}");
        }
    }
}
