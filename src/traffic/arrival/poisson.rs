//! Poisson arrivals: independent exponential gaps.

use crate::traffic::logarithm::{LANES, ln, ln_of};
use crate::units::draw::unit_open;

/// An exponential gap of mean 1; a larger word gives a longer gap.
#[must_use]
#[inline]
pub fn gap(word: u64) -> f64 {
    -ln(unit_open(!word))
}

/// The gaps of several words, each as [`gap`] gives it. Always inlined, for whichever processor the
/// caller is compiled.
#[must_use]
#[inline(always)]
pub fn gaps(words: [u64; LANES]) -> [f64; LANES] {
    let mut uniforms = [0.0; LANES];
    for (uniform, word) in uniforms.iter_mut().zip(words) {
        *uniform = unit_open(!word);
    }
    let mut gaps = ln_of(uniforms);
    for gap in &mut gaps {
        *gap = -*gap;
    }
    gaps
}
