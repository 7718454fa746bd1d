//! Slow start: a peer that returned or was added takes its share of the traffic step by step.
//!
//! Envoy's curve (`applySlowStartFactor` in `source/extensions/load_balancing_policies/common/
//! load_balancer_impl.cc`): weight × max(min weight, (elapsed / window)^(1 / aggression)). With
//! aggression 1 and a least share of 0 it is the straight line from 0 that NGINX's commercial
//! `slow_start` documents. Peers present at the start begin with their whole weight, as in HAProxy.
//! Methods that ignore weights or whose keys must stay where they are (hashes) take no part.

use crate::units::{Ratio, Span};

/// Shares are counted in thousandths while a peer of the group ramps up: weights are whole numbers,
/// and a thousandth is finer than any curve needs.
pub(super) const FINENESS: i64 = 1000;

/// Elapsed time is taken as at least this, as in Envoy.
const LEAST_ELAPSED: Span = Span::from_millis(1);

/// The form of the curve; each peer has a window of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// 1 is a straight line; above 1 it rises fast at first. Positive.
    pub aggression: f64,
    /// The share of the weight that a peer has at least, 0 to 1.
    pub min_weight: Ratio,
}

impl Default for SlowStart {
    /// Envoy's: a straight line from a tenth.
    fn default() -> Self {
        Self { aggression: 1.0, min_weight: Ratio(0.1) }
    }
}

impl SlowStart {
    /// The share of its weight, above 0 and at most 1, that a peer has `elapsed` after it came
    /// back, with a `window` above zero.
    #[must_use]
    pub fn share(&self, elapsed: Span, window: Span) -> f64 {
        if elapsed >= window {
            return 1.0;
        }
        let time = elapsed.max(LEAST_ELAPSED).0 as f64 / window.0 as f64;
        let risen =
            if self.aggression == 1.0 { time } else { libm::pow(time, 1.0 / self.aggression) };
        risen.max(self.min_weight.0).min(1.0)
    }
}

/// How long a share stays as it is: a five-hundredth of the window.
pub(super) fn step(window: Span) -> Span {
    (window / 500).max(LEAST_ELAPSED)
}

/// A share in thousandths of a peer of `weight`; above 0 unless failures took the whole weight.
pub(super) fn fine_weight(weight: u32, share: f64) -> i64 {
    let fine = f64::from(weight) * share * FINENESS as f64;
    if weight == 0 { 0 } else { (fine as i64).max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Span = Span::from_secs(10);

    fn at(slow_start: SlowStart, seconds: f64) -> f64 {
        slow_start.share(Span((seconds * 1e9) as u64), WINDOW)
    }

    #[test]
    fn the_line_rises_from_the_least_share_to_the_whole() {
        let shares: Vec<f64> =
            [0.0, 0.5, 1.0, 5.0, 9.9, 10.0, 99.0].map(|t| at(SlowStart::default(), t)).into();
        assert_eq!(shares, [0.1, 0.1, 0.1, 0.5, 0.99, 1.0, 1.0]);
    }

    #[test]
    fn aggression_bends_the_line() {
        let steep = SlowStart { aggression: 2.0, min_weight: Ratio(0.0) };
        assert!((at(steep, 2.5) - 0.5).abs() < 1e-12, "the square root of a quarter");
        let flat = SlowStart { aggression: 0.5, min_weight: Ratio(0.0) };
        assert!((at(flat, 5.0) - 0.25).abs() < 1e-12);
        assert!((at(flat, 0.0) - 1e-8).abs() < 1e-20, "a millisecond has always passed");
    }
}
