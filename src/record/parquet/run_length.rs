//! The run-length and bit-packing hybrid in which Parquet stores small integers.
//!
//! Apache Parquet format, "Encodings", RLE = 3: a run is a varint `count << 1` and the value in
//! whole bytes; a literal is a varint `groups << 1 | 1` and groups of eight values, packed from
//! the lowest bit on. Only the last group may be filled up.

const GROUP: usize = 8;
/// Fewer values of a kind are no run.
pub(super) const SHORTEST_RUN: usize = GROUP;

/// Bits for values up to `largest`; at least 1, since some readers trip over a width of 0.
pub(super) const fn width_for(largest: u32) -> u8 {
    let bits = 32 - largest.leading_zeros();
    if bits == 0 { 1 } else { bits as u8 }
}

/// Appends `values`, none of which needs more than `width` bits.
pub(super) fn encode(values: &[u32], width: u8, into: &mut Vec<u8>) {
    let mut rest = values;
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|value| *value == first).count();
        let taken = if run >= SHORTEST_RUN {
            encode_same(*first, run, width, into);
            run
        } else {
            let literal = literal_length(rest);
            pack(&rest[..literal], width, into);
            literal
        };
        rest = &rest[taken..];
    }
}

/// Appends `value` as a run of `count`, at least [`SHORTEST_RUN`] of them, as [`encode`] would.
pub(super) fn encode_same(value: u32, count: usize, width: u8, into: &mut Vec<u8>) {
    varint((count as u64) << 1, into);
    into.extend_from_slice(&value.to_le_bytes()[..usize::from(width).div_ceil(8)]);
}

/// Appends `count` values of one bit, given 64 to a word from the lowest bit on.
pub(super) fn encode_bits(words: &[u64], count: usize, into: &mut Vec<u8>) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut rest = &bytes[..count.div_ceil(GROUP)];
    let mut left = count;
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|byte| *byte == first).count();
        let taken = if run > 1 && matches!(*first, 0 | u8::MAX) {
            varint(((run * GROUP).min(left) as u64) << 1, into);
            into.push(first & 1);
            run
        } else {
            let plain = |pair: &&[u8]| pair[0] != pair[1] || !matches!(pair[0], 0 | u8::MAX);
            let literal = rest.windows(2).take_while(plain).count();
            // The last byte is nobody's first.
            let literal = if literal + 1 == rest.len() { rest.len() } else { literal };
            varint(((literal as u64) << 1) | 1, into);
            into.extend_from_slice(&rest[..literal]);
            literal
        };
        rest = &rest[taken..];
        left = left.saturating_sub(taken * GROUP);
    }
}

/// How many values go into a literal: whole groups up to the next one of equal values.
fn literal_length(values: &[u32]) -> usize {
    let groups = values.chunks(GROUP).take_while(|group| !is_run(group)).count();
    (groups * GROUP).min(values.len())
}

fn is_run(group: &[u32]) -> bool {
    // Without a branch per value: whether two are equal is a coin's toss.
    group.len() == GROUP && group.iter().fold(0, |all, value| all | value ^ group[0]) == 0
}

fn pack(values: &[u32], width: u8, into: &mut Vec<u8>) {
    varint(((values.len().div_ceil(GROUP) as u64) << 1) | 1, into);
    let (groups, rest) = values.as_chunks::<GROUP>();
    let mut last = [0; GROUP];
    last[..rest.len()].copy_from_slice(rest);
    let groups = groups.iter().chain((!rest.is_empty()).then_some(&last));
    if width <= 8 {
        pack_narrow(groups, values.len().div_ceil(GROUP), usize::from(width), into);
        return;
    }
    let mut bits = 0u64;
    let mut held = 0;
    for value in groups.flatten() {
        bits |= u64::from(*value) << held;
        held += width;
        while held >= 8 {
            into.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    }
}

/// Packs groups of values of at most eight bits: a group fits into a word, and takes as many bytes
/// as a value has bits.
fn pack_narrow<'v>(
    groups: impl Iterator<Item = &'v [u32; GROUP]>,
    count: usize,
    width: usize,
    into: &mut Vec<u8>,
) {
    let mut place = into.len();
    // A whole word is written each time, and the next one over what was too much.
    into.resize(place + count * width + size_of::<u64>(), 0);
    for group in groups {
        let word = group.iter().rev().fold(0, |word, value| word << width | u64::from(*value));
        into[place..place + size_of::<u64>()].copy_from_slice(&word.to_le_bytes());
        place += width;
    }
    into.truncate(place);
}

/// Appends `value` seven bits at a time, the lowest first.
pub(super) fn varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push(value as u8 | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(values: &[u32], width: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(values, width, &mut bytes);
        bytes
    }

    #[test]
    fn the_format_s_own_example() {
        // 0 to 7 in three bits, from the description of the format.
        assert_eq!(
            encoded(&[0, 1, 2, 3, 4, 5, 6, 7], 3),
            [3, 0b1000_1000, 0b1100_0110, 0b1111_1010]
        );
    }

    #[test]
    fn long_runs_take_no_room() {
        assert_eq!(encoded(&[5; 1000], 3), [0xd0, 0x0f, 5]);
        assert_eq!(encoded(&[300; 8], 9), [16, 0x2c, 0x01]);
    }

    /// The other way, for tests.
    fn decoded(mut bytes: &[u8], count: usize) -> Vec<bool> {
        let mut values = Vec::new();
        while values.len() < count {
            let mut header = 0;
            for shift in (0..).step_by(7) {
                header |= u64::from(bytes[0] & 0x7f) << shift;
                let more = bytes[0] >= 0x80;
                bytes = &bytes[1..];
                if !more {
                    break;
                }
            }
            let length = (header >> 1) as usize;
            if header & 1 == 0 {
                values.extend(std::iter::repeat_n(bytes[0] == 1, length));
                bytes = &bytes[1..];
            } else {
                values.extend((0..length * 8).map(|bit| bytes[bit / 8] >> (bit % 8) & 1 == 1));
                bytes = &bytes[length..];
            }
        }
        values.truncate(count);
        values
    }

    #[test]
    fn bits_come_back_whatever_their_runs() {
        type Rule = fn(usize) -> bool;
        let rules: [Rule; 6] = [
            |_| true,
            |_| false,
            |n| n % 2 == 0,
            |n| n > 20,
            |n| n % 64 < 32,
            |n| (n * n) % 7 < 3 && n % 100 > 40,
        ];
        for rule in rules {
            for count in [1, 7, 8, 9, 63, 64, 65, 200, 1000] {
                let bits: Vec<bool> = (0..count).map(rule).collect();
                let word = |bits: &[bool]| {
                    bits.iter().enumerate().fold(0, |word, (n, bit)| word | u64::from(*bit) << n)
                };
                let words: Vec<u64> = bits.chunks(64).map(word).collect();
                let mut bytes = Vec::new();
                encode_bits(&words, count, &mut bytes);
                assert_eq!(decoded(&bytes, count), bits, "{count}");
            }
        }
        let mut bytes = Vec::new();
        encode_bits(&[u64::MAX; 2000], 128_000, &mut bytes);
        assert_eq!(bytes.len(), 4);
    }

    #[test]
    fn a_run_after_a_literal_starts_at_a_group() {
        let mut values = vec![1, 0, 1];
        values.extend([1; 20]);
        // One group of a literal, then fifteen ones as a run.
        assert_eq!(encoded(&values, 1), [3, 0b1111_1101, 30, 1]);
    }
}
