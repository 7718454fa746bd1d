//! 95 % confidence intervals of means and quantiles.
//!
//! **Independent replications** (at least [`REPLICATIONS_AT_LEAST`]): Student's t over the values
//! of the replications, around the value of all of them together (Asmussen and Glynn, *Stochastic
//! Simulation*, III.5a, "sectioning").
//!
//! **One run** (or few replications, or rounds of the live world, which share their plan and are
//! therefore not independent): requests one after another are correlated, so batches of time take
//! the place of single requests (Law, *Simulation Modeling and Analysis*, 9.5.3). A mean is a
//! ratio: sum of latencies over number of requests. With batch sums y and batch counts n, the
//! residuals y - r n of the ratio r give its standard error (Cochran, *Sampling Techniques*,
//! 2.11). For a quantile q of order p the same is done to the number of requests at or below q,
//! which gives the error of F(q), and the interval is that between the quantiles of order
//! p ± t · error (Heidelberger and Lewis, "Quantile estimation in dependent sequences", Operations
//! Research 32, 1984). Unlike quantiles of each batch, this has no bias of small batches.
//! Where a stage or a fault changes the conditions, variances are taken within each interval of
//! equal conditions and added (stratified sampling, with the degrees of freedom of Welch and
//! Satterthwaite), so that the change itself does not count as noise.
//!
//! Valid if batches are long against the time in which a queue forgets; neighbouring batches
//! that are visibly correlated are joined. No interval is given for a quantile with fewer than
//! [`TAIL_AT_LEAST`] requests beyond it. With fewer than [`BATCH_AT_LEAST`] requests in a batch
//! the interval is that of independent requests (order statistics by the normal approximation
//! to the binomial law; Conover, *Practical Nonparametric Statistics*, 3.2).

use super::student;
use super::summary::Estimate;

/// From this many replications on, they are what the interval is made from.
pub const REPLICATIONS_AT_LEAST: usize = 5;
/// Fewest requests on the rarer side of a quantile that has an interval.
pub const TAIL_AT_LEAST: f64 = 10.0;
/// Fewest requests in a batch, on average.
pub const BATCH_AT_LEAST: f64 = 10.0;

const CONFIDENCE: f64 = 0.975;

/// A batch of time: how many requests, and the sum of what is averaged over them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    /// The interval of equal conditions that it is a part of; batches come in order of time.
    pub stratum: usize,
    /// Requests.
    pub count: f64,
    /// Sum over the requests.
    pub sum: f64,
}

/// Half the width of a 95 % interval of the ratio of all sums to all counts; `None` with too few
/// batches.
#[must_use]
pub fn ratio_half_width(batches: &[Batch]) -> Option<f64> {
    let count: f64 = batches.iter().map(|batch| batch.count).sum();
    if count <= 0.0 {
        return None;
    }
    let ratio = batches.iter().map(|batch| batch.sum).sum::<f64>() / count;
    let strata: Vec<Vec<f64>> = batches
        .chunk_by(|a, b| a.stratum == b.stratum)
        .map(|stratum| stratum.iter().map(|batch| batch.sum - ratio * batch.count).collect())
        .collect();
    let strata = join_correlated(strata);
    let (mut variance, mut spread) = (0.0, 0.0);
    for residuals in strata.iter().filter(|residuals| residuals.len() > 1) {
        let of_sum = residuals.len() as f64 * sample_variance(residuals);
        variance += of_sum;
        spread += of_sum * of_sum / (residuals.len() - 1) as f64;
    }
    let degrees = match strata.iter().map(|residuals| residuals.len().saturating_sub(1)).sum() {
        0 => return None,
        all if spread == 0.0 => all as f64,
        _ => variance * variance / spread,
    };
    Some(student::quantile(CONFIDENCE, degrees) * variance.sqrt() / count)
}

/// The orders between whose quantiles the quantile of order `p` lies: `None` for an end that
/// cannot be given. `batches` count, as their sums, the requests at or below the quantile.
#[must_use]
pub fn quantile_orders(p: f64, batches: &[Batch]) -> (Option<f64>, Option<f64>) {
    let count: f64 = batches.iter().map(|batch| batch.count).sum();
    if count * p.min(1.0 - p) < TAIL_AT_LEAST {
        return (None, None);
    }
    let independent = student::quantile(CONFIDENCE, 1e6) * (p * (1.0 - p) / count).sqrt();
    let half_width = if count < BATCH_AT_LEAST * batches.len() as f64 {
        independent
    } else {
        ratio_half_width(batches).unwrap_or(independent)
    };
    let within = |order: f64| (order > 0.0 && order < 1.0).then_some(order);
    (within(p - half_width), within(p + half_width))
}

