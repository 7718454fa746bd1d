//! The natural logarithm of the samplers: the same bits on every machine, and cheaper than libm's
//! (no division), since most of the cost of an exponential draw is its logarithm.
//!
//! The argument is `2^k z` with `z` in 0.6875..1.375. A table gives, for each of 128 intervals of
//! `z`, a number `inverse` close to `1 / z` with 11 significant bits, and `-ln(inverse)`. Then
//! `r = z * inverse - 1` is small and, since `z` is split into two halves, free of rounding but for
//! the last addition, and `ln(2^k z) = k ln 2 - ln(inverse) + ln(1 + r)`, where `ln(1 + r)` is
//! eight terms of its series (|r| < 2^-7: the ninth is below 2^-58 of the whole). P. T. P. Tang,
//! "Table-driven implementation of the logarithm function in IEEE floating-point arithmetic", ACM
//! TOMS 16(4), 1990; his second word for `k ln 2 - ln(inverse)` is left out, since a draw needs no
//! correctly rounded logarithm. IEEE 754 fixes every result of the additions and multiplications
//! used here, so a compiler or processor has no say.

use std::f64::consts::LN_2;

/// Natural logarithm of a positive normal number, within 2 units in the last place of libm's.
/// Other arguments give some number.
#[must_use]
#[inline]
pub fn ln(x: f64) -> f64 {
    let [y] = ln_of([x]);
    y
}

/// How many logarithms [`ln_of`] does best at a time: enough that its loops pay, and few enough that
/// what passes from one to the next stays in the nearest cache.
pub const LANES: usize = 32;

/// The natural logarithms of several numbers, each as [`ln`] gives it, in half the time: the looking
/// up in the table is a loop of its own, so that the compiler can do the rest for some at a time.
/// Always inlined, for whichever processor the caller is compiled.
#[must_use]
#[inline(always)]
pub fn ln_of<const N: usize>(x: [f64; N]) -> [f64; N] {
    let (mut inverse, mut log) = ([0.0; N], [0.0; N]);
    for ((inverse, log), x) in inverse.iter_mut().zip(&mut log).zip(x) {
        let shifted = x.to_bits().wrapping_sub(FIRST.to_bits());
        [*inverse, *log] = TABLE[(shifted >> (52 - INTERVAL_BITS)) as usize % INTERVALS];
    }
    let mut y = x;
    for ((inverse, log), y) in inverse.into_iter().zip(log).zip(&mut y) {
        let bits = y.to_bits();
        let shifted = bits.wrapping_sub(FIRST.to_bits());
        // Its upper half holds all of the exponent, and 32 bits become a number faster than 64.
        let exponent = f64::from((shifted >> 32) as i32 >> 20);
        let z_bits = bits.wrapping_sub(shifted & (0xfff << 52));
        let z = f64::from_bits(z_bits);
        let z_high = f64::from_bits(z_bits & (u64::MAX << 32));
        let r = (z_high * inverse - 1.0) + (z - z_high) * inverse;
        let r2 = r * r;
        let later =
            (1.0 / 3.0 - 0.25 * r) + r2 * ((0.2 - r * (1.0 / 6.0)) + r2 * (1.0 / 7.0 - 0.125 * r));
        *y = (exponent * LN_2 + log) + (r - r2 * (0.5 - r * later));
    }
    y
}

/// Lower end of the range of `z`.
const FIRST: f64 = 0.6875;
const INTERVAL_BITS: u32 = 7;
const INTERVALS: usize = 1 << INTERVAL_BITS;
/// `inverse` is a whole number of these parts of 1.
const PARTS: i128 = 1024;

/// Bits behind the binary point of the integers in which the table is computed.
const FIXED_BITS: u32 = 100;
static TABLE: [[f64; 2]; INTERVALS] = table();

