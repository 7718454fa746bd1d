//! The limited mean of a law, `M(x) = E[min(S, x)]`, the area under its tail up to `x`.
//!
//! It is all that the M/G/1 queue needs to know of a law beside its moments: the time that a
//! request in service still takes when another arrives is at most `x` with probability
//! `M(x) / E[S]`.

use std::f64::consts::SQRT_2;

use crate::traffic::Law;

/// `E[min(S, x)]` in nanoseconds, for `x` in nanoseconds. A duration is never negative, so below
/// zero it is `x` itself.
#[must_use]
pub fn limited_mean_ns(law: &Law, x: f64) -> f64 {
    if x <= 0.0 {
        return x;
    }
    let mean = law.mean_ns();
    match law {
        Law::Constant(value) => x.min(value.0 as f64),
        Law::Uniform { low, high } => uniform(low.0 as f64, high.0 as f64, x),
        Law::Exponential { .. } => -mean * libm::expm1(-x / mean),
        Law::LogNormal { sigma, .. } => log_normal(mean, *sigma, x),
        Law::Pareto { alpha, .. } => pareto(mean, *alpha, x),
        Law::Bimodal { fast, slow, slow_share } => {
            (1.0 - slow_share) * x.min(fast.0 as f64) + slow_share * x.min(slow.0 as f64)
        }
        Law::Empirical { sorted } => match sorted.as_ref() {
            [] => 0.0,
            [only] => x.min(only.0 as f64),
            _ => {
                let segments = sorted.windows(2);
                let sum: f64 =
                    segments.map(|pair| uniform(pair[0].0 as f64, pair[1].0 as f64, x)).sum();
                sum / (sorted.len() - 1) as f64
            }
        },
    }
}

fn uniform(low: f64, high: f64, x: f64) -> f64 {
    if x <= low {
        x
    } else if x >= high {
        (low + high) / 2.0
    } else {
        x - (x - low) * (x - low) / (2.0 * (high - low))
    }
}

fn log_normal(mean: f64, sigma: f64, x: f64) -> f64 {
    let below = |z: f64| 0.5 * libm::erfc(-z / SQRT_2);
    let z = libm::log(x / mean) / sigma + sigma / 2.0;
    mean * below(z - sigma) + x * below(-z)
}

fn pareto(mean: f64, alpha: f64, x: f64) -> f64 {
    let minimum = mean * (alpha - 1.0) / alpha;
    if x <= minimum {
        x
    } else {
        mean - minimum / (alpha - 1.0) * libm::pow(minimum / x, alpha - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    /// Against the mean of the law's own quantiles, cut off at `x`.
    #[test]
    fn it_is_the_mean_of_the_law_cut_off() {
        let mean = Span::from_millis(10);
        let (low, high) = (Span::from_millis(3), Span::from_millis(40));
        for law in [
            Law::Constant(mean),
            Law::Uniform { low, high },
            Law::Exponential { mean },
            Law::LogNormal { mean, sigma: 1.2 },
            Law::Pareto { mean, alpha: 2.1 },
            Law::Bimodal { fast: low, slow: high, slow_share: 0.2 },
            Law::Empirical { sorted: [3, 9, 9, 30].map(Span::from_millis).as_slice().into() },
        ] {
            for x in [-1e6, 0.0, 1e6, 4e6, 12e6, 35e6, 90e6] {
                let count = 200_000;
                let cut = |i: i32| {
                    let u = (f64::from(i) + 0.5) / f64::from(count);
                    (law.quantile(u).0 as f64).min(x)
                };
                let mean = (0..count).map(cut).sum::<f64>() / f64::from(count);
                let got = limited_mean_ns(&law, x);
                assert!((got - mean).abs() <= 1e-4 * mean.abs() + 1.0, "{law:?} {x}: {got} {mean}");
            }
            let all = limited_mean_ns(&law, 1e15);
            assert!((all - law.mean_ns()).abs() <= 1e-4 * all, "{law:?}: {all}");
        }
    }
}
