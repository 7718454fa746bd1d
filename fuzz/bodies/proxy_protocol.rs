//! A PROXY protocol header.

use lab::proxy::proxy_protocol::{Header, Parsed, Version, parse, write};

/// Parses a header; what is accepted is the same when it is written and parsed again.
pub(crate) fn run(data: &[u8]) {
    let Ok(Parsed::Complete(header, length)) = parse(data) else { return };
    assert!(length <= data.len());
    assert_eq!(
        parse(&data[..length]),
        Ok(Parsed::Complete(header, length)),
        "what is behind counts"
    );
    for shorter in [0, length / 2, length - 1] {
        assert_eq!(parse(&data[..shorter]), Ok(Parsed::Incomplete), "whole after {shorter} bytes");
    }
    let Header::Proxied { source, destination } = header else { return };
    assert_eq!(source.is_ipv4(), destination.is_ipv4());
    for version in [Version::V1, Version::V2] {
        let mut text = Vec::new();
        write(version, source, destination, &mut text);
        // Mapped addresses become those they stand for: from the second time on nothing changes.
        let Ok(Parsed::Complete(Header::Proxied { source, destination }, end)) = parse(&text)
        else {
            panic!("{text:?} is not read back");
        };
        assert_eq!(end, text.len());
        let mut again = Vec::new();
        write(version, source, destination, &mut again);
        assert_eq!(again, text);
    }
}
