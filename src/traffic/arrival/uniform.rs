//! Equally spaced arrivals.

/// Operational time of request `index`: a product, not a running sum, so no rounding accumulates.
#[must_use]
#[inline]
pub fn time(index: u64) -> f64 {
    index as f64
}
