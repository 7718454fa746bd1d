//! Service-time laws, sampled by inverse transform from one random word, so that pairs of runs
//! stay monotone: a larger word never gives a smaller demand.
//!
//! One uniform per quantity costs a logarithm where a ziggurat would not, but a ziggurat rejects,
//! and then request `i` of two policies no longer shares its randomness. All maths is libm's or
//! our own, so the bits are the same on every machine and with any features of the build.

use std::sync::Arc;

use super::logarithm::{LANES, ln, ln_of};
use super::normal;
use crate::units::draw::unit_open;
use crate::units::{Purpose, Seed, Span};

/// A law of durations.
///
/// Parameters are checked where a scenario is read. Out-of-range ones make no sense but do no
/// harm either: nothing here panics.
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
        sorted: Arc<[Span]>,
    },
}

impl Law {
    /// The duration at the quantile that `word` stands for.
    #[must_use]
    #[inline]
    pub fn sample(&self, word: u64) -> Span {
        // The grid of `unit_open` is symmetric: the complement of the word is exactly 1 - u.
        self.inverse(unit_open(word), unit_open(!word))
    }

    /// The duration that a share `u` of the samples does not exceed; `u` is clamped to 0..=1, and
    /// at 1 an unbounded law gives a very long duration.
    #[must_use]
    pub fn quantile(&self, u: f64) -> Span {
        let below = u.clamp(0.0, 1.0);
        self.inverse(below, (1.0 - below).max(f64::MIN_POSITIVE))
    }

    /// The durations of several words, each the same as [`Self::sample`] gives, in a fraction of
    /// the time where the law is exponential: the logarithms of different words overlap.
    ///
    /// # Panics
    /// If there are fewer durations than words.
    pub fn sample_all(&self, words: &[u64], durations: &mut [Span]) {
        let durations = &mut durations[..words.len()];
        let Self::Exponential { mean } = self else {
            let pairs = words.iter().zip(durations);
            return pairs.for_each(|(word, duration)| *duration = self.sample(*word));
        };
        #[cfg(target_arch = "x86_64")]
        if super::wide::is_at_hand() {
            // SAFETY: the processor has what the function is compiled for: it was just asked.
            return unsafe { exponentials_wide(mean.0 as f64, words, durations) };
        }
        exponentials(mean.0 as f64, words, durations);
    }

    /// Inverse of the distribution function at `below`; `above` is `1 - below`, handed in so that
    /// the tail keeps its precision.
    #[inline]
    fn inverse(&self, below: f64, above: f64) -> Span {
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { low, high } => {
                let width = high.0.saturating_sub(low.0) as f64;
                *low + Span::from_nanos_f64(width * below)
            }
            Self::Exponential { mean } => exponential(mean.0 as f64, above),
            Self::LogNormal { mean, sigma } => {
                let exponent = sigma * normal::quantile(below, above) - 0.5 * sigma * sigma;
                Span::from_nanos_f64(mean.0 as f64 * libm::exp(exponent))
            }
            Self::Pareto { mean, alpha } => {
                let minimum = mean.0 as f64 * (alpha - 1.0) / alpha;
                Span::from_nanos_f64(minimum * libm::exp(-ln(above) / alpha))
            }
            Self::Bimodal { fast, slow, slow_share } => {
                if above < *slow_share {
                    *slow
                } else {
                    *fast
                }
            }
            Self::Empirical { sorted } => interpolated(sorted, below),
        }
    }

    /// Mean in nanoseconds.
    #[must_use]
    pub fn mean_ns(&self) -> f64 {
        match self {
            Self::Constant(value) => value.0 as f64,
            Self::Uniform { low, high } => (low.0 as f64 + high.0 as f64) / 2.0,
            Self::Exponential { mean }
            | Self::LogNormal { mean, .. }
            | Self::Pareto { mean, .. } => mean.0 as f64,
            Self::Bimodal { fast, slow, slow_share } => {
                fast.0 as f64 + (slow.0 as f64 - fast.0 as f64) * slow_share
            }
            Self::Empirical { sorted } => mean_over_segments(sorted, |a, b| (a + b) / 2.0),
        }
    }

    /// Variance in square nanoseconds; infinite for a Pareto with `alpha` up to 2.
    #[must_use]
    pub fn variance_ns2(&self) -> f64 {
        let mean = self.mean_ns();
        match self {
            Self::Constant(_) => 0.0,
            Self::Uniform { low, high } => {
                let width = high.0 as f64 - low.0 as f64;
                width * width / 12.0
            }
            Self::Exponential { .. } => mean * mean,
            Self::LogNormal { sigma, .. } => mean * mean * libm::expm1(sigma * sigma),
            Self::Pareto { alpha, .. } if *alpha <= 2.0 => f64::INFINITY,
            Self::Pareto { alpha, .. } => mean * mean / (alpha * (alpha - 2.0)),
            Self::Bimodal { fast, slow, slow_share } => {
                let gap = slow.0 as f64 - fast.0 as f64;
                gap * gap * slow_share * (1.0 - slow_share)
            }
            // Around the mean, not the difference of two large moments.
            Self::Empirical { sorted } => mean_over_segments(sorted, |a, b| {
                let (a, b) = (a - mean, b - mean);
                (a * a + a * b + b * b) / 3.0
            }),
        }
    }

    /// Second moment, the mean of the square, in square nanoseconds: what the
    /// Pollaczek-Khinchine formula asks for.
    #[must_use]
    pub fn second_moment_ns2(&self) -> f64 {
        let mean = self.mean_ns();
        self.variance_ns2() + mean * mean
    }

    /// Squared coefficient of variation, variance over squared mean; infinite for a Pareto with
    /// `alpha` up to 2, and 0 for a mean of zero.
    #[must_use]
    pub fn squared_cv(&self) -> f64 {
        let mean = self.mean_ns();
        if mean == 0.0 { 0.0 } else { self.variance_ns2() / (mean * mean) }
    }

    /// Whether the third moment is finite; if not, the confidence interval of a simulated mean
    /// wait is wrong however long the run.
    #[must_use]
    pub fn has_third_moment(&self) -> bool {
        !matches!(self, Self::Pareto { alpha, .. } if *alpha <= 3.0)
    }
}

