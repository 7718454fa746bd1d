//! The delta encoding in which Parquet stores whole numbers that change little.
//!
//! Apache Parquet format, "Encodings", DELTA_BINARY_PACKED = 5: blocks of 128 differences, each
//! less the smallest of its block, in four miniblocks of 32 packed to the width of the largest.
//! The crate's own encoder does the same in three times the time, which was half of the cost of
//! a row.

use super::run_length::varint;

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Encodes 64-bit values; differences wrap, so that signed and unsigned ones come out the same.
pub(super) struct DeltaEncoder {
    /// The values of the open block; the first block has the very first value besides, which
    /// stands in the header and has no difference.
    pending: [u64; BLOCK + 1],
    filled: usize,
    /// How many make a block.
    full: usize,
    /// The value before the first pending one.
    last: u64,
    first: u64,
    count: usize,
    min: u64,
    max: u64,
    blocks: Vec<u8>,
}

impl DeltaEncoder {
    pub(super) const fn new() -> Self {
        Self {
            pending: [0; BLOCK + 1],
            filled: 0,
            full: BLOCK + 1,
            last: 0,
            first: 0,
            count: 0,
            min: u64::MAX,
            max: 0,
            blocks: Vec::new(),
        }
    }

    /// Appends `value` if `wanted`.
    #[inline]
    pub(super) fn push_if(&mut self, value: u64, wanted: bool) {
        // Without a branch on what may be a coin's toss: each is written, the wanted are kept.
        self.pending[self.filled] = value;
        self.filled += usize::from(wanted);
        if self.filled == self.full {
            self.end_block();
        }
    }

    /// Smallest and largest value as unsigned ones; `None` without values.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        let pending = self.pending[..self.filled].iter();
        let (min, max) =
            pending.fold((self.min, self.max), |(min, max), v| (min.min(*v), max.max(*v)));
        (min <= max).then_some((min, max))
    }

    /// Appends the encoded values to `bytes`.
    pub(super) fn finish(mut self, bytes: &mut Vec<u8>) {
        if self.filled > 0 {
            self.end_block();
        }
        varint(BLOCK as u64, bytes);
        varint(MINIBLOCKS as u64, bytes);
        varint(self.count as u64, bytes);
        varint(zigzag(self.first.cast_signed()), bytes);
        bytes.extend_from_slice(&self.blocks);
    }

    fn end_block(&mut self) {
        let values = &self.pending[..self.filled];
        for value in values {
            self.min = self.min.min(*value);
            self.max = self.max.max(*value);
        }
        let skipped = usize::from(self.count == 0);
        if self.count == 0 {
            self.first = values[0];
            self.last = values[0];
        }
        let mut deltas = [0; BLOCK];
        let mut previous = self.last;
        for (delta, value) in deltas.iter_mut().zip(&values[skipped..]) {
            *delta = value.wrapping_sub(previous);
            previous = *value;
        }
        self.count += values.len();
        self.last = previous;
        let length = values.len() - skipped;
        (self.filled, self.full) = (0, BLOCK);
        if length > 0 {
            encode_block(&mut deltas, length, &mut self.blocks);
        }
    }
}

/// Writes the first `length` of `deltas` as a block; only the last one may be short.
fn encode_block(deltas: &mut [u64; BLOCK], length: usize, bytes: &mut Vec<u8>) {
    let smallest = deltas[..length].iter().map(|d| d.cast_signed()).min().unwrap_or(0);
    for delta in &mut deltas[..length] {
        *delta = delta.wrapping_sub(smallest.cast_unsigned());
    }
    varint(zigzag(smallest), bytes);
    let mut widths = [0u8; MINIBLOCKS];
    for (width, miniblock) in widths.iter_mut().zip(deltas.chunks_exact(MINIBLOCK)) {
        let all = miniblock.iter().fold(0, |all, delta| all | delta);
        *width = (u64::BITS - all.leading_zeros()) as u8;
    }
    bytes.extend_from_slice(&widths);
    let filled = length.div_ceil(MINIBLOCK);
    for (width, miniblock) in widths.iter().zip(deltas.chunks_exact(MINIBLOCK)).take(filled) {
        pack(miniblock, u32::from(*width), bytes);
    }
}

