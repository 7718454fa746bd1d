//! 95 % confidence intervals of means and quantiles.
//!
//! Requests one after another are correlated, so batches take the place of single requests (Law,
//! *Simulation Modeling and Analysis*, 9.5.3): the independent replications, if there are at least
//! [`REPLICATIONS_AT_LEAST`], and else pieces of time, as in a single run. (Rounds of the live
//! world replay one plan; they are not independent, and count as one run.)
//!
//! A mean is a ratio: sum of latencies over number of requests. With batch sums y and batch
//! counts n, the residuals y - r n of the ratio r give its standard error (Cochran, *Sampling
//! Techniques*, 2.11), and Student's t the interval. For a quantile q of order p the same is done
//! to the number of requests at or below q, which gives the error of F(q); the interval is that
//! between the quantiles of order p ± t · error (Heidelberger and Lewis, "Quantile estimation in
//! dependent sequences", Operations Research 32, 1984), where the error is added on the logit
//! scale, ln(p / (1 - p)), so that no order leaves 0 to 1 (Agresti, *Categorical Data Analysis*,
//! 1.4). Unlike quantiles of each batch, this has no bias of small batches, and follows the skew
//! of the tail. Long waits come in clusters, and a run may have seen few of them and so show
//! little correlation in the tail; therefore the correlation beyond [`STEADY_ORDER`] is taken to be
//! at least that found there.
//!
//! Where a stage or a fault changes the conditions, variances are taken within each interval of
//! equal conditions and added (stratified sampling, with the degrees of freedom of Welch and
//! Satterthwaite), so that the change itself does not count as noise.
//!
//! Valid if batches are long against the time in which a queue forgets; neighbouring batches
//! that are visibly correlated are joined. No interval is given for a quantile where the requests
//! beyond it tell less than [`TAIL_AT_LEAST`] independent ones. With fewer than [`BATCH_AT_LEAST`] requests in a batch
//! the interval is that of independent requests (order statistics by the normal approximation
//! to the binomial law; Conover, *Practical Nonparametric Statistics*, 3.2).

use super::student;
use super::summary::Estimate;
use crate::record::histogram::Histogram;

/// From this many replications on, they are the batches.
pub const REPLICATIONS_AT_LEAST: usize = 5;
/// Fewest independent requests, or as many correlated ones as tell as much, on the rarer side of a
/// quantile that has an interval.
pub const TAIL_AT_LEAST: f64 = 10.0;
/// Fewest requests in a batch, on average.
pub const BATCH_AT_LEAST: f64 = 10.0;

/// Fewest values whose median has a 95 % interval.
pub const MEDIAN_AT_LEAST: usize = 6;

/// The correlation of indicators is estimated well enough up to the quantile of this order.
pub const STEADY_ORDER: f64 = 0.9;

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
    let (error, degrees) = ratio_error(batches)?;
    Some(student::quantile(CONFIDENCE, degrees) * error)
}

/// Standard error of the ratio of all sums to all counts, and its degrees of freedom; `None` with too
/// few batches.
#[must_use]
pub fn ratio_error(batches: &[Batch]) -> Option<(f64, f64)> {
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
    Some((variance.sqrt() / count, degrees))
}

/// How many times as wide the interval of a share is as it would be for independent requests;
/// `None` if there are too few requests to tell. The sums of `batches` count the requests that
/// belong to the share, such as those at or below a quantile.
#[must_use]
pub fn widening(batches: &[Batch]) -> Option<f64> {
    let count: f64 = batches.iter().map(|batch| batch.count).sum();
    if count < BATCH_AT_LEAST * batches.len() as f64 {
        return None;
    }
    let share = batches.iter().map(|batch| batch.sum).sum::<f64>() / count;
    let independent = independent_half_width(share, count);
    let measured = ratio_half_width(batches)?;
    // All or none of the requests belong to it, as where all latencies are equal.
    Some(if independent > 0.0 { measured / independent } else { 0.0 })
}

/// The orders between whose quantiles the quantile of order `p` of `count` requests lies, `None`
/// for an end that cannot be given; `widening` is 1 for independent requests.
#[must_use]
pub fn quantile_orders(p: f64, count: f64, widening: f64) -> (Option<f64>, Option<f64>) {
    if count * p.min(1.0 - p) < TAIL_AT_LEAST * (widening * widening).max(1.0) {
        return (None, None);
    }
    let shift = widening * independent_half_width(p, count) / (p * (1.0 - p));
    let order = |by: f64| 1.0 / (1.0 + (1.0 - p) / p * libm::exp(-by));
    // Beyond the last request there is nothing that a quantile could be.
    let end = |order: f64| (order * count >= 1.0 && (1.0 - order) * count >= 1.0).then_some(order);
    (end(order(-shift)), end(order(shift)))
}

/// The quantile of order `p` of a distribution with its interval; `at_or_below` counts the requests
/// of each batch at or below a latency.
pub(super) fn quantile(
    distribution: &Histogram,
    p: f64,
    at_or_below: impl Fn(u64) -> Vec<Batch>,
) -> Estimate {
    let value = distribution.quantile(p);
    let plain = around(value as f64, None);
    if distribution.is_empty() || p >= 1.0 {
        return plain;
    }
    let widening =
        [p, p.min(STEADY_ORDER)].map(|order| widening(&at_or_below(distribution.quantile(order))));
    let widening = widening.into_iter().flatten().reduce(f64::max).unwrap_or(1.0);
    let (low, high) = quantile_orders(p, distribution.count() as f64, widening);
    let end = |order: Option<f64>| order.map(|order| distribution.quantile(order) as f64);
    Estimate { low: end(low), high: end(high), ..plain }
}