/// The exponential duration that a share `above` of the samples exceeds.
#[inline(always)]
fn exponential(mean_ns: f64, above: f64) -> Span {
    Span::from_nanos_f64(-mean_ns * ln(above))
}

/// Exponential durations of several words, each as [`exponential`] gives it; as many durations as
/// words.
#[inline(always)]
fn exponentials(mean: f64, words: &[u64], durations: &mut [Span]) {
    let (words, last_words) = words.as_chunks::<LANES>();
    let (durations, last) = durations.as_chunks_mut::<LANES>();
    for (words, durations) in words.iter().zip(durations) {
        let mut uniforms = [0.0; LANES];
        for (uniform, word) in uniforms.iter_mut().zip(words) {
            *uniform = unit_open(!word);
        }
        let mut nanos = ln_of(uniforms);
        for nanos in &mut nanos {
            *nanos *= -mean;
        }
        *durations = Span::from_nanos_of(nanos);
    }
    for (word, duration) in last_words.iter().zip(last) {
        *duration = exponential(mean, unit_open(!word));
    }
}

/// The same, with twice as many lanes in a register.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2")]
fn exponentials_wide(mean: f64, words: &[u64], durations: &mut [Span]) {
    exponentials(mean, words, durations);
}

/// The value at quantile `u` of sorted values, interpolated linearly; zero without any.
fn interpolated(sorted: &[Span], u: f64) -> Span {
    let Some(last) = sorted.len().checked_sub(1) else { return Span::ZERO };
    let place = u * last as f64;
    let index = (place as usize).min(last);
    let (low, high) = (sorted[index], sorted[(index + 1).min(last)]);
    let width = high.0.saturating_sub(low.0) as f64;
    low + Span::from_nanos_f64(width * (place - index as f64))
}

/// Mean of `moment` over the segments between neighbours, each as likely as any other.
fn mean_over_segments(sorted: &[Span], moment: impl Fn(f64, f64) -> f64) -> f64 {
    match sorted {
        [] => 0.0,
        [only] => moment(only.0 as f64, only.0 as f64),
        _ => {
            let sum: f64 =
                sorted.windows(2).map(|pair| moment(pair[0].0 as f64, pair[1].0 as f64)).sum();
            sum / (sorted.len() - 1) as f64
        }
    }
}

/// The random word of the demand of attempt `number` (from 1) of request `id`.
#[must_use]
#[inline]
pub fn demand_word(seed: Seed, id: u64, number: u16) -> u64 {
    if number <= 1 {
        seed.words(Purpose::Request, id)[1]
    } else {
        seed.draw(Purpose::RetryDemand, id, number).word()
    }
}

#[cfg(test)]
mod tests;
