//! The distribution functions and likelihoods of lab's laws.

use std::f64::consts::{PI, SQRT_2};

use super::sample::Sample;
use crate::traffic::Law;
use crate::units::Span;

/// Share of the law that is at most `x` seconds.
pub(super) fn below(law: &Law, x: f64) -> f64 {
    match law {
        Law::Constant(value) => f64::from(u8::from(x >= value.as_secs_f64())),
        Law::Uniform { low, high } => {
            let (low, high) = (low.as_secs_f64(), high.as_secs_f64());
            if high > low {
                ((x - low) / (high - low)).clamp(0.0, 1.0)
            } else {
                f64::from(u8::from(x >= low))
            }
        }
        _ if x <= 0.0 => 0.0,
        Law::Exponential { mean } => -libm::expm1(-x / mean.as_secs_f64()),
        Law::LogNormal { mean, sigma } => {
            let mu = libm::log(mean.as_secs_f64()) - sigma * sigma / 2.0;
            0.5 * libm::erfc(-(libm::log(x) - mu) / (sigma * SQRT_2))
        }
        Law::Pareto { mean, alpha } => {
            let least = mean.as_secs_f64() * (alpha - 1.0) / alpha;
            if x <= least { 0.0 } else { 1.0 - libm::pow(least / x, *alpha) }
        }
        // No fit proposes these two.
        Law::Bimodal { .. } | Law::Empirical { .. } => f64::NAN,
    }
}

/// Laws of maximum likelihood, each with its log-likelihood and number of parameters. A Pareto law
/// without a mean (a tail index of 1 or less) is none of lab's.
pub(super) fn candidates(sample: &Sample) -> Vec<(Law, f64, u32)> {
    let n = sample.len();
    let mean = sample.mean();
    let span = Span::from_secs_f64;
    let mut found = Vec::new();
    // Rounding widens what is uniform by half a step on either side.
    let (low, high) =
        ((sample.least() - sample.step / 2.0).max(0.0), sample.most() + sample.step / 2.0);
    if high - low <= 1.5 * sample.step {
        return vec![(Law::Constant(span(sample.quantile(0.5))), 0.0, 1)];
    }
    found.push((Law::Uniform { low: span(low), high: span(high) }, -n * libm::log(high - low), 2));
    found.push((Law::Exponential { mean: span(mean) }, -n * (libm::log(mean) + 1.0), 1));
    let logs = sample.seconds.iter().map(|x| libm::log(*x));
    let sum: f64 = logs.clone().sum();
    let mu = sum / n;
    let variance = logs.map(|log| (log - mu) * (log - mu)).sum::<f64>() / n;
    let likelihood = -sum - n / 2.0 * (libm::log(2.0 * PI * variance) + 1.0);
    let mean = span(libm::exp(mu + variance / 2.0));
    found.push((Law::LogNormal { mean, sigma: variance.sqrt() }, likelihood, 2));
    let least = sample.least();
    let above = sum - n * libm::log(least);
    let alpha = n / above;
    if alpha > 1.0 {
        let mean = span(least * alpha / (alpha - 1.0));
        let likelihood = n * libm::log(alpha) + n * alpha * libm::log(least) - (alpha + 1.0) * sum;
        found.push((Law::Pareto { mean, alpha }, likelihood, 2));
    }
    found
}