/// Computed by the compiler in integers, so there are no constants to mistype.
const fn table() -> [[f64; 2]; INTERVALS] {
    let mut table = [[0.0; 2]; INTERVALS];
    let mut interval = 0;
    while interval < INTERVALS {
        let step = 52 - INTERVAL_BITS;
        let from = f64::from_bits(FIRST.to_bits() + ((interval as u64) << step));
        let until = f64::from_bits(FIRST.to_bits() + ((interval as u64 + 1) << step));
        let parts = if from == 1.0 || until == 1.0 {
            // Around 1 the logarithm vanishes, and only r itself keeps the relative error small.
            PARTS
        } else {
            (PARTS as f64 * 2.0 / (from + until) + 0.5) as i128
        };
        // A cast rounds to the nearest.
        let log = ln_ratio(PARTS, parts) as f64 / (1_u128 << FIXED_BITS) as f64;
        table[interval] = [parts as f64 / PARTS as f64, log];
        interval += 1;
    }
    table
}

/// `ln(over / under)` in fixed point, by the series of the inverse hyperbolic tangent of
/// `(over - under) / (over + under)`.
const fn ln_ratio(over: i128, under: i128) -> i128 {
    let (difference, sum) = (over - under, over + under);
    let mut power = (difference << FIXED_BITS) / sum;
    let (mut total, mut odd) = (0, 1);
    while power != 0 {
        total += power / odd;
        power = power * difference / sum * difference / sum;
        odd += 2;
    }
    2 * total
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::draw::unit_open;
    use crate::units::{Purpose, Seed};

    /// Distance in units in the last place of libm's logarithm, which itself errs by up to one.
    fn distance(x: f64) -> u64 {
        ln(x).to_bits().abs_diff(libm::log(x).to_bits())
    }

    #[test]
    fn it_agrees_with_libm_to_the_last_places() {
        let seed = Seed::new(8, 0);
        let (mut worst, mut different) = (0, 0);
        for i in 0..400_000 {
            let [a, b] = seed.words(Purpose::Request, i);
            // Uniforms as the samplers use them, all magnitudes, and values close to 1.
            let wide = f64::from_bits(b >> 2 | 1 << 52);
            let close = 1.0 + (unit_open(b) - 0.5) * unit_open(a) * 0.02;
            for x in [unit_open(a), wide, close] {
                worst = worst.max(distance(x));
                different += u32::from(distance(x) > 0);
            }
        }
        assert!(worst <= 2, "{worst} units");
        assert!(different < 400_000, "{different} of 1,200,000 differ from libm");
    }

    #[test]
    fn it_is_exact_where_the_logarithm_is_known() {
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(2.0), LN_2);
        assert_eq!(ln(10.0), std::f64::consts::LN_10);
        assert_eq!(ln(f64::MIN_POSITIVE), -708.396_418_532_264_1);
        assert_eq!(ln(f64::MAX), 709.782_712_893_384);
        assert_eq!(ln(1.0 - f64::EPSILON / 2.0), -f64::EPSILON / 2.0);
        assert_eq!(ln(1.0 + f64::EPSILON), f64::EPSILON * (1.0 - f64::EPSILON / 2.0));
    }

    #[test]
    fn it_holds_on_both_sides_of_each_border_of_its_intervals() {
        for interval in 0..INTERVALS as u64 {
            let border = FIRST.to_bits() + (interval << (52 - INTERVAL_BITS));
            for exponent in [0_i64, -1, 1, -30, 300] {
                for offset in -2..=2 {
                    let bits = border.wrapping_add_signed(offset + (exponent << 52));
                    assert!(distance(f64::from_bits(bits)) <= 2, "interval {interval}");
                }
            }
        }
    }

    #[test]
    fn several_are_what_each_is() {
        let seed = Seed::new(9, 0);
        for i in 0..5_000 {
            let words = seed.words_from::<LANES>(Purpose::Request, LANES as u64 * i)[0];
            // Numbers of all magnitudes, negative ones and those that are none too.
            let numbers = words.map(if i % 2 == 0 { unit_open } else { f64::from_bits });
            let together = ln_of(numbers).map(f64::to_bits);
            assert_eq!(together, numbers.map(|x| ln(x).to_bits()));
        }
    }

    #[test]
    fn nothing_panics() {
        for x in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 5e-324] {
            let _ = ln(x);
        }
    }
}