/// `value` with the interval that independent replications of it give: Student's t.
#[must_use]
pub fn of_replications(value: f64, replications: &[f64]) -> Estimate {
    if replications.len() < 2 {
        return Estimate { value, low: None, high: None };
    }
    let degrees = (replications.len() - 1) as f64;
    let error = (sample_variance(replications) / replications.len() as f64).sqrt();
    around(value, student::quantile(CONFIDENCE, degrees) * error)
}

/// The mean of `a[i] - b[i]` over pairs that share their seed, with its interval.
#[must_use]
pub fn of_paired_differences(a: &[f64], b: &[f64]) -> Estimate {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    of_replications(mean(&differences), &differences)
}

/// `value` plus and minus `half_width`.
#[must_use]
pub fn around(value: f64, half_width: f64) -> Estimate {
    Estimate { value, low: Some(value - half_width), high: Some(value + half_width) }
}

/// Mean; 0 without values.
pub(super) fn mean(values: &[f64]) -> f64 {
    if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
}

fn sample_variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (values.len() - 1) as f64
}

/// Joins neighbours as long as they are significantly correlated and ten batches would remain
/// (the rule LBATCH/ABATCH of Fishman and Yarberry, INFORMS J. Computing 9, 1997, in short).
fn join_correlated(mut strata: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    while strata.iter().map(|residuals| residuals.len() / 2).sum::<usize>() >= 10
        && correlated(&strata)
    {
        for residuals in &mut strata {
            *residuals = residuals.chunks(2).map(|pair| pair.iter().sum()).collect();
        }
    }
    strata
}

/// Whether the lag-1 correlation within strata is above zero at the 10 % level.
fn correlated(strata: &[Vec<f64>]) -> bool {
    let (mut products, mut squares, mut count) = (0.0, 0.0, 0);
    for residuals in strata {
        let mean = mean(residuals);
        squares += residuals.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>();
        products += residuals.windows(2).map(|w| (w[0] - mean) * (w[1] - mean)).sum::<f64>();
        count += residuals.len();
    }
    squares > 0.0 && products / squares > 1.28 / (count as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(stratum: usize, count: f64, sum: f64) -> Batch {
        Batch { stratum, count, sum }
    }

    #[test]
    fn equal_batches_give_the_textbook_interval() {
        let means = [3.0, 5.0, 4.0, 6.0, 2.0];
        let batches: Vec<Batch> = means.iter().map(|m| batch(0, 10.0, m * 10.0)).collect();
        let expected = of_replications(4.0, &means);
        let half = ratio_half_width(&batches).unwrap();
        assert!((expected.high.unwrap() - 4.0 - half).abs() < 1e-9);
        // Variance 2.5, five values, t(4) = 2.776.
        assert!((half - 2.776_445 * (2.5f64 / 5.0).sqrt()).abs() < 1e-5, "{half}");
    }

    #[test]
    fn a_change_between_strata_is_not_noise() {
        let within: Vec<Batch> =
            (0..20).map(|i| batch(i / 10, 10.0, (i / 10 * 1000 + i % 2) as f64)).collect();
        assert!(ratio_half_width(&within).unwrap() < 0.1);
        let ignored: Vec<Batch> = within.iter().map(|b| Batch { stratum: 0, ..*b }).collect();
        assert!(ratio_half_width(&ignored).unwrap() > 10.0);
    }

    #[test]
    fn a_tail_without_requests_has_no_interval() {
        let batches: Vec<Batch> = (0..20).map(|_| batch(0, 50.0, 49.0)).collect();
        assert_eq!(quantile_orders(0.999, &batches), (None, None));
        assert!(quantile_orders(0.98, &batches).0.is_some());
    }

    #[test]
    fn few_requests_are_treated_as_independent() {
        let batches: Vec<Batch> = (0..20).map(|_| batch(0, 5.0, 2.5)).collect();
        let (low, high) = quantile_orders(0.5, &batches);
        assert!((low.unwrap() - (0.5 - 1.96 * 0.05)).abs() < 1e-4, "{low:?}");
        assert!((high.unwrap() - (0.5 + 1.96 * 0.05)).abs() < 1e-4, "{high:?}");
    }

    #[test]
    fn pairs_cancel_what_they_share() {
        let shared = [10.0, 200.0, 3000.0, 40.0];
        let a: Vec<f64> = shared.iter().map(|s| s + 2.0).collect();
        let difference = of_paired_differences(&a, &shared);
        assert_eq!(
            (difference.value, difference.low, difference.high),
            (2.0, Some(2.0), Some(2.0))
        );
        assert_eq!(of_paired_differences(&a[..1], &shared[..1]).low, None);
    }
}
