//! A request's key as xxHash64 sees it, and the text of an address without an allocation.

use std::fmt::Write as _;
use std::net::IpAddr;

use twox_hash::XxHash64;

/// xxHash64 with seed 0, as Envoy hashes header values; 0 for an empty key.
pub(super) fn digest(key: &[u8]) -> u64 {
    if key.is_empty() { 0 } else { XxHash64::oneshot(0, key) }
}

/// The text of an address.
pub(super) fn address(address: IpAddr) -> AddressText {
    let mut text = AddressText { bytes: [0; AddressText::MAX], length: 0 };
    // The longest address fits, so writing cannot fail.
    let _ = write!(text, "{address}");
    text
}

/// An address as text, on the stack.
pub(super) struct AddressText {
    bytes: [u8; Self::MAX],
    length: usize,
}

impl AddressText {
    /// `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`.
    const MAX: usize = 45;

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl std::fmt::Write for AddressText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        let room = self.bytes.get_mut(self.length..end).ok_or(std::fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_its_text() {
        for text in ["8.8.8.8", "255.255.255.255", "::1", "2001:db8::1:ffff:ffff:ffff"] {
            assert_eq!(address(text.parse().unwrap()).as_bytes(), text.as_bytes());
        }
        let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        assert_eq!(address(longest).as_bytes().len(), 39);
    }

    /// The known answers of the reference implementation (`xxhsum`, XXH64, seed 0).
    #[test]
    fn digests_are_those_of_the_reference() {
        assert_eq!(digest(b"a"), 0xd24e_c4f1_a98c_6e5b);
        assert_eq!(digest(b"abc"), 0x44bc_2cf5_ad77_0999);
        assert_eq!(digest(b""), 0);
    }
}
