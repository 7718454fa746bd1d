//! The natural logarithm of the samplers.

/// Natural logarithm of a positive normal number.
#[must_use]
#[inline]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}
