//! How far two distributions are apart.

use super::summary::{Latency, QuantileDifference};
use crate::record::Histogram;

/// The largest distance of the two distribution functions (Kolmogorov-Smirnov), 0 to 1; 0 if
/// either is empty.
#[must_use]
pub fn kolmogorov_smirnov(a: &Histogram, b: &Histogram) -> f64 {
    steps(a, b).map(|step| step.apart).fold(0.0, f64::max)
}

/// The area between the two quantile functions, which is that between the two distribution
/// functions (Wasserstein-1, earth mover's distance; Vallender 1974), ns; 0 if either is empty.
#[must_use]
pub fn wasserstein(a: &Histogram, b: &Histogram) -> f64 {
    steps(a, b).map(|step| step.apart * step.width as f64).sum()
}

/// The quantiles that people ask for, side by side.
#[must_use]
pub fn quantile_differences(sim: &Latency, live: &Latency) -> Vec<QuantileDifference> {
    named_quantiles(sim)
        .into_iter()
        .zip(named_quantiles(live))
        .map(|((name, sim), (_, live))| difference(name, sim, live))
        .collect()
}

pub(super) fn difference(name: &str, sim: f64, live: f64) -> QuantileDifference {
    QuantileDifference { name: name.to_owned(), sim, live, relative: relative(sim, live) }
}

pub(super) fn named_quantiles(latency: &Latency) -> [(&'static str, f64); 5] {
    [
        ("p50", latency.p50.value),
        ("p90", latency.p90.value),
        ("p99", latency.p99.value),
        ("p99.9", latency.p999.value),
        ("max", latency.max.value),
    ]
}

/// `(a - b) / b`; against nothing, 0 for nothing and else 1, since JSON has no infinity.
pub(super) fn relative(a: f64, b: f64) -> f64 {
    match (a == b, b == 0.0) {
        (true, _) => 0.0,
        (false, true) => 1.0,
        (false, false) => (a - b) / b,
    }
}

/// A stretch on which both distribution functions are constant.
struct Step {
    /// Distance of the two functions on it.
    apart: f64,
    /// Its length.
    width: u64,
}

/// Both histograms have the same buckets, so walking them together loses nothing beyond the
/// width of a bucket.
fn steps(a: &Histogram, b: &Histogram) -> impl Iterator<Item = Step> {
    let changes = if a.is_empty() || b.is_empty() { Vec::new() } else { changes(a, b) };
    let (all_a, all_b) = (a.count() as f64, b.count() as f64);
    let (mut below_a, mut below_b) = (0, 0);
    (0..changes.len()).map(move |i| {
        let (at, more_a, more_b) = changes[i];
        below_a += more_a;
        below_b += more_b;
        let next = changes.get(i + 1).map_or(at, |change| change.0);
        Step { apart: (below_a as f64 / all_a - below_b as f64 / all_b).abs(), width: next - at }
    })
}

/// Every value of either, rising, with how often it is in `a` and in `b`.
fn changes(a: &Histogram, b: &Histogram) -> Vec<(u64, u64, u64)> {
    let mut changes: Vec<(u64, u64, u64)> = a
        .buckets()
        .map(|(value, count)| (value, count, 0))
        .chain(b.buckets().map(|(value, count)| (value, 0, count)))
        .collect();
    changes.sort_unstable_by_key(|change| change.0);
    changes.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            (kept.1, kept.2) = (kept.1 + later.1, kept.2 + later.2);
        }
        same
    });
    changes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    #[test]
    fn a_shift_moves_everything_by_itself() {
        let a: Vec<u64> = (0..100_000).map(|i| 1_000_000 + i * 10).collect();
        let b: Vec<u64> = a.iter().map(|value| value + 250_000).collect();
        let (a, b) = (of(&a), of(&b));
        assert!((wasserstein(&a, &b) / 250_000.0 - 1.0).abs() < 0.005);
        assert!((kolmogorov_smirnov(&a, &b) - 0.25).abs() < 0.002);
    }

    #[test]
    fn exponentials_have_the_distance_of_their_means() {
        let law = |mean: f64| {
            of(&(0..100_000u32)
                .map(|i| (-mean * libm::log1p(-(f64::from(i) + 0.5) / 1e5)) as u64)
                .collect::<Vec<_>>())
        };
        let (fast, slow) = (law(10e6), law(20e6));
        // F - G = exp(-x/20) - exp(-x/10) is largest at 20 ln 2, and there 1/4.
        assert!((kolmogorov_smirnov(&fast, &slow) - 0.25).abs() < 0.001);
        assert!((wasserstein(&fast, &slow) / 10e6 - 1.0).abs() < 0.001);
    }

    #[test]
    fn nothing_is_no_distance() {
        let (some, none) = (of(&[5]), Histogram::new());
        assert_eq!((kolmogorov_smirnov(&some, &none), wasserstein(&none, &some)), (0.0, 0.0));
        assert_eq!((relative(0.0, 0.0), relative(3.0, 0.0), relative(1.0, 2.0)), (0.0, 1.0, -0.5));
    }

    proptest! {
        /// Below 2048 the buckets are exact, so the distances are too.
        #[test]
        fn both_agree_with_sorted_lists(
            mut a in prop::collection::vec(0u64..2048, 1..50),
            mut b in prop::collection::vec(0u64..2048, 1..50),
        ) {
            let (of_a, of_b) = (of(&a), of(&b));
            a.sort_unstable();
            b.sort_unstable();
            let share = |sorted: &[u64], x: u64| {
                sorted.partition_point(|value| *value <= x) as f64 / sorted.len() as f64
            };
            let apart = |x| (share(&a, x) - share(&b, x)).abs();
            let area: f64 = (0..2048).map(apart).sum();
            let largest = (0..2048).map(apart).fold(0.0, f64::max);
            prop_assert!((wasserstein(&of_a, &of_b) - area).abs() < 1e-6);
            prop_assert!((kolmogorov_smirnov(&of_a, &of_b) - largest).abs() < 1e-9);
        }
    }
}
