//! Loud warnings: results that would not be the same in a longer run.
//!
//! A queue that is offered more than it can serve grows for as long as the run lasts, so its
//! quantiles say how long that was and nothing else. It shows in arithmetic (offered load at or
//! above capacity) and in the record: the mean latency of the pieces of a stretch of equal
//! conditions rises through all of it. The trend is tested by Mann and Kendall's rank test (Mann
//! 1945; variance without ties), which asks for no shape; since a busy queue that is stable
//! wanders too, the latency of the last third must also be half as much again as that of the
//! first.

use super::digest::Digest;
use super::interval;
use super::sample::{Selection, Since};
use crate::units::{Rate, Span};

/// One in 1300 for independent pieces.
const SIGNIFICANT: f64 = 3.2;
/// Growth from the first to the last third that matters.
const FACTOR: f64 = 1.5;
/// Fewer requests in a piece give no mean worth testing.
const REQUESTS_PER_PIECE: u64 = 10;

/// Warnings about the run behind `digest`.
pub(super) fn warnings(digest: &Digest) -> Vec<String> {
    let mut warnings = overloads(digest);
    warnings.extend(growing_queues(digest));
    warnings.extend(immeasurable_means(digest));
    warnings
}

/// Mann and Kendall's standardised statistic: above 0 for a rising series; 0 for fewer than four
/// values.
#[must_use]
pub fn mann_kendall(series: &[f64]) -> f64 {
    let n = series.len() as f64;
    if series.len() < 4 {
        return 0.0;
    }
    let sign = |a: f64, b: f64| f64::from(i8::from(b > a) - i8::from(b < a));
    let later =
        series.iter().enumerate().flat_map(|(i, a)| series[i + 1..].iter().map(move |b| (a, b)));
    let rises: f64 = later.map(|(a, b)| sign(*a, *b)).sum();
    let deviation = (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    // The continuity correction moves by one towards zero.
    (rises - rises.clamp(-1.0, 1.0)) / deviation
}

/// Whether a series of mean latencies over time rises through its whole length, beyond noise.
#[must_use]
pub fn grows(means: &[f64]) -> bool {
    let third = means.len() / 3;
    third > 0
        && mann_kendall(means) > SIGNIFICANT
        && interval::mean(&means[means.len() - third..]) > FACTOR * interval::mean(&means[..third])
}

fn overloads(digest: &Digest) -> Vec<String> {
    let layout = digest.layout();
    let capacity: f64 = layout.primaries().map(|(_, peer)| peer.capacity).sum();
    let overloaded = layout.stages.iter().filter(|stage| stage.rate >= capacity);
    overloaded
        .map(|stage| {
            format!(
                "stage `{}` offers {}, and the backends can serve {} at most: the queue grows for as \
                 long as it lasts, or requests fail; its quantiles depend on its length",
                stage.period.name,
                Rate(stage.rate),
                Rate(capacity),
            )
        })
        .collect()
}

fn growing_queues(digest: &Digest) -> Vec<String> {
    let layout = digest.layout();
    let sample = digest.sample(Selection::default());
    let mut warnings = Vec::new();
    for stretch in layout.pieces().chunk_by(|a, b| a.interval == b.interval) {
        let (from, until) = (stretch[0].from, stretch[stretch.len() - 1].until);
        let ramp = layout
            .stages
            .iter()
            .any(|s| !s.steady && s.period.from < until && from < s.period.until);
        let fault = layout.faults.iter().any(|fault| fault.from < until && from < fault.until);
        if ramp || fault {
            continue;
        }
        let means = sample.means(stretch[0].interval, REQUESTS_PER_PIECE);
        if grows(&means) {
            let third = means.len() / 3;
            let mean = |part: &[f64]| Span::from_nanos_f64(interval::mean(part).round());
            warnings.push(format!(
                "latency grows from {from} to {until}: its mean is {} in the first third and {} in \
                 the last; a longer run would give other quantiles",
                mean(&means[..third]),
                mean(&means[means.len() - third..]),
            ));
        }
    }
    warnings
}

fn immeasurable_means(digest: &Digest) -> Vec<String> {
    let heavy = digest.layout().peers.iter().filter(|peer| !peer.third_moment);
    let mut groups: Vec<&str> = heavy.map(|peer| peer.group.as_str()).collect();
    groups.dedup();
    groups
        .into_iter()
        .map(|group| {
            format!(
                "the service law of `{group}` has no finite third moment: the mean wait can't be \
                 estimated, however long the run, and its interval is wrong; use quantiles"
            )
        })
        .collect()
}

impl super::sample::Sample<'_> {
    /// Mean latency of each piece of an interval that has at least `least` requests.
    fn means(&self, interval: usize, least: u64) -> Vec<f64> {
        self.pieces
            .iter()
            .filter(|piece| piece.interval == interval)
            .filter_map(|piece| {
                let parts = || piece.cells.iter().flat_map(|cell| cell.latencies(Since::Due));
                let count: u64 = parts().map(|part| part.count()).sum();
                let sum: u128 = parts().map(|part| part.sum()).sum();
                (count >= least).then(|| sum as f64 / count as f64)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::layout::tests::{layout, steady};
    use super::*;
    use crate::units::World;

    #[test]
    fn the_statistic_is_that_of_the_textbook() {
        // Gilbert, Statistical Methods for Environmental Pollution Monitoring (1987), 16.4.
        let rising: Vec<f64> = (0..10).map(f64::from).collect();
        assert!((mann_kendall(&rising) - 44.0 / 125f64.sqrt()).abs() < 1e-12);
        let falling: Vec<f64> = rising.iter().rev().copied().collect();
        assert_eq!(mann_kendall(&falling), -mann_kendall(&rising));
        assert_eq!((mann_kendall(&[1.0; 20]), mann_kendall(&[1.0, 2.0])), (0.0, 0.0));
    }

    #[test]
    fn a_small_steady_rise_is_no_growing_queue() {
        assert!(!grows(&(0..20).map(|i| 100.0 + f64::from(i)).collect::<Vec<_>>()));
        assert!(grows(&(0..20).map(|i| 100.0 + 20.0 * f64::from(i)).collect::<Vec<_>>()));
    }

    #[test]
    fn arithmetic_tells_an_overload_before_any_request() {
        let mut layout = layout();
        layout.stages[1].rate = 400.0;
        let found = warnings(&Digest::new(&layout, World::Sim));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].contains("stage `high` offers 400/s") && found[0].contains("400/s at most")
        );
        layout.stages[1].rate = 399.0;
        assert!(warnings(&Digest::new(&layout, World::Sim)).is_empty());
    }

    #[test]
    fn a_law_without_a_third_moment_is_named_once() {
        let mut layout = steady(60);
        layout.peers.iter_mut().take(2).for_each(|peer| peer.third_moment = false);
        let found = warnings(&Digest::new(&layout, World::Sim));
        assert!(found.len() == 1 && found[0].contains("`a`") && found[0].contains("quantiles"));
    }
}
