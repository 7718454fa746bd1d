//! Service-time laws, sampled by inverse transform from one random word, so that pairs of runs
//! stay monotone: a larger word never gives a smaller demand.

use crate::units::{Seed, Span};

/// A law of durations.
#[derive(Clone, Debug, PartialEq)]
pub enum Law {
    /// Always the same.
    Constant(Span),
    /// Uniform between two bounds.
    Uniform {
        /// Lower bound.
        low: Span,
        /// Upper bound, not below `low`.
        high: Span,
    },
    /// Exponential.
    Exponential {
        /// Mean.
        mean: Span,
    },
    /// Log-normal.
    LogNormal {
        /// Mean of the law itself, not of its logarithm.
        mean: Span,
        /// Standard deviation of the logarithm; positive.
        sigma: f64,
    },
    /// Pareto.
    Pareto {
        /// Mean; the minimum is `mean * (alpha - 1) / alpha`.
        mean: Span,
        /// Tail index; above 1, so that the mean is finite.
        alpha: f64,
    },
    /// One of two constants.
    Bimodal {
        /// The usual one.
        fast: Span,
        /// The rare one; not below `fast`.
        slow: Span,
        /// Probability of `slow`, 0 to 1.
        slow_share: f64,
    },
    /// The empirical law of given values: linear interpolation of their sorted order.
    Empirical {
        /// Sorted; at least one.
        sorted: std::sync::Arc<[Span]>,
    },
}

impl Law {
    /// The duration at the quantile that `word` stands for.
    #[must_use]
    pub fn sample(&self, _word: u64) -> Span {
        todo!()
    }
    /// Mean in nanoseconds.
    #[must_use]
    pub fn mean_ns(&self) -> f64 {
        todo!()
    }
    /// Squared coefficient of variation; infinite for a Pareto with `alpha` up to 2.
    #[must_use]
    pub fn squared_cv(&self) -> f64 {
        todo!()
    }
    /// Whether the third moment is finite; if not, the confidence interval of a simulated mean
    /// wait is wrong however long the run.
    #[must_use]
    pub fn has_third_moment(&self) -> bool {
        todo!()
    }
}

/// The random word of the demand of attempt `number` (from 1) of request `id`.
#[must_use]
pub fn demand_word(seed: Seed, id: u64, number: u16) -> u64 {
    use crate::units::Purpose;
    if number <= 1 {
        seed.words(Purpose::Request, id)[1]
    } else {
        seed.draw(Purpose::RetryDemand, id, number).word()
    }
}
