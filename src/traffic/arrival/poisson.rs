//! Poisson arrivals: independent exponential gaps.

use crate::traffic::logarithm::{LANES, ln, ln_of};
use crate::units::draw::unit_open;

/// An exponential gap of mean 1; a larger word gives a longer gap.
#[must_use]
#[inline]
pub fn gap(word: u64) -> f64 {
    -ln(unit_open(!word))
}

/// The gaps of several words, each as [`gap`] gives it.
#[must_use]
#[inline]
pub fn gaps(words: [u64; LANES]) -> [f64; LANES] {
    ln_of(words.map(|word| unit_open(!word))).map(|ln| -ln)
}
