//! The PROXY protocol, versions 1 and 2: the addresses of a connection that comes through another
//! proxy, said in its first bytes.
//!
//! Source: W. Tarreau, "The PROXY protocol, versions 1 & 2", haproxy.org, `doc/proxy-protocol.txt`
//! of HAProxy 2.6; section 2.1 is version 1, section 2.2 version 2. Parsing and writing are pure;
//! `receive` reads a header from a socket and not one byte more.

mod receive;
mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr};

pub(super) use receive::{ReceiveError, Received, receive};

/// Which form of the header is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection is the sender's own (`LOCAL`), or its addresses are unknown or of another
    /// kind than IP over TCP: those of the connection itself hold.
    Unproxied,
    /// The connection was made for a client.
    Proxied {
        /// Where the client is.
        source: SocketAddr,
        /// Where it connected to; of the same family.
        destination: SocketAddr,
    },
}

/// What the bytes so far are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A header, and the number of bytes it takes.
    Complete(Header, usize),
    /// The beginning of a header: every byte belongs to it.
    Incomplete,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Neither version begins so.
    #[error("neither \"PROXY \" nor the signature of version 2")]
    Signature,
    /// No end of the line within what version 1 allows.
    #[error("version 1: no line end within {} bytes", v1::LENGTH_MAX)]
    LineTooLong,
    /// Not text as version 1 writes it.
    #[error("version 1: {0}")]
    Line(&'static str),
    /// Version, command, family or transport that is not defined.
    #[error("version 2: {what} {value:#x} is not defined")]
    Undefined {
        /// What it stands for.
        what: &'static str,
        /// As received.
        value: u8,
    },
    /// Too short for the addresses it announces, in bytes.
    #[error("version 2: {length} bytes cannot hold addresses that take {needed}")]
    TooShort {
        /// The announced length.
        length: usize,
        /// What the family takes.
        needed: usize,
    },
    /// More extensions than anybody sends, in bytes.
    #[error("version 2: {0} bytes, more than {max}", max = v2::LENGTH_MAX)]
    TooLong(usize),
}

/// Parses the header at the beginning of `bytes`. Never panics, whatever they are.
///
/// # Errors
/// When no header begins so, as early as that is certain.
pub fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    if v2::begins(bytes) {
        v2::parse(bytes)
    } else if v1::begins(bytes) {
        v1::parse(bytes)
    } else {
        Err(Malformed::Signature)
    }
}

/// Appends a header for a connection from `source` to `destination`. An IPv4 address mapped into
/// IPv6 is written as IPv4; where only one of them is IPv4, both are written as IPv6.
pub fn write(version: Version, source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let (source, destination) = one_family(source, destination);
    match version {
        Version::V1 => v1::write(source, destination, out),
        Version::V2 => v2::write(source, destination, out),
    }
}

/// Appends a header for a connection of the proxy's own, such as a health check: `LOCAL`, or
/// `UNKNOWN` in version 1, which has no word for it.
pub fn write_local(version: Version, out: &mut Vec<u8>) {
    out.extend_from_slice(match version {
        Version::V1 => v1::UNKNOWN,
        Version::V2 => &v2::LOCAL,
    });
}

fn one_family(first: SocketAddr, second: SocketAddr) -> (SocketAddr, SocketAddr) {
    let plain = |at: SocketAddr| SocketAddr::new(at.ip().to_canonical(), at.port());
    let (first, second) = (plain(first), plain(second));
    if first.is_ipv4() == second.is_ipv4() { (first, second) } else { (wide(first), wide(second)) }
}

fn wide(at: SocketAddr) -> SocketAddr {
    match at.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), at.port()),
        IpAddr::V6(_) => at,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address() -> impl Strategy<Value = SocketAddr> {
        prop_oneof![
            any::<([u8; 4], u16)>().prop_map(SocketAddr::from),
            any::<([u8; 16], u16)>().prop_map(SocketAddr::from),
        ]
    }

    fn version() -> impl Strategy<Value = Version> {
        prop_oneof![Just(Version::V1), Just(Version::V2)]
    }

    proptest! {
        /// What is written is read back, whatever follows it, and every part of it is a beginning.
        #[test]
        fn a_written_header_is_read_back(
            version in version(), source in address(), destination in address(),
            rest in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = Vec::new();
            write(version, source, destination, &mut bytes);
            let length = bytes.len();
            for end in 0..length {
                prop_assert_eq!(parse(&bytes[..end]), Ok(Parsed::Incomplete));
            }
            bytes.extend(rest);
            let (source, destination) = one_family(source, destination);
            let header = Header::Proxied { source, destination };
            prop_assert_eq!(parse(&bytes), Ok(Parsed::Complete(header, length)));
        }

        /// Nothing panics, no header is longer than its bytes, and more bytes change no verdict.
        #[test]
        fn any_bytes_are_judged_once(
            start in prop_oneof![Just(&b""[..]), Just(&b"PROXY TCP4 "[..]), Just(&v2::SIGNATURE[..])],
            rest in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let bytes = [start, &rest].concat();
            let whole = parse(&bytes);
            if let Ok(Parsed::Complete(_, length)) = whole {
                prop_assert!(length <= bytes.len());
            }
            for end in 0..bytes.len() {
                let part = parse(&bytes[..end]);
                prop_assert!(part == Ok(Parsed::Incomplete) || part == whole, "{:?}", part);
            }
        }
    }

    #[test]
    fn the_beginning_of_a_request_is_no_header() {
        assert_eq!(parse(b"G"), Err(Malformed::Signature));
        assert_eq!(parse(b"PRI * HTTP/2.0\r\n"), Err(Malformed::Signature));
        assert_eq!(parse(b""), Ok(Parsed::Incomplete));
    }

    #[test]
    fn the_proxys_own_connections_are_said_to_be_so() {
        for version in [Version::V1, Version::V2] {
            let mut bytes = Vec::new();
            write_local(version, &mut bytes);
            let length = bytes.len();
            assert_eq!(parse(&bytes), Ok(Parsed::Complete(Header::Unproxied, length)));
        }
    }

    #[test]
    fn two_families_become_one() {
        let four: SocketAddr = "192.0.2.1:1".parse().expect("an address");
        let six: SocketAddr = "[2001:db8::1]:2".parse().expect("an address");
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:1".parse().expect("an address");
        assert_eq!(one_family(four, six), (mapped, six));
        assert_eq!(one_family(mapped, four), (four, four));
    }
}
