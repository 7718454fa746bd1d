//! The pause before a retry: exponential, with full jitter.
//!
//! Envoy's `JitteredExponentialBackOffStrategy` (`source/common/common/backoff_strategy.cc`): before
//! retry n it waits a time uniform in [0, b_n), where b_1 is the base and b doubles while it is below
//! half of the longest, then is the longest. Drawn from the seed by request and attempt, so that
//! both worlds wait equally long.

use crate::units::{Draw, Purpose, Seed, Span};

/// The pause as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// Bound of the first pause; positive. Envoy's default is 25 ms.
    pub base: Span,
    /// Longest bound; not below the base. Envoy's default is ten times the base.
    pub max: Span,
}

impl BackoffConfig {
    /// The pause before attempt `number` (from 2) of request `id`.
    pub(super) fn pause(&self, seed: Seed, id: u64, number: u16) -> Span {
        self.drawn(seed.draw(Purpose::Jitter, id, number), number.saturating_sub(1))
    }

    /// The pause before retry `retry` (from 1) by a draw of its own.
    pub fn drawn(&self, mut draw: Draw, retry: u16) -> Span {
        Span(draw.below(self.bound(retry).0))
    }

    /// The bound of the pause before retry `retry` (from 1).
    fn bound(&self, retry: u16) -> Span {
        let mut bound = self.base.min(self.max);
        for _ in 1..retry {
            if bound >= self.max / 2 {
                return self.max;
            }
            bound = bound * 2;
        }
        bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENVOYS: BackoffConfig =
        BackoffConfig { base: Span::from_millis(25), max: Span::from_millis(250) };

    #[test]
    fn the_bounds_are_envoys() {
        let bounds = [1, 2, 3, 4, 5, 6, 60_000].map(|retry| ENVOYS.bound(retry));
        assert_eq!(bounds, [25, 50, 100, 200, 250, 250, 250].map(Span::from_millis));
    }

    /// Three retries took 101 ms on average in the recording (`envoy_retry.json`), 14 ms of it not
    /// pauses: the mean of the bounds is 87.5 ms.
    #[test]
    fn three_pauses_are_87_5_milliseconds_in_the_mean() {
        let seed = Seed::new(5, 0);
        let of = |id| (2..5).map(|n| ENVOYS.pause(seed, id, n).as_millis_f64()).sum::<f64>();
        let mean = (0..20_000).map(of).sum::<f64>() / 20_000.0;
        assert!((mean - 87.5).abs() < 0.7, "{mean}");
        assert!((0..1000).all(|id| ENVOYS.pause(seed, id, 2) < Span::from_millis(25)));
    }
}
