//! The same request in both worlds.

use super::interval::{self, Batch};
use super::layout::Layout;
use super::summary::{Estimate, Paired};
use crate::record::{NO_UPSTREAM, RequestError, RequestRow, Sink};
use crate::units::{Nanos, Purpose, Seed};

/// A sample of the requests of one world's first replication, at most `cap` of them. Which ids are
/// kept depends on the ids alone (the smallest hashes; Cohen, "Bottom-k sketches", 2007), so two
/// worlds keep the same ones.
#[derive(Clone, Debug)]
pub struct PairSample {
    warm_up: Nanos,
    cap: usize,
    /// Ids with a hash above this are left out.
    threshold: u64,
    kept: Vec<Kept>,
}

#[derive(Clone, Copy, Debug)]
struct Kept {
    hash: u64,
    id: u64,
    latency_ns: u64,
    upstream: u32,
}

/// One request in both worlds.
#[derive(Clone, Copy)]
struct Pair {
    sim_ns: f64,
    live_ns: f64,
    same_peer: bool,
}

impl PairSample {
    /// As many as a live run of minutes has.
    pub const CAP: usize = 200_000;

    /// An empty sample of at most `cap` requests.
    #[must_use]
    pub fn new(layout: &Layout, cap: usize) -> Self {
        Self { warm_up: layout.warm_up, cap: cap.max(1), threshold: u64::MAX, kept: Vec::new() }
    }

    /// The differences of the requests that are in both samples; `None` without any.
    #[must_use]
    pub fn differences(sim: &Self, live: &Self) -> Option<Paired> {
        let pairs = join(sim, live);
        if pairs.is_empty() {
            return None;
        }
        let mut apart: Vec<f64> = pairs.iter().map(|pair| pair.live_ns - pair.sim_ns).collect();
        let mean_ns = mean_in_time_order(&apart);
        apart.sort_by(f64::total_cmp);
        let quantile =
            |q: f64| apart[((q * apart.len() as f64).ceil() as usize).clamp(1, apart.len()) - 1];
        let same = pairs.iter().filter(|pair| pair.same_peer).count();
        Some(Paired {
            pairs: pairs.len() as u64,
            mean_ns,
            p50_ns: quantile(0.5),
            p05_ns: quantile(0.05),
            p95_ns: quantile(0.95),
            correlation: correlation(&pairs),
            same_peer: same as f64 / pairs.len() as f64,
        })
    }

    /// Halves the sample until it fits.
    #[cold]
    fn shrink(&mut self) {
        while self.kept.len() > self.cap {
            self.threshold /= 2;
            let threshold = self.threshold;
            self.kept.retain(|kept| kept.hash <= threshold);
        }
    }
}

impl Sink for PairSample {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;

    fn request(&mut self, row: &RequestRow) {
        let unusable = row.replication != 0 || row.error == RequestError::Interrupted;
        if unusable || Nanos(row.scheduled_ns) < self.warm_up {
            return;
        }
        let hash = Seed::new(0, 0).words(Purpose::Resample, row.id)[0];
        if hash <= self.threshold {
            let (id, upstream) = (row.id, row.upstream);
            self.kept.push(Kept { hash, id, latency_ns: row.latency_ns(), upstream });
            if self.kept.len() > self.cap {
                self.shrink();
            }
        }
    }
}

/// Pairs in order of their ids, which is that of time for an open loop.
fn join(sim: &PairSample, live: &PairSample) -> Vec<Pair> {
    let sorted = |sample: &PairSample| {
        let mut kept = sample.kept.clone();
        kept.sort_unstable_by_key(|kept| kept.id);
        kept.dedup_by_key(|kept| kept.id);
        kept
    };
    let (sim, live) = (sorted(sim), sorted(live));
    let pair = |live: &Kept| {
        let at = sim.binary_search_by_key(&live.id, |kept| kept.id).ok()?;
        Some(Pair {
            sim_ns: sim[at].latency_ns as f64,
            live_ns: live.latency_ns as f64,
            same_peer: live.upstream == sim[at].upstream && live.upstream != NO_UPSTREAM,
        })
    };
    live.iter().filter_map(pair).collect()
}

/// Requests near one another share their queue: the interval comes from 20 batches.
fn mean_in_time_order(values: &[f64]) -> Estimate {
    let value = interval::mean(values);
    let batches: Vec<Batch> = values
        .chunks(values.len().div_ceil(20))
        .map(|part| Batch { stratum: 0, count: part.len() as f64, sum: part.iter().sum() })
        .collect();
    let half_width = interval::ratio_half_width(&batches).filter(|_| values.len() >= 200);
    interval::around(value, half_width)
}

/// Pearson's; 0 where either does not vary.
fn correlation(pairs: &[Pair]) -> f64 {
    let count = pairs.len() as f64;
    let (sim_mean, live_mean) = (
        pairs.iter().map(|pair| pair.sim_ns).sum::<f64>() / count,
        pairs.iter().map(|pair| pair.live_ns).sum::<f64>() / count,
    );
    let (mut both, mut sim, mut live) = (0.0, 0.0, 0.0);
    for pair in pairs {
        let (x, y) = (pair.sim_ns - sim_mean, pair.live_ns - live_mean);
        both += x * y;
        sim += x * x;
        live += y * y;
    }
    if sim == 0.0 || live == 0.0 { 0.0 } else { both / (sim * live).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::super::digest::tests::row;
    use super::super::layout::tests::steady;
    use super::*;

    fn sample(
        cap: usize,
        ids: impl Iterator<Item = u64>,
        latency: impl Fn(u64) -> u64,
    ) -> PairSample {
        let mut sample = PairSample::new(&steady(60), cap);
        for id in ids {
            let mut row = row(id, id * 1000, latency(id));
            row.upstream = (id % 4).min(1) as u32;
            sample.request(&row);
        }
        sample
    }

    #[test]
    fn requests_are_joined_by_their_id() {
        let sim = sample(10_000, 0..1000, |id| 1_000_000 + id * 1000);
        let live = sample(10_000, (500..1500).rev(), |id| 1_200_000 + id * 1000 + id % 2);
        let paired = PairSample::differences(&sim, &live).unwrap();
        assert_eq!((paired.pairs, paired.same_peer), (500, 1.0));
        assert!((paired.mean_ns.value - 200_000.5).abs() < 1e-6);
        assert_eq!((paired.p05_ns, paired.p95_ns), (200_000.0, 200_001.0));
        assert!(paired.correlation > 0.999_999);
        assert!(paired.mean_ns.low.unwrap() <= 200_000.5);
    }

    #[test]
    fn both_worlds_keep_the_same_requests_whatever_their_order() {
        let sim = sample(100, 0..20_000, |_| 5);
        let live = sample(100, (0..20_000).rev(), |_| 9);
        assert!(sim.kept.len() <= 100 && live.kept.len() <= 100);
        let paired = PairSample::differences(&sim, &live).unwrap();
        assert!(paired.pairs > 25, "{}", paired.pairs);
        assert_eq!((paired.p50_ns, paired.correlation), (4.0, 0.0));
        assert_eq!(paired.pairs as usize, sim.kept.len().min(live.kept.len()));
    }

    #[test]
    fn nothing_in_common_is_no_comparison() {
        let (sim, live) = (sample(10, 0..5, |_| 1), sample(10, 10..15, |_| 1));
        assert!(PairSample::differences(&sim, &live).is_none());
    }
}
