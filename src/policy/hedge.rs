//! Hedged requests: when an answer is late, a second peer is asked too, and the first good answer
//! counts.
//!
//! Dean and Barroso, "The tail at scale" (CACM 2013): with the second attempt sent only after the
//! 95th percentile of the usual latency, a few percent more requests take most of the tail away.
//! Hedges are more load, so they have a budget of their own (a token ratio, as in Finagle's backup
//! requests, `MethodBuilder.idempotent(maxExtraLoad)`) and a most at once. Only the first attempt of
//! a request that may be sent twice is hedged, once.

use super::budget::{Budget, BudgetConfig, TokensConfig};
use super::quantile::RunningQuantile;
use crate::units::{Nanos, Ratio, Span};

/// Hedging as configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgeConfig {
    /// When an answer is late.
    pub delay: HedgeDelay,
    /// Hedges over requests, at most, over ten seconds. One a second is always allowed.
    pub budget: Ratio,
    /// Most hedges in flight; 0 is no limit.
    pub max_in_flight: u32,
}

/// When an answer is late.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum HedgeDelay {
    /// After this long.
    Fixed(Span),
    /// After the running quantile of the time to the head of first attempts, but not before
    /// `at_least`, and not before `LEARNED` of them were seen.
    Quantile {
        /// Between 0 and 1.
        quantile: f64,
        /// Lower bound.
        at_least: Span,
    },
}

/// Answers to see before a quantile of them means something.
const LEARNED: u32 = 100;

/// The state of hedging in a group.
#[derive(Debug)]
pub(super) struct Hedging {
    delay: HedgeDelay,
    usual: Option<RunningQuantile>,
    budget: Budget,
    max_in_flight: u32,
    in_flight: u32,
}

impl Hedging {
    pub(super) fn new(config: &HedgeConfig) -> Self {
        let usual = match config.delay {
            HedgeDelay::Fixed(_) => None,
            HedgeDelay::Quantile { quantile, .. } => Some(RunningQuantile::new(quantile)),
        };
        let tokens = TokensConfig { min_per_second: 1.0, ..TokensConfig::new(config.budget) };
        let budget = BudgetConfig { concurrency: None, tokens: Some(tokens) };
        Self {
            delay: config.delay,
            usual,
            budget: Budget::new(&budget),
            max_in_flight: if config.max_in_flight == 0 { u32::MAX } else { config.max_in_flight },
            in_flight: 0,
        }
    }

    /// A request came.
    pub(super) fn admitted(&mut self, now: Nanos) {
        self.budget.deposit(now);
    }

    /// How long a first attempt is waited for alone; `None` while that is not known.
    pub(super) fn patience(&self) -> Option<Span> {
        match (self.delay, &self.usual) {
            (HedgeDelay::Fixed(span), _) => Some(span),
            (HedgeDelay::Quantile { at_least, .. }, Some(usual)) if usual.seen() >= LEARNED => {
                Some(usual.value().max(at_least))
            }
            _ => None,
        }
    }

    /// A first attempt took so long, or at least so long: one that was cut off by its hedge is
    /// above the quantile whatever it would have taken.
    pub(super) fn learn(&mut self, took: Span) {
        if let Some(usual) = &mut self.usual {
            usual.add(took);
        }
    }

    /// Whether a hedge may begin now.
    pub(super) fn may_begin(&mut self, now: Nanos) -> bool {
        self.in_flight < self.max_in_flight && self.budget.allows(now)
    }

    /// A hedge that may begin does, and is taken out of the budget.
    pub(super) fn begin(&mut self, now: Nanos) {
        self.in_flight += u32::from(self.budget.withdraw(now, 0, 0));
    }

    /// A hedge ended.
    pub(super) const fn settled(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hedging(delay: HedgeDelay, budget: f64, max_in_flight: u32) -> Hedging {
        Hedging::new(&HedgeConfig { delay, budget: Ratio(budget), max_in_flight })
    }

    #[test]
    fn a_quantile_is_learned_before_it_is_used() {
        let at_least = Span::from_millis(2);
        let mut hedging = hedging(HedgeDelay::Quantile { quantile: 0.95, at_least }, 0.1, 0);
        (0..99).for_each(|_| hedging.learn(Span::from_millis(1)));
        assert_eq!(hedging.patience(), None);
        hedging.learn(Span::from_millis(1));
        assert_eq!(hedging.patience(), Some(at_least));
        (0..2000).for_each(|_| hedging.learn(Span::from_millis(30)));
        let patience = hedging.patience().unwrap();
        assert!((30.0..34.0).contains(&patience.as_millis_f64()), "{patience}");
    }

    #[test]
    fn a_tenth_of_the_requests_are_hedged_at_most() {
        let mut hedging = hedging(HedgeDelay::Fixed(Span::ZERO), 0.1, 0);
        let mut begun = 0;
        for request in 0..1000 {
            let now = Nanos(request * 1_000_000);
            hedging.admitted(now);
            let begins = hedging.may_begin(now);
            begun += u32::from(begins);
            if begins {
                hedging.begin(now);
            }
        }
        assert_eq!(begun, 110, "a tenth, and the ten of the reserve");
    }

    #[test]
    fn no_more_than_so_many_at_once() {
        let mut hedging = hedging(HedgeDelay::Fixed(Span::ZERO), 1.0, 2);
        let now = Nanos::ZERO;
        hedging.admitted(now);
        hedging.begin(now);
        assert!(hedging.may_begin(now));
        hedging.begin(now);
        assert!(!hedging.may_begin(now));
        hedging.settled();
        assert!(hedging.may_begin(now));
    }
}
