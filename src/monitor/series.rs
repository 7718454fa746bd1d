//! What one world did, second by second.

use std::collections::BTreeMap;

use crate::policy::PeerState;
use crate::record::{EventKind, EventRow, NO_UPSTREAM, RequestRow, TimelineRow};
use crate::units::time::NANOS_PER_SECOND;

/// Upper bounds of the histogram of latencies, in seconds: ten to a decade (the R10 series), so that a
/// quantile is told to a quarter of its value.
pub(super) const BOUNDS: [f64; 44] = [
    0.0001, 0.0002, 0.0005, 0.001, 0.00125, 0.0016, 0.002, 0.0025, 0.00315, 0.004, 0.005, 0.0063,
    0.008, 0.01, 0.0125, 0.016, 0.02, 0.025, 0.0315, 0.04, 0.05, 0.063, 0.08, 0.1, 0.125, 0.16,
    0.2, 0.25, 0.315, 0.4, 0.5, 0.63, 0.8, 1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0,
    10.0,
];

/// The seconds of one round, or of one replication of the model.
#[derive(Clone, Debug, Default)]
pub struct Series {
    seconds: Vec<Second>,
    upstreams: usize,
}

#[derive(Clone, Debug, Default)]
struct Second {
    count: Count,
    upstreams: Vec<UpstreamSecond>,
    /// As the model says; in the live world those that run are counted.
    instances: Option<u16>,
    events: BTreeMap<EventKind, u64>,
}

#[derive(Clone, Debug)]
struct Count {
    succeeded: u64,
    failed: u64,
    /// One more than bounds.
    buckets: [u64; BOUNDS.len() + 1],
    nanos: u128,
}

impl Default for Count {
    fn default() -> Self {
        Self { succeeded: 0, failed: 0, buckets: [0; BOUNDS.len() + 1], nanos: 0 }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct UpstreamSecond {
    succeeded: u64,
    failed: u64,
    at_its_end: Option<Gauges>,
}

/// An upstream at the end of a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gauges {
    pub(super) in_flight: u32,
    pub(super) queue: u32,
    /// Share of the workers' time in this second that they were busy; `None` if unknown.
    pub(super) utilization: Option<f64>,
    /// Whether the balancer sends it requests.
    pub(super) up: bool,
    /// Whether it is there and serves.
    pub(super) ready: bool,
}

/// All that happened up to some second.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) buckets: Vec<u64>,
    pub(super) latency_seconds: f64,
    /// By upstream: succeeded and failed requests whose last attempt it had.
    pub(super) upstreams: Vec<(u64, u64)>,
    pub(super) events: BTreeMap<EventKind, u64>,
}

impl Series {
    /// Nothing yet, of so many upstreams.
    #[must_use]
    pub fn new(upstreams: usize) -> Self {
        Self { seconds: Vec::new(), upstreams }
    }

    /// Counts a request in the second of its end.
    pub fn request(&mut self, row: &RequestRow) {
        let failed = row.failed();
        let second = self.second(row.finished_ns);
        let latency = row.latency_ns();
        let seconds = latency as f64 / 1e9;
        second.count.buckets[BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        second.count.nanos += u128::from(latency);
        second.count.failed += u64::from(failed);
        second.count.succeeded += u64::from(!failed);
        if row.upstream != NO_UPSTREAM
            && let Some(upstream) = second.upstreams.get_mut(row.upstream as usize)
        {
            upstream.failed += u64::from(failed);
            upstream.succeeded += u64::from(!failed);
        }
    }

    /// Takes over what the model says of an upstream at the end of a second.
    pub fn timeline(&mut self, row: &TimelineRow) {
        let busy = f64::from(row.cpu);
        self.gauges(
            row.second,
            row.upstream as usize,
            Gauges {
                in_flight: row.in_flight,
                queue: row.queue,
                utilization: busy.is_finite().then_some(busy),
                up: row.state == PeerState::Up,
                ready: row.state != PeerState::Removed,
            },
        );
        self.second(u64::from(row.second) * NANOS_PER_SECOND).instances = Some(row.instances);
    }

    /// Counts something rare.
    pub fn event(&mut self, row: &EventRow) {
        *self.second(row.at_ns).events.entry(row.kind).or_default() += 1;
    }

    pub(super) fn gauges(&mut self, second: u32, upstream: usize, gauges: Gauges) {
        let second = self.second(u64::from(second) * NANOS_PER_SECOND);
        if let Some(upstream) = second.upstreams.get_mut(upstream) {
            upstream.at_its_end = Some(gauges);
        }
    }

    /// What happened in the first `seconds` seconds.
    pub(super) fn until(&self, seconds: u32) -> Totals {
        let mut sum = Totals {
            buckets: vec![0; BOUNDS.len() + 1],
            upstreams: vec![(0, 0); self.upstreams],
            ..Totals::default()
        };
        for second in self.seconds.iter().take(seconds as usize) {
            let count = &second.count;
            sum.succeeded += count.succeeded;
            sum.failed += count.failed;
            sum.latency_seconds += count.nanos as f64 / 1e9;
            sum.buckets.iter_mut().zip(&count.buckets).for_each(|(sum, more)| *sum += more);
            for (sum, more) in sum.upstreams.iter_mut().zip(&second.upstreams) {
                *sum = (sum.0 + more.succeeded, sum.1 + more.failed);
            }
            for (kind, count) in &second.events {
                *sum.events.entry(*kind).or_default() += count;
            }
        }
        sum
    }

    /// Each upstream at the end of the first `seconds` seconds, as far as it is known.
    pub(super) fn at(&self, seconds: u32) -> impl Iterator<Item = (usize, Gauges)> + '_ {
        let last = seconds.checked_sub(1).and_then(|last| self.seconds.get(last as usize));
        let upstreams = last.map_or(&[][..], |second| &second.upstreams);
        upstreams.iter().enumerate().filter_map(|(i, one)| Some((i, one.at_its_end?)))
    }

