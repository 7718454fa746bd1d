//! Values of 64 bits packed side by side, each to so many bits as the largest needs.
//!
//! A function for each width: then every shift and every border between two words is known when it
//! is compiled, and a value costs three instructions.

/// How many values are packed at a time.
pub(super) const VALUES: usize = 32;

/// Appends `values`, none of which needs more than `width` bits, from the lowest bit on.
#[inline]
pub(super) fn append(values: &[u64; VALUES], width: usize, bytes: &mut Vec<u8>) {
    let start = bytes.len();
    bytes.resize(start + VALUES / 8 * width, 0);
    PACK[width](values, &mut bytes[start..]);
}

type Pack = fn(&[u64; VALUES], &mut [u8]);

/// Packs to `WIDTH` bits; `into` has exactly the room.
fn pack<const WIDTH: usize>(values: &[u64; VALUES], into: &mut [u8]) {
    assert!(into.len() == VALUES / 8 * WIDTH);
    let (words, half) = into.as_chunks_mut::<8>();
    let mut held = 0;
    macro_rules! each {
        ($($place:literal)*) => {$(
            let bit = $place * WIDTH % 64;
            held |= values[$place] << bit;
            if bit + WIDTH >= 64 {
                words[$place * WIDTH / 64] = held.to_le_bytes();
                held = if bit + WIDTH > 64 { values[$place] >> (64 - bit) } else { 0 };
            }
        )*};
    }
    each!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    if WIDTH % 2 == 1 {
        half.copy_from_slice(&(held as u32).to_le_bytes());
    }
}

macro_rules! widths {
    ($($width:literal)*) => {
        [$(pack::<$width>),*]
    };
}
/// Packs to the width that is its place.
static PACK: [Pack; 65] = widths!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
    33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_is_where_the_format_wants_it() {
        for width in 0..=64 {
            let mask = if width == 0 { 0 } else { u64::MAX >> (64 - width) };
            let value = |n: usize| (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) & mask;
            let values: [u64; VALUES] = std::array::from_fn(value);
            let mut bytes = vec![7];
            append(&values, width, &mut bytes);
            assert_eq!((bytes[0], bytes.len()), (7, 1 + 4 * width));
            for (n, value) in values.iter().enumerate() {
                let bit = |n: usize| u64::from(bytes[1 + n / 8] >> (n % 8) & 1);
                let found = (0..width).fold(0, |found, b| found | bit(n * width + b) << b);
                assert_eq!(found, *value, "width {width}, value {n}");
            }
        }
    }
}
