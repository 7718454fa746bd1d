//! Version 1: `PROXY TCP4 192.0.2.1 192.0.2.2 56324 443` and a line end (section 2.1).

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use super::{Header, Malformed, Parsed};

/// The longest line, its end included: `PROXY UNKNOWN` with two IPv6 addresses and two ports.
pub(super) const LENGTH_MAX: usize = 107;

/// The header of a connection whose addresses are not told.
pub(super) const UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";

const SIGNATURE: &[u8] = b"PROXY ";

/// Whether `bytes`, as far as they go, begin as a header does.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let length = bytes.len().min(SIGNATURE.len());
    bytes[..length] == SIGNATURE[..length]
}

/// Parses a line that [`begins`] as one.
///
/// # Errors
/// When it is none.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let within = &bytes[..bytes.len().min(LENGTH_MAX)];
    // A lone CR or LF ends no line and is allowed in none.
    let Some(end) = within.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if within.len() < LENGTH_MAX {
            Ok(Parsed::Incomplete)
        } else {
            Err(Malformed::LineTooLong)
        };
    };
    match (within[end], within.get(end + 1)) {
        (b'\r', Some(b'\n')) => {}
        (b'\r', None) if within.len() < LENGTH_MAX => return Ok(Parsed::Incomplete),
        (b'\r', None) => return Err(Malformed::LineTooLong),
        _ => return Err(Malformed::Line("CR and LF do not stand together")),
    }
    let line = str::from_utf8(&within[SIGNATURE.len()..end])
        .map_err(|_| Malformed::Line("the line is no text"))?;
    Ok(Parsed::Complete(header(line)?, end + 2))
}

fn header(line: &str) -> Result<Header, Malformed> {
    let mut words = line.split(' ');
    match words.next() {
        // Whatever stands between this word and the line end is to be ignored.
        Some("UNKNOWN") => Ok(Header::Unproxied),
        Some("TCP4") => addresses::<Ipv4Addr>(words),
        Some("TCP6") => addresses::<Ipv6Addr>(words),
        _ => Err(Malformed::Line("the protocol is none of TCP4, TCP6, UNKNOWN")),
    }
}

fn addresses<'a, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Result<Header, Malformed> {
    let source = ip::<A>(words.next())?;
    let destination = ip::<A>(words.next())?;
    let (source_port, destination_port) = (port(words.next())?, port(words.next())?);
    if words.next().is_some() {
        return Err(Malformed::Line("more than two addresses and two ports"));
    }
    Ok(Header::Proxied {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

fn ip<A: FromStr + Into<IpAddr>>(word: Option<&str>) -> Result<IpAddr, Malformed> {
    let address = word.and_then(|word| word.parse::<A>().ok());
    address.map(Into::into).ok_or(Malformed::Line("an address is not of the family"))
}

/// Decimal digits only; no zero in front, which might mean octal.
fn port(word: Option<&str>) -> Result<u16, Malformed> {
    word.filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        .filter(|word| word.len() == 1 || !word.starts_with('0'))
        .and_then(|word| word.parse().ok())
        .ok_or(Malformed::Line("a port is no number from 0 to 65535"))
}

/// Both of one family.
pub(super) fn write(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    // Writing to a vector cannot fail.
    drop(write!(out, "PROXY {family} {from} {to} {from_port} {to_port}\r\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Parsed, Malformed> {
        parse(line.as_bytes())
    }

    #[test]
    fn the_examples_of_the_specification_are_read() {
        let tcp4 = "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n";
        let all: SocketAddr = "255.255.255.255:65535".parse().expect("an address");
        let header = Header::Proxied { source: all, destination: all };
        assert_eq!(of(tcp4), Ok(Parsed::Complete(header, 56)));
        let tcp6 = "PROXY TCP6 ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"
            .replace("ffff:f...f:ffff", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        assert!(matches!(of(&tcp6), Ok(Parsed::Complete(Header::Proxied { .. }, 104))));
        let unknown = tcp6.replace("TCP6", "UNKNOWN");
        assert_eq!(unknown.len(), LENGTH_MAX, "the worst case of the specification");
        assert_eq!(of(&unknown), Ok(Parsed::Complete(Header::Unproxied, LENGTH_MAX)));
        assert_eq!(of("PROXY UNKNOWN\r\nGET"), Ok(Parsed::Complete(Header::Unproxied, 15)));
    }

    #[test]
    fn what_is_nearly_a_header_is_refused() {
        for line in [
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\rX",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
            "PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
            "PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
            "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
            "PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
            "PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
            "PROXY \r\n",
        ] {
            assert!(matches!(of(line), Err(Malformed::Line(_))), "{line:?}: {:?}", of(line));
        }
    }

    #[test]
    fn a_line_without_end_is_refused_at_its_limit() {
        let line = format!("PROXY UNKNOWN {}", "x".repeat(200));
        assert_eq!(of(&line[..LENGTH_MAX - 1]), Ok(Parsed::Incomplete));
        assert_eq!(of(&line[..LENGTH_MAX]), Err(Malformed::LineTooLong));
        let late = format!("{}\r\n", &line[..LENGTH_MAX - 1]);
        assert_eq!(of(&late), Err(Malformed::LineTooLong));
    }
}
