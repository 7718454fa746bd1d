//! What the page's charts are drawn from: values per bin of time that say what they are, so that a
//! day of requests is a few hundred numbers and an outlier is still seen.
//!
//! A bin is a whole number of seconds, one as long as there are at most [`BINS`] of them. Latencies
//! are quantiles of the requests due in the bin, rates its mean, requests in flight its highest
//! second.

use serde::Serialize;

use crate::compare::WorldSummary;
use crate::record::{Histogram, RequestRow};
use crate::units::World;
use crate::units::time::NANOS_PER_SECOND;

/// More bins than a chart has room for.
const BINS: u64 = 600;
/// More servers than anyone tells apart in a chart; the busiest are kept.
const SERVERS: usize = 32;

/// How long a bin is for a run of so many seconds, in seconds.
pub(super) fn bin_seconds(seconds: u64) -> u64 {
    seconds.div_ceil(BINS).max(1)
}

/// Latencies of the requests due in each bin, of one world.
#[derive(Clone, Debug)]
pub(super) struct Latencies {
    bin_s: u64,
    bins: Vec<Histogram>,
}

/// Quantiles per bin in ns; all 0 where nothing was due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Bands {
    requests: Vec<u64>,
    p10: Vec<u64>,
    p50: Vec<u64>,
    p90: Vec<u64>,
    p99: Vec<u64>,
    max: Vec<u64>,
}

impl Latencies {
    pub(super) const fn new(bin_s: u64) -> Self {
        Self { bin_s, bins: Vec::new() }
    }

    pub(super) fn add(&mut self, row: &RequestRow) {
        let bin = (row.scheduled_ns / NANOS_PER_SECOND / self.bin_s) as usize;
        // A row that claims to be far later than the run is damaged, and must not fill the memory.
        if bin >= 2 * BINS as usize {
            return;
        }
        if self.bins.len() <= bin {
            self.bins.resize_with(bin + 1, Histogram::new);
        }
        self.bins[bin].record(row.latency_ns());
    }

    pub(super) fn bands(&self) -> Bands {
        let mut bands = Bands::default();
        for bin in &self.bins {
            let at = |q: f64| if bin.is_empty() { 0 } else { bin.quantile(q) };
            bands.requests.push(bin.count());
            bands.p10.push(at(0.1));
            bands.p50.push(at(0.5));
            bands.p90.push(at(0.9));
            bands.p99.push(at(0.99));
            bands.max.push(if bin.is_empty() { 0 } else { bin.max() });
        }
        bands
    }
}

/// Charts over time of one world.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Series {
    world: World,
    bin_s: u64,
    latency: Bands,
    /// Requests due, ended well, and failed, per second.
    offered: Vec<f64>,
    succeeded: Vec<f64>,
    failed: Vec<f64>,
    /// Requests in flight at all servers, highest second of the bin.
    in_flight: Vec<u64>,
    /// The same per server: its place, and its values.
    servers: Vec<(usize, Vec<u64>)>,
}

impl Series {
    pub(super) fn new(world: &WorldSummary, latencies: &Latencies) -> Self {
        let bin = latencies.bin_s as usize;
        let rate = |of: fn(&crate::compare::Second) -> u64| {
            let sums = world.seconds.chunks(bin);
            let mean = |chunk: &[crate::compare::Second]| {
                chunk.iter().map(of).sum::<u64>() as f64 / chunk.len() as f64
            };
            sums.map(|chunk| (mean(chunk) * 100.0).round() / 100.0).collect()
        };
        let highest = |values: &[u64]| -> Vec<u64> {
            values.chunks(bin).map(|chunk| chunk.iter().copied().max().unwrap_or(0)).collect()
        };
        let wide: Vec<Vec<u64>> = world
            .in_flight
            .iter()
            .map(|peer| peer.iter().map(|count| u64::from(*count)).collect())
            .collect();
        let seconds = wide.iter().map(Vec::len).max().unwrap_or(0);
        let total: Vec<u64> = (0..seconds)
            .map(|second| wide.iter().filter_map(|peer| peer.get(second)).sum())
            .collect();
        Self {
            world: world.world,
            bin_s: latencies.bin_s,
            latency: latencies.bands(),
            offered: rate(|second| second.offered),
            succeeded: rate(|second| second.succeeded),
            failed: rate(|second| second.failed),
            in_flight: highest(&total),
            servers: busiest(&wide).into_iter().map(|peer| (peer, highest(&wide[peer]))).collect(),
        }
    }
}

/// In configuration order.
fn busiest(in_flight: &[Vec<u64>]) -> Vec<usize> {
    let mut peers: Vec<usize> = (0..in_flight.len()).collect();
    peers.sort_by_key(|peer| std::cmp::Reverse(in_flight[*peer].iter().sum::<u64>()));
    peers.truncate(SERVERS);
    peers.sort_unstable();
    peers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_few_bins_and_keeps_its_outlier() {
        assert_eq!([0, 600, 601, 86_400].map(bin_seconds), [1, 1, 2, 144]);
        let mut latencies = Latencies::new(2);
        for id in 0..400u64 {
            let scheduled_ns = id * NANOS_PER_SECOND / 100;
            let latency = if id == 250 { 5_000_000 } else { 1_000_000 };
            let finished_ns = scheduled_ns + latency;
            latencies.add(&RequestRow { id, scheduled_ns, finished_ns, ..RequestRow::BLANK });
        }
        let bands = latencies.bands();
        assert_eq!(bands.requests, [200, 200]);
        assert_eq!(bands.max, [1_000_000, 5_000_000]);
        let near = |value: u64, wanted: u64| value.abs_diff(wanted) * 1000 <= wanted;
        assert!(bands.p99.iter().chain(&bands.p10).all(|value| near(*value, 1_000_000)));
    }

    #[test]
    fn the_busiest_servers_are_kept_in_their_order() {
        let mut counts = vec![vec![1]; 40];
        counts[39] = vec![9];
        let kept = busiest(&counts);
        assert_eq!((kept.len(), kept[31], kept[0]), (32, 39, 0));
    }
}
