//! The two-state Markov-modulated Poisson process: bursts and quiet periods of exponential length.
//!
//! The lengths are real time, whatever the offered load; the load is multiplied by a factor per
//! state, such that its mean over both states is the stage's rate. The chain starts in its
//! stationary law (W. Fischer, K. Meier-Hellstern: "The Markov-modulated Poisson process cookbook",
//! Performance Evaluation 18, 1993), so the first second is like any other.

use super::poisson;
use crate::units::draw::unit_open;
use crate::units::{Nanos, Purpose, Seed, Span};

/// The state over time: a stream of intervals with their load factor.
#[derive(Clone, Debug)]
pub struct Modulation {
    seed: Seed,
    /// Number of the present interval, the address of its draws.
    interval: u64,
    bursting: bool,
    until: Nanos,
    /// Mean length and load factor while quiet and while bursting.
    states: [(Span, f64); 2],
}

impl Modulation {
    /// The chain of this replication. `None` where nothing is modulated: equal rates, or a state
    /// without length.
    #[must_use]
    pub fn new(burst_ratio: f64, burst: Span, quiet: Span, seed: Seed) -> Option<Self> {
        // The negated comparison refuses NaN as well.
        if !(burst_ratio > 1.0 && burst_ratio.is_finite()) || burst.0 == 0 || quiet.0 == 0 {
            return None;
        }
        let burst_share = burst.0 as f64 / (burst.0 as f64 + quiet.0 as f64);
        let quiet_factor = 1.0 / (burst_share * burst_ratio + 1.0 - burst_share);
        let [length, state] = seed.words(Purpose::Modulation, 0);
        let mut chain = Self {
            seed,
            interval: 0,
            bursting: unit_open(state) < burst_share,
            until: Nanos::ZERO,
            states: [(quiet, quiet_factor), (burst, quiet_factor * burst_ratio)],
        };
        chain.extend(length);
        Some(chain)
    }

    /// Where the present interval ends.
    #[must_use]
    pub const fn until(&self) -> Nanos {
        self.until
    }

    /// What the offered load is multiplied by in the present interval.
    #[must_use]
    pub fn factor(&self) -> f64 {
        self.states[usize::from(self.bursting)].1
    }

    /// Goes on to the next interval.
    pub fn advance(&mut self) {
        self.interval += 1;
        self.bursting = !self.bursting;
        self.extend(self.seed.words(Purpose::Modulation, self.interval)[0]);
    }

    fn extend(&mut self, word: u64) {
        let mean = self.states[usize::from(self.bursting)].0;
        // At least a nanosecond, so that time moves on.
        self.until += mean.scaled(poisson::gap(word)).max(Span(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_factor_over_time_is_one() {
        let (burst, quiet) = (Span::from_millis(200), Span::from_secs(1));
        let mut chain = Modulation::new(10.0, burst, quiet, Seed::new(1, 0)).unwrap();
        let (mut from, mut weighted, mut bursting) = (Nanos::ZERO, 0.0, 0.0);
        for _ in 0..40_000 {
            let length = chain.until().since(from).as_secs_f64();
            weighted += chain.factor() * length;
            bursting += if chain.factor() > 1.0 { length } else { 0.0 };
            from = chain.until();
            chain.advance();
        }
        let total = from.as_secs_f64();
        assert!((weighted / total - 1.0).abs() < 0.02, "{}", weighted / total);
        assert!((bursting / total - 1.0 / 6.0).abs() < 0.005, "{}", bursting / total);
    }

    #[test]
    fn it_starts_in_its_stationary_law() {
        let (burst, quiet) = (Span::from_secs(1), Span::from_secs(3));
        let bursting = (0..8000)
            .filter_map(|r| Modulation::new(5.0, burst, quiet, Seed::new(9, r)))
            .filter(|chain| chain.factor() > 1.0)
            .count();
        assert!((1850..2150).contains(&bursting), "{bursting}");
    }

    #[test]
    fn nothing_is_modulated_by_senseless_parameters() {
        let (second, seed) = (Span::from_secs(1), Seed::new(1, 0));
        for ratio in [1.0, 0.0, f64::NAN, f64::INFINITY] {
            assert!(Modulation::new(ratio, second, second, seed).is_none());
        }
        assert!(Modulation::new(2.0, Span::ZERO, second, seed).is_none());
        assert!(Modulation::new(2.0, second, Span::ZERO, seed).is_none());
    }
}
