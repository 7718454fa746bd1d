//! Numbers packed tightly for the page: LEB128 in base64, read back by `replay.js`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A growing row of numbers.
#[derive(Debug, Default)]
pub(super) struct Pack(Vec<u8>);

impl Pack {
    /// Seven bits per byte, the lowest first; the highest bit says that more follow.
    pub(super) fn unsigned(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// `to - from`, which may be negative: 0, -1, 1, -2, … are 0, 1, 2, 3, ….
    pub(super) fn step(&mut self, from: u64, to: u64) {
        let step = to.wrapping_sub(from) as i64;
        self.unsigned(((step << 1) ^ (step >> 63)) as u64);
    }

    /// All of it as text.
    pub(super) fn finish(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_long_as_they_must_be() {
        let mut pack = Pack::default();
        pack.unsigned(0);
        pack.unsigned(127);
        pack.unsigned(300);
        pack.step(5, 5);
        pack.step(5, 4);
        pack.step(5, 6);
        pack.step(0, 64);
        assert_eq!(pack.0, [0, 127, 0xac, 2, 0, 1, 2, 0x80, 1]);
        assert_eq!(pack.finish(), "AH+sAgABAoAB");
    }
}
