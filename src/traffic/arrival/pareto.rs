//! Pareto renewal arrivals: independent heavy-tailed gaps, so arrivals cluster.
//!
//! The first arrival comes a whole gap after zero (an ordinary renewal process). Below an `alpha`
//! of 2 the variance of a gap is infinite, and the offered load of any run of finite length is
//! far from its mean.

use crate::traffic::logarithm::ln;
use crate::units::draw::unit_open;

/// A Pareto gap of mean 1: at least `(alpha - 1) / alpha`, exceeded with probability
/// `(minimum / gap)^alpha`. A larger word gives a longer gap.
#[must_use]
#[inline]
pub fn gap(alpha: f64, word: u64) -> f64 {
    let minimum = (alpha - 1.0) / alpha;
    // Out-of-range parameters must not send time backwards.
    (minimum * libm::exp(-ln(unit_open(!word)) / alpha)).max(0.0)
}
