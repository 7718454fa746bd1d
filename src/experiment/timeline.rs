//! The live world's timeline: what the balancer's attempts and the samples of each second say.

use std::collections::BTreeMap;

use crate::live::sample::Sample;
use crate::policy::PeerState;
use crate::record::histogram::nearest_rank;
use crate::record::{AttemptOutcome, AttemptRow, NO_UPSTREAM, Sink, TimelineRow};
use crate::units::World;

/// Collects the attempts of one round by second and peer.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    ended: BTreeMap<(u32, u32), Ended>,
}

#[derive(Debug, Default)]
struct Ended {
    failed: u32,
    durations: Vec<u64>,
}

impl Timeline {
    /// Counts an attempt in the second of its end.
    pub(super) fn attempt(&mut self, row: &AttemptRow) {
        if row.upstream == NO_UPSTREAM {
            return;
        }
        let second = (row.end_ns / 1_000_000_000) as u32;
        let ended = self.ended.entry((second, row.upstream)).or_default();
        let well = row.outcome == AttemptOutcome::Passed && row.status < 500;
        ended.failed += u32::from(!well);
        ended.durations.push(row.end_ns.saturating_sub(row.start_ns));
    }

    /// Joins attempts and samples and gives the rows to `sink`, by second, then by peer.
    pub(super) fn write(mut self, round: u32, samples: &[Sample], sink: &mut impl Sink) {
        let sampled: BTreeMap<(u32, u32), &Sample> =
            samples.iter().map(|sample| ((sample.second, sample.backend as u32), sample)).collect();
        let mut places: Vec<(u32, u32)> =
            sampled.keys().chain(self.ended.keys()).copied().collect();
        places.sort_unstable();
        places.dedup();
        for place in places {
            let sample = sampled.get(&place).copied();
            let mut ended = self.ended.remove(&place).unwrap_or_default();
            ended.durations.sort_unstable();
            sink.timeline(&TimelineRow {
                world: World::Live,
                replication: round,
                second: place.0,
                upstream: place.1,
                finished: ended.durations.len() as u32,
                failed: ended.failed,
                in_flight: sample.map_or(0, |sample| sample.in_flight),
                queue: sample.map_or(0, |sample| sample.queue),
                p50_ns: quantile(&ended.durations, 0.50),
                p99_ns: quantile(&ended.durations, 0.99),
                cpu: sample.and_then(|sample| sample.cpu).map_or(f32::NAN, |share| share as f32),
                instances: instances(samples, place.0),
                state: sample.and_then(|sample| sample.state).unwrap_or(PeerState::Down),
            });
        }
    }
}

/// Backends that were ready at the end of `second`, or at the last look before it: requests may end
/// after the last.
fn instances(samples: &[Sample], second: u32) -> u16 {
    let looks = samples.iter().map(|sample| sample.second);
    let last = looks.filter(|look| *look <= second).max();
    samples.iter().filter(|sample| Some(sample.second) == last && sample.ready).count() as u16
}

/// 0 without any.
fn quantile(sorted: &[u64], q: f64) -> u64 {
    let rank = nearest_rank(q, sorted.len() as u64);
    sorted.get((rank as usize).saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RequestRow;

    #[derive(Default)]
    struct Rows(Vec<TimelineRow>);

    impl Sink for Rows {
        fn request(&mut self, _row: &RequestRow) {}

        fn timeline(&mut self, row: &TimelineRow) {
            self.0.push(*row);
        }
    }

    #[test]
    fn an_instance_counts_once_it_is_ready() {
        let sample = |second, backend, ready| Sample {
            second,
            backend,
            in_flight: 0,
            state: Some(PeerState::Up),
            queue: 0,
            cpu: Some(0.1),
            utilization: None,
            ready,
        };
        // The second one starts in the first second, and serves in the second.
        let samples =
            [sample(0, 0, true), sample(0, 1, false), sample(1, 0, true), sample(1, 1, true)];
        let mut rows = Rows::default();
        Timeline::default().write(0, &samples, &mut rows);
        let counted: Vec<(u32, u16)> =
            rows.0.iter().map(|row| (row.second, row.instances)).collect();
        assert_eq!(counted, [(0, 1), (0, 1), (1, 2), (1, 2)]);
    }
}
