//! Version 2: a binary header with a length, addresses and extensions (section 2.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, Malformed, Parsed};

pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, version and command, family and transport, and the length of what follows.
const FIXED: usize = 16;

/// Most bytes after the fixed part. The length field could say 65,535; what senders add to the
/// addresses (client certificates' names, identifiers of cloud networks) takes some hundred.
pub(super) const LENGTH_MAX: usize = 4096;

/// The header of a connection of the sender's own.
pub(super) const LOCAL: [u8; FIXED] = *b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

/// Family and transport.
const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// Whether `bytes`, as far as they go, begin as a header does.
pub(super) fn begins(bytes: &[u8]) -> bool {
    let length = bytes.len().min(SIGNATURE.len());
    bytes[..length] == SIGNATURE[..length]
}

/// Parses bytes that [`begins`] as a header.
///
/// # Errors
/// When they are none.
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, Malformed> {
    let proxied = match bytes.get(12) {
        None => return Ok(Parsed::Incomplete),
        Some(0x20) => false,
        Some(0x21) => true,
        Some(&value) if value >> 4 != 2 => return Err(undefined("version", value >> 4)),
        Some(&value) => return Err(undefined("command", value & 0xf)),
    };
    let Some(&kind) = bytes.get(13) else { return Ok(Parsed::Incomplete) };
    if kind >> 4 > 3 {
        return Err(undefined("address family", kind >> 4));
    }
    if kind & 0xf > 2 {
        return Err(undefined("transport", kind & 0xf));
    }
    let Some(&length) = bytes[14..].first_chunk() else { return Ok(Parsed::Incomplete) };
    let length = usize::from(u16::from_be_bytes(length));
    // What a connection of the sender's own says of addresses is to be skipped.
    let needed = if proxied { addresses_length(kind) } else { 0 };
    if length < needed {
        return Err(Malformed::TooShort { length, needed });
    }
    if length > LENGTH_MAX {
        return Err(Malformed::TooLong(length));
    }
    let Some(block) = bytes[FIXED..].get(..length) else { return Ok(Parsed::Incomplete) };
    let header = if proxied { addresses(kind, block) } else { Header::Unproxied };
    Ok(Parsed::Complete(header, FIXED + length))
}

const fn undefined(what: &'static str, value: u8) -> Malformed {
    Malformed::Undefined { what, value }
}

/// Bytes that the addresses of a family take.
const fn addresses_length(kind: u8) -> usize {
    match kind >> 4 {
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    }
}

/// Extensions (type, length, value) after the addresses are skipped. Unix sockets, datagrams and
/// the unspecified family name no client of ours.
fn addresses(kind: u8, block: &[u8]) -> Header {
    let found = match kind {
        TCP_OVER_IPV4 => pair::<4>(block, |ip| Ipv4Addr::from(ip).into()),
        TCP_OVER_IPV6 => pair::<16>(block, |ip| Ipv6Addr::from(ip).into()),
        _ => None,
    };
    found.map_or(Header::Unproxied, |(source, destination)| Header::Proxied { source, destination })
}

/// Two addresses, then two ports, all in network order.
fn pair<const N: usize>(
    block: &[u8],
    ip: fn([u8; N]) -> IpAddr,
) -> Option<(SocketAddr, SocketAddr)> {
    let (source, block) = block.split_first_chunk::<N>()?;
    let (destination, block) = block.split_first_chunk::<N>()?;
    let (source_port, block) = block.split_first_chunk::<2>()?;
    let destination_port = block.first_chunk::<2>()?;
    Some((
        SocketAddr::new(ip(*source), u16::from_be_bytes(*source_port)),
        SocketAddr::new(ip(*destination), u16::from_be_bytes(*destination_port)),
    ))
}

/// Both of one family.
pub(super) fn write(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(&SIGNATURE);
    let kind = if source.is_ipv4() { TCP_OVER_IPV4 } else { TCP_OVER_IPV6 };
    out.extend_from_slice(&[0x21, kind, 0, addresses_length(kind) as u8]);
    for at in [source, destination] {
        match at.ip() {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
    for at in [source, destination] {
        out.extend_from_slice(&at.port().to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, kind: u8, block: &[u8]) -> Vec<u8> {
        let mut bytes = SIGNATURE.to_vec();
        bytes.extend([command, kind]);
        bytes.extend((block.len() as u16).to_be_bytes());
        bytes.extend(block);
        bytes
    }

    const IPV4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

    #[test]
    fn addresses_are_read_and_extensions_skipped() {
        let expected = Header::Proxied {
            source: "192.0.2.1:56324".parse().expect("an address"),
            destination: "198.51.100.2:443".parse().expect("an address"),
        };
        // ALPN "h2", then a CRC that nobody needs to check.
        let extensions = b"\x01\x00\x02h2\x03\x00\x04\0\0\0\0";
        let bytes = header(0x21, 0x11, &[&IPV4[..], extensions].concat());
        assert_eq!(parse(&bytes), Ok(Parsed::Complete(expected, bytes.len())));
        assert_eq!(parse(&bytes[..bytes.len() - 1]), Ok(Parsed::Incomplete));
    }

    #[test]
    fn local_and_other_families_leave_the_connections_own_addresses() {
        for (command, kind, block) in [
            (0x20, 0x00, &[][..]),
            (0x20, 0x11, &IPV4),
            (0x20, 0x11, b"skipped"),
            (0x21, 0x00, &[]),
            (0x21, 0x00, b"anything"),
            (0x21, 0x12, &IPV4),
            (0x21, 0x31, &[0; 216]),
        ] {
            let bytes = header(command, kind, block);
            let parsed = parse(&bytes);
            assert_eq!(parsed, Ok(Parsed::Complete(Header::Unproxied, bytes.len())), "{kind:#x}");
        }
    }

    #[test]
    fn what_is_not_defined_is_refused() {
        for (command, kind) in
            [(0x11, 0x11), (0x31, 0x11), (0x22, 0x11), (0x21, 0x41), (0x21, 0x13)]
        {
            let parsed = parse(&header(command, kind, &[0; 36]));
            assert!(matches!(parsed, Err(Malformed::Undefined { .. })), "{command:#x} {kind:#x}");
        }
        let short = parse(&header(0x21, 0x21, &IPV4));
        assert_eq!(short, Err(Malformed::TooShort { length: 12, needed: 36 }));
        let long = parse(&header(0x21, 0x11, &[0; LENGTH_MAX + 1])[..FIXED]);
        assert_eq!(long, Err(Malformed::TooLong(LENGTH_MAX + 1)));
    }
}
