//! Poisson arrivals: independent exponential gaps.

use crate::traffic::logarithm::ln;
use crate::units::draw::unit_open;

/// An exponential gap of mean 1; a larger word gives a longer gap.
#[must_use]
#[inline]
pub fn gap(word: u64) -> f64 {
    -ln(unit_open(!word))
}