fn independent_half_width(share: f64, count: f64) -> f64 {
    student::quantile(CONFIDENCE, 1e6) * (share * (1.0 - share) / count).max(0.0).sqrt()
}

/// The mean of independent values, such as a statistic of several replications, with its
/// interval: Student's t.
#[must_use]
pub fn of_independent(values: &[f64]) -> Estimate {
    around(mean(values), of_values(values, CONFIDENCE))
}

/// Half the width of the interval of the mean of independent values that leaves it out on one side
/// with the probability `1 - confidence`; `None` for fewer than two.
pub(super) fn of_values(values: &[f64], confidence: f64) -> Option<f64> {
    let error =
        (values.len() > 1).then(|| (sample_variance(values) / values.len() as f64).sqrt())?;
    Some(student::quantile(confidence, (values.len() - 1) as f64) * error)
}

/// The mean of `a[i] - b[i]` over pairs that share their seed, with its interval.
#[must_use]
pub fn of_paired_differences(a: &[f64], b: &[f64]) -> Estimate {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    of_independent(&differences)
}

/// The median of independent values with its interval between two order statistics: no law of the
/// values is assumed, and one wild value moves it little. The k-th smallest and the k-th largest,
/// where k is the largest number for which a binomial variable of `values.len()` tries and
/// probability 1/2 is below k with probability 2.5 % at most (Conover, *Practical Nonparametric
/// Statistics*, 3.2; Le Boudec, *Performance Evaluation of Computer and Communication Systems*,
/// theorem 2.1 and its table). `None` for fewer than [`MEDIAN_AT_LEAST`] values; with so few it is
/// the smallest and the largest, which hold the median 96.9 times in 100.
#[must_use]
pub fn of_median(values: &[f64]) -> Estimate {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len();
    let Some(upper) = sorted.get(count / 2) else { return around(0.0, None) };
    let value = f64::midpoint(sorted[(count - 1) / 2], *upper);
    let (mut below, mut term, mut rank) = (0.0, libm::exp2(-(count as f64)), 0);
    while below + term <= 1.0 - CONFIDENCE {
        below += term;
        term *= (count - rank) as f64 / (rank + 1) as f64;
        rank += 1;
    }
    let end = |at: usize| (rank > 0).then(|| sorted[at]);
    Estimate { value, low: end(rank.saturating_sub(1)), high: end(count - rank.max(1)) }
}

/// `value` plus and minus `half_width`, if there is one.
#[must_use]
pub fn around(value: f64, half_width: Option<f64>) -> Estimate {
    Estimate {
        value,
        low: half_width.map(|half| value - half),
        high: half_width.map(|half| value + half),
    }
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
        let expected = of_independent(&means);
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
        assert_eq!(quantile_orders(0.999, 1000.0, 1.0), (None, None));
        assert!(quantile_orders(0.98, 1000.0, 1.0).0.is_some());
        // 100 requests in clusters that tell as much as four.
        assert_eq!(quantile_orders(0.99, 10_000.0, 5.0), (None, None));
    }

    #[test]
    fn independent_requests_have_the_interval_of_their_ranks() {
        let (low, high) = quantile_orders(0.5, 100.0, 1.0);
        // ln(p / (1 - p)) is 0 at one half, and its slope 4.
        let high_order = 1.0 / (1.0 + libm::exp(-4.0 * 1.96 * 0.05));
        assert!((high.unwrap() - high_order).abs() < 1e-4, "{high:?}");
        assert!((low.unwrap() - (1.0 - high_order)).abs() < 1e-4, "{low:?}");
    }

    #[test]
    fn correlation_widens_and_regularity_narrows() {
        let halves = |share: fn(usize) -> f64| {
            (0..20).map(|i| batch(0, 100.0, 100.0 * share(i))).collect::<Vec<_>>()
        };
        let all_or_none = halves(|i| f64::from(u8::from(i * 7 % 20 < 10)));
        assert!(widening(&all_or_none).unwrap() > 9.0);
        assert_eq!(widening(&halves(|_| 0.5)), Some(0.0));
        assert_eq!(widening(&halves(|_| 1.0)), Some(0.0));
        assert_eq!(widening(&[batch(0, 9.0, 3.0), batch(0, 8.0, 4.0)]), None);
    }

    /// Ranks from the table of Le Boudec's appendix A (n: lower, upper).
    #[test]
    fn the_interval_of_a_median_is_that_of_the_table() {
        for (count, low, high) in
            [(6, 1, 6), (7, 1, 7), (8, 1, 8), (9, 2, 8), (12, 3, 10), (20, 6, 15), (30, 10, 21)]
        {
            let values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
            let found = of_median(&values);
            assert_eq!((found.low, found.high), (Some(f64::from(low)), Some(f64::from(high))));
            assert!((found.value - f64::from(count + 1) / 2.0).abs() < 1e-12);
        }
        assert_eq!(of_median(&[3.0, 1.0, 2.0, 5.0, 4.0]), around(3.0, None));
        assert_eq!(of_median(&[]).value, 0.0);
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