/// Packs the miniblock's values of `width` bits from the lowest bit on.
fn pack(miniblock: &[u64], width: u32, bytes: &mut Vec<u8>) {
    let mut packed = [0u64; MINIBLOCK];
    let (mut held, mut bits, mut word) = (0u64, 0, 0);
    for value in miniblock {
        held |= value << bits;
        bits += width;
        if bits >= u64::BITS {
            packed[word] = held;
            word += 1;
            bits -= u64::BITS;
            // What did not fit; all of it did if no bits are left, where the shift is too far.
            held = value.checked_shr(width - bits).unwrap_or(0);
        }
    }
    packed[word.min(MINIBLOCK - 1)] |= held;
    let packed = packed.map(u64::to_le_bytes);
    bytes.extend_from_slice(&packed.as_flattened()[..MINIBLOCK * width as usize / 8]);
}

/// Small numbers of either sign to small unsigned ones.
const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(values: &[u64]) -> Vec<u8> {
        let mut encoder = DeltaEncoder::new();
        values.iter().for_each(|value| encoder.push_if(*value, true));
        let mut bytes = Vec::new();
        encoder.finish(&mut bytes);
        bytes
    }

    #[test]
    fn the_format_s_own_examples() {
        // 1 to 5: differences of 1, which need no bits.
        assert_eq!(encoded(&[1, 2, 3, 4, 5]), [0x80, 1, 4, 5, 2, 2, 0, 0, 0, 0]);
        // 7 5 3 1 2 3 4 5: differences -2 -2 -2 1 1 1 1, less -2: 0 0 0 3 3 3 3, in two bits.
        let bytes = encoded(&[7, 5, 3, 1, 2, 3, 4, 5]);
        assert_eq!(bytes[..9], [0x80, 1, 4, 8, 14, 3, 2, 0, 0]);
        assert_eq!(bytes[10..], [0b1100_0000, 0b0011_1111, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn no_value_is_a_header_alone() {
        assert_eq!(encoded(&[]), [0x80, 1, 4, 0, 0]);
        assert_eq!(encoded(&[3]), [0x80, 1, 4, 1, 6]);
    }

    /// The other way, for tests.
    fn decoded(bytes: &[u8]) -> Vec<u64> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let byte = bytes[0];
                *bytes = &bytes[1..];
                value |= u64::from(byte & 0x7f) << shift;
                if byte < 0x80 {
                    break;
                }
            }
            value
        }
        fn signed(bytes: &mut &[u8]) -> u64 {
            let value = varint(bytes);
            (value >> 1) ^ (value & 1).wrapping_neg()
        }
        let mut bytes = bytes;
        assert_eq!((varint(&mut bytes), varint(&mut bytes)), (128, 4));
        let count = varint(&mut bytes) as usize;
        let mut values = vec![signed(&mut bytes)];
        while values.len() < count {
            let smallest = signed(&mut bytes);
            let widths: [u8; 4] = bytes[..4].try_into().unwrap();
            bytes = &bytes[4..];
            for width in widths.map(usize::from) {
                for place in 0..32 {
                    if values.len() == count {
                        break;
                    }
                    let bit = |n: usize| u64::from(bytes[n / 8] >> (n % 8) & 1);
                    let delta = (0..width).fold(0, |delta, n| delta | bit(place * width + n) << n);
                    let last = values[values.len() - 1];
                    values.push(last.wrapping_add(smallest).wrapping_add(delta));
                }
                if values.len() < count || !bytes.is_empty() {
                    bytes = &bytes[(width * 4).min(bytes.len())..];
                }
            }
        }
        assert!(bytes.is_empty(), "{} bytes too many", bytes.len());
        values
    }

    proptest! {
        #[test]
        fn every_value_comes_back(
            values in prop::collection::vec((any::<u64>(), 0u32..64), 1..700),
            rising in any::<bool>(),
        ) {
            let mut sum = 0u64;
            let values: Vec<u64> = values
                .into_iter()
                .map(|(value, shift)| {
                    sum = sum.wrapping_add(value >> shift);
                    if rising { sum } else { value >> shift }
                })
                .collect();
            prop_assert_eq!(decoded(&encoded(&values)), values);
        }
    }

    #[test]
    fn unwanted_values_leave_no_trace() {
        let mut encoder = DeltaEncoder::new();
        (0..1000).for_each(|n| encoder.push_if(n, n % 3 == 0));
        assert_eq!(encoder.range(), Some((0, 999)));
        let mut bytes = Vec::new();
        encoder.finish(&mut bytes);
        let thirds: Vec<u64> = (0..1000).filter(|n| n % 3 == 0).collect();
        assert_eq!(bytes, encoded(&thirds));
    }
}