    /// Instances that are ready at the end of the first `seconds` seconds, if that is known.
    pub(super) fn instances(&self, seconds: u32) -> Option<usize> {
        let last = self.seconds.get(seconds.checked_sub(1)? as usize)?;
        let mut known = self.at(seconds).peekable();
        known.peek()?;
        let ready = known.filter(|(_, now)| now.ready).count();
        Some(last.instances.map_or(ready, usize::from))
    }

    fn second(&mut self, at_ns: u64) -> &mut Second {
        let place = (at_ns / NANOS_PER_SECOND) as usize;
        while self.seconds.len() <= place {
            let upstreams = vec![UpstreamSecond::default(); self.upstreams];
            self.seconds.push(Second { upstreams, ..Second::default() });
        }
        &mut self.seconds[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RequestError;

    fn request(due_ms: u64, took_ms: u64, upstream: u32, status: u16) -> RequestRow {
        RequestRow {
            scheduled_ns: due_ms * 1_000_000,
            finished_ns: (due_ms + took_ms) * 1_000_000,
            upstream,
            status,
            error: if status == 0 { RequestError::Timeout } else { RequestError::None },
            ..RequestRow::BLANK
        }
    }

    #[test]
    fn a_request_counts_from_the_second_of_its_end() {
        let mut series = Series::new(2);
        series.request(&request(100, 20, 0, 200));
        series.request(&request(900, 200, 1, 503));
        series.request(&request(1000, 100, NO_UPSTREAM, 0));
        let first = series.until(1);
        assert_eq!((first.succeeded, first.failed), (1, 0));
        assert_eq!(first.upstreams, [(1, 0), (0, 0)]);
        let both = series.until(2);
        assert_eq!((both.succeeded, both.failed), (1, 2));
        assert_eq!(both.upstreams, [(1, 0), (0, 1)]);
        assert!((both.latency_seconds - 0.32).abs() < 1e-9);
        assert_eq!(both.buckets.iter().sum::<u64>(), 3);
        // 20 ms lies on a bound and belongs to it.
        let place = BOUNDS.iter().position(|bound| *bound == 0.02).expect("a bound");
        assert_eq!(both.buckets[place], 1);
        assert_eq!(series.until(9).failed, 2, "nothing is known of later seconds");
    }

    #[test]
    fn gauges_are_those_at_the_end_of_the_second() {
        let mut series = Series::new(1);
        let gauges =
            Gauges { in_flight: 3, queue: 1, utilization: Some(0.5), up: true, ready: true };
        series.gauges(1, 0, gauges);
        assert_eq!(series.at(0).count(), 0);
        assert_eq!(series.at(1).count(), 0);
        assert_eq!(series.at(2).collect::<Vec<_>>(), [(0, gauges)]);
        assert_eq!((series.instances(1), series.instances(2)), (None, Some(1)));
    }

    #[test]
    fn bounds_rise() {
        assert!(BOUNDS.is_sorted());
    }
}
