//! The delta encoding in which Parquet stores whole numbers that change little.
//!
//! Apache Parquet format, "Encodings", DELTA_BINARY_PACKED = 5: blocks of 128 differences, each
//! less the smallest of its block, in four miniblocks of 32 packed to the width of the largest.
//! The crate's own encoder does the same in three times the time, which was half of the cost of
//! a row.

use super::pack;
use super::run_length::varint;

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = pack::VALUES;
const _: () = assert!(MINIBLOCKS * MINIBLOCK == BLOCK);

/// Encodes 64-bit values; differences wrap, so that signed and unsigned ones come out the same.
pub(super) struct DeltaEncoder {
    /// The value before the open block, and the values of the block.
    pending: [u64; 1 + BLOCK],
    /// How many of the block are there.
    filled: usize,
    first: u64,
    count: usize,
    min: u64,
    max: u64,
    blocks: Vec<u8>,
}

impl DeltaEncoder {
    pub(super) const fn new() -> Self {
        Self {
            pending: [0; 1 + BLOCK],
            filled: 0,
            first: 0,
            count: 0,
            min: u64::MAX,
            max: 0,
            blocks: Vec::new(),
        }
    }

    /// How many values there are.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Appends the value of each of `rows`.
    #[inline]
    pub(super) fn extend<R>(&mut self, rows: &[R], value: impl Fn(&R) -> u64) {
        let mut rows = rows;
        if self.count == 0
            && let Some((row, others)) = rows.split_first()
        {
            // The very first value stands in the header and has no difference.
            self.first = value(row);
            self.pending[0] = self.first;
            (self.min, self.max) = (self.first, self.first);
            self.count = 1;
            rows = others;
        }
        self.count += rows.len();
        while !rows.is_empty() {
            let free = &mut self.pending[1 + self.filled..];
            let (fitting, others) = rows.split_at(rows.len().min(free.len()));
            free.iter_mut().zip(fitting).for_each(|(free, row)| *free = value(row));
            self.filled += fitting.len();
            rows = others;
            if self.filled == BLOCK {
                self.end_block();
            }
        }
    }

    /// Smallest and largest value as unsigned ones; `None` without values.
    pub(super) fn range(&self) -> Option<(u64, u64)> {
        let pending = self.pending[1..=self.filled].iter();
        let (min, max) =
            pending.fold((self.min, self.max), |(min, max), v| (min.min(*v), max.max(*v)));
        (min <= max).then_some((min, max))
    }

    /// Appends the encoded values to `bytes`, and begins anew.
    pub(super) fn finish(&mut self, bytes: &mut Vec<u8>) {
        if self.filled > 0 {
            self.end_block_with(self.filled);
        }
        varint(BLOCK as u64, bytes);
        varint(MINIBLOCKS as u64, bytes);
        varint(self.count as u64, bytes);
        varint(zigzag(self.first.cast_signed()), bytes);
        bytes.extend_from_slice(&self.blocks);
        // The room that they took is kept: fresh memory costs more than to encode into it.
        self.blocks.clear();
        (self.filled, self.first, self.count, self.min, self.max) = (0, 0, 0, u64::MAX, 0);
    }

    #[inline(never)]
    fn end_block(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has what `end_block_wide` is compiled for: it was just asked.
            return unsafe { self.end_block_wide() };
        }
        self.end_block_with(BLOCK);
    }

    /// The same, with twice as many lanes in a register: whole numbers, so the bits are the same.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2")]
    fn end_block_wide(&mut self) {
        self.end_block_with(BLOCK);
    }

    /// Encodes the `length` pending values as a block; only the last block may be short.
    #[inline(always)]
    fn end_block_with(&mut self, length: usize) {
        let mut differences = [0; BLOCK];
        let (mut smallest, mut min, mut max) = (i64::MAX, self.min, self.max);
        let pairs = self.pending[..length].iter().zip(&self.pending[1..=length]);
        for (difference, (before, value)) in differences.iter_mut().zip(pairs) {
            *difference = value.wrapping_sub(*before);
            smallest = smallest.min(difference.cast_signed());
            min = min.min(*value);
            max = max.max(*value);
        }
        for difference in &mut differences[..length] {
            *difference = difference.wrapping_sub(smallest.cast_unsigned());
        }
        (self.min, self.max) = (min, max);
        self.pending[0] = self.pending[length];
        self.filled = 0;

        varint(zigzag(smallest), &mut self.blocks);
        let (miniblocks, _) = differences.as_chunks::<MINIBLOCK>();
        let mut widths = [0u8; MINIBLOCKS];
        for (width, miniblock) in widths.iter_mut().zip(miniblocks) {
            let all = miniblock.iter().fold(0, |all, difference| all | difference);
            *width = (u64::BITS - all.leading_zeros()) as u8;
        }
        self.blocks.extend_from_slice(&widths);
        let filled = length.div_ceil(MINIBLOCK);
        for (width, miniblock) in widths.iter().zip(miniblocks).take(filled) {
            pack::append(miniblock, usize::from(*width), &mut self.blocks);
        }
    }
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
        encoder.extend(values, |value| *value);
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
    fn it_does_not_matter_how_values_are_handed_in_or_what_was_there_before() {
        let values: Vec<u64> = (0..1000).map(|n| n * n % 777).collect();
        let mut encoder = DeltaEncoder::new();
        for piece in [1, 127, 128, 129, 300] {
            values.chunks(piece).for_each(|values| encoder.extend(values, |value| *value));
            assert_eq!(encoder.count(), 1000);
            assert_eq!(
                encoder.range(),
                values.iter().copied().min().zip(values.iter().copied().max())
            );
            let mut bytes = Vec::new();
            encoder.finish(&mut bytes);
            assert_eq!(bytes, encoded(&values), "{piece} at a time");
            assert_eq!((encoder.count(), encoder.range()), (0, None));
        }
    }
}
