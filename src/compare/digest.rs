//! Streaming statistics of one replication, in memory that does not grow with it.
//!
//! Requests are counted by class and by piece of time ([`Layout::pieces`]); every group that is
//! asked for later (a class during a fault, say) is a union of such cells, so a request costs one
//! cell however many groups it is in.

use std::collections::BTreeMap;

use super::layout::{Layout, Period};
use super::scaling::Tally;
use super::seconds::Seconds;
use super::summary::Second;
use crate::record::histogram::Histogram;
use crate::record::{EventRow, RequestError, RequestRow, Sink, TimelineRow};
use crate::units::time::NANOS_PER_SECOND;
use crate::units::{Nanos, World};

/// What a group of requests that share class and piece of time did.
#[derive(Clone, Debug, Default)]
pub(super) struct Cell {
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) retried: u64,
    /// Latencies of the requests that were sent when they were due.
    pub(super) punctual: Histogram,
    /// Latencies of the others, from the instant they were due, and from the instant they were sent.
    pub(super) late: Histogram,
    pub(super) late_sent: Histogram,
    pub(super) peers: Vec<PeerTally>,
}

/// What reached a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PeerTally {
    /// Requests whose last attempt went there.
    pub(super) requests: u64,
    /// Time for which they held a worker, ns.
    pub(super) service_ns: u64,
}

/// How a fault showed in one replication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FaultTally {
    /// Requests due from its beginning to the next fault's that failed.
    pub(super) failed: u64,
    /// When the last of them ended.
    pub(super) last: Nanos,
}

/// Streaming statistics of one replication, or of several merged.
#[derive(Clone, Debug)]
pub struct Digest {
    world: World,
    layout: Layout,
    pub(super) replications: u32,
    pub(super) end: Nanos,
    /// By class, then piece; one more class holds rows whose class is unknown.
    pub(super) cells: Vec<Cell>,
    pub(super) causes: BTreeMap<Cause, u64>,
    /// Per fault, for each replication.
    pub(super) faults: Vec<Vec<FaultTally>>,
    /// Requests that were out when the run was interrupted; in no other count.
    pub(super) interrupted: u64,
    seconds: Seconds,
    in_flight: Vec<Vec<u32>>,
    /// What the autoscaler did, in each replication; empty without one.
    pub(super) scaling: Vec<Tally>,
    piece: usize,
}

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cause {
    Error(RequestError),
    Status(u16),
}

/// Both sides of Little's law that a record can give: mean number in the system = throughput
/// times mean response time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Little {
    /// Requests per second that were sent.
    pub throughput: f64,
    /// Mean time from sending to the end, seconds.
    pub response_s: f64,
}

impl Digest {
    /// An empty digest of `world` for the scenario of `layout`.
    #[must_use]
    pub fn new(layout: &Layout, world: World) -> Self {
        let cells = (layout.classes.len() + 1) * layout.pieces().len();
        let cell =
            Cell { peers: vec![PeerTally::default(); layout.peers.len()], ..Cell::default() };
        Self {
            world,
            layout: layout.clone(),
            replications: 1,
            end: layout.end,
            cells: vec![cell; cells],
            causes: BTreeMap::new(),
            faults: vec![vec![FaultTally::default()]; layout.faults.len()],
            interrupted: 0,
            seconds: Seconds::new(layout.timeout),
            in_flight: vec![Vec::new(); layout.peers.len()],
            scaling: layout.scaling.iter().map(|facts| Tally::new(facts, layout.end)).collect(),
            piece: 0,
        }
    }

    /// The world it is of.
    #[must_use]
    pub const fn world(&self) -> World {
        self.world
    }

    /// Names and periods it was made with.
    #[must_use]
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Replications merged in it.
    #[must_use]
    pub const fn replications(&self) -> u32 {
        self.replications
    }

    /// Tells that the run was cut short: rates are over the time up to `at`.
    pub fn end_at(&mut self, at: Nanos) {
        self.end = self.end.min(at.max(self.layout.warm_up));
        self.scaling.iter_mut().for_each(|tally| tally.end_at(at));
    }

    /// Adds the counts of another replication of the same scenario and world. Seconds and
    /// in-flight counts stay those of the first. Merge in a fixed order.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.layout, other.layout, "digests of different scenarios");
        for (mine, theirs) in self.cells.iter_mut().zip(&other.cells) {
            mine.merge(theirs);
        }
        for (cause, count) in &other.causes {
            *self.causes.entry(*cause).or_default() += count;
        }
        for (mine, theirs) in self.faults.iter_mut().zip(&other.faults) {
            mine.extend(theirs);
        }
        self.interrupted += other.interrupted;
        self.scaling.extend(other.scaling.iter().cloned());
        self.replications += other.replications;
        self.end = self.end.min(other.end);
    }

    /// Requests due after the warm-up.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.cells.iter().map(|cell| cell.requests).sum()
    }

    /// Throughput and mean response time, from the instants requests were sent.
    #[must_use]
    pub fn little(&self) -> Little {
        let count: u64 = self.cells.iter().map(Cell::sent).sum();
        let sum: u128 =
            self.cells.iter().map(|cell| cell.punctual.sum() + cell.late_sent.sum()).sum();
        let seconds =
            self.end.since(self.layout.warm_up).as_secs_f64() * f64::from(self.replications);
        if count == 0 || seconds == 0.0 {
            return Little::default();
        }
        Little {
            throughput: count as f64 / seconds,
            response_s: sum as f64 / count as f64 / NANOS_PER_SECOND as f64,
        }
    }

    pub(super) fn seconds(&self) -> Vec<Second> {
        self.seconds.finish()
    }

    pub(super) fn in_flight(&self) -> &[Vec<u32>] {
        &self.in_flight
    }

    #[inline]
    fn piece_of(&mut self, due: Nanos) -> usize {
        let pieces = self.layout.pieces();
        let last = &pieces[self.piece];
        if !(last.from..last.until).contains(&due) {
            let after = pieces.partition_point(|piece| piece.from <= due);
            self.piece = after.saturating_sub(1);
        }
        self.piece
    }

    #[cold]
    fn failure(&mut self, row: &RequestRow) {
        let cause = match row.error {
            RequestError::None => Cause::Status(row.status),
            error => Cause::Error(error),
        };
        *self.causes.entry(cause).or_default() += 1;
        let due = Nanos(row.scheduled_ns);
        let begun = self.layout.faults.partition_point(|fault: &Period| fault.at_or_before(due));
        if let Some(at) = begun.checked_sub(1).map(|i| self.layout.faults[i].from) {
            // Faults that begin together share what fails.
            for fault in (0..begun).rev().take_while(|i| self.layout.faults[*i].from == at) {
                let tally = &mut self.faults[fault][0];
                tally.failed += 1;
                tally.last = tally.last.max(Nanos(row.finished_ns));
            }
        }
    }
}

impl Sink for Digest {
    const ATTEMPTS: bool = false;

    #[inline]
    fn request(&mut self, row: &RequestRow) {
        if row.error == RequestError::Interrupted {
            self.interrupted += 1;
            return;
        }
        self.seconds.add(row);
        if let (Some(tally), Some(facts)) = (self.scaling.first_mut(), &self.layout.scaling) {
            tally.request(facts, row);
        }
        let due = Nanos(row.scheduled_ns);
        if due < self.layout.warm_up {
            return;
        }
        let piece = self.piece_of(due);
        let class = usize::from(row.class).min(self.layout.classes.len());
        self.cells[class * self.layout.pieces().len() + piece].add(row);
        if row.failed() {
            self.failure(row);
        }
    }

    fn event(&mut self, row: &EventRow) {
        if let (Some(tally), Some(facts)) = (self.scaling.first_mut(), &self.layout.scaling) {
            tally.event(facts, row);
        }
    }

    fn timeline(&mut self, row: &TimelineRow) {
        let Some(seconds) = self.in_flight.get_mut(row.upstream as usize) else { return };
        // A damaged row must not fill the memory.
        let second = row.second as usize;
        if row.replication == 0 && second < 1_000_000 {
            if seconds.len() <= second {
                seconds.resize(second + 1, 0);
            }
            seconds[second] = row.in_flight;
        }
    }
}

impl Cell {
    #[inline]
    fn add(&mut self, row: &RequestRow) {
        self.requests += 1;
        self.failed += u64::from(row.failed());
        self.retried += u64::from(row.attempts > 1);
        // What was never sent has no latency from sending.
        let unsent =
            row.error == RequestError::Dropped || (row.sent_ns == 0 && row.scheduled_ns > 0);
        if row.sent_ns == row.scheduled_ns && !unsent {
            self.punctual.record(row.latency_ns());
        } else {
            self.late.record(row.latency_ns());
            if !unsent {
                self.late_sent.record(row.latency_sent_ns());
            }
        }
        if let Some(peer) = self.peers.get_mut(row.upstream as usize) {
            peer.requests += 1;
            peer.service_ns = peer.service_ns.saturating_add(row.service_ns);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.retried += other.retried;
        self.punctual.merge(&other.punctual);
        self.late.merge(&other.late);
        self.late_sent.merge(&other.late_sent);
        for (mine, theirs) in self.peers.iter_mut().zip(&other.peers) {
            mine.requests += theirs.requests;
            mine.service_ns = mine.service_ns.saturating_add(theirs.service_ns);
        }
    }

    /// Number of requests that were sent.
    const fn sent(&self) -> u64 {
        self.punctual.count() + self.late_sent.count()
    }
}

impl Period {
    fn at_or_before(&self, instant: Nanos) -> bool {
        self.from <= instant
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::layout::tests::layout;
    use super::*;

    /// A request that went well: due and sent at `due`, answered `latency` later by peer 0.
    pub(in crate::compare) fn row(id: u64, due: u64, latency: u64) -> RequestRow {
        RequestRow {
            world: World::Sim,
            replication: 0,
            id,
            class: 0,
            scheduled_ns: due,
            sent_ns: due,
            connected_ns: due,
            first_byte_ns: due.saturating_add(latency),
            finished_ns: due.saturating_add(latency),
            demand_ns: latency,
            queued_ns: 0,
            service_ns: latency,
            upstream: 0,
            attempts: 1,
            status: 200,
            error: RequestError::None,
            bytes: 100,
        }
    }

    const SECOND: u64 = NANOS_PER_SECOND;

    #[test]
    fn warm_up_and_interrupted_requests_are_left_out() {
        let mut digest = Digest::new(&layout(), World::Live);
        digest.request(&row(0, 9 * SECOND, 5));
        digest.request(&row(1, 10 * SECOND, 5));
        digest.request(&RequestRow { error: RequestError::Interrupted, ..row(2, 11 * SECOND, 5) });
        assert_eq!((digest.requests(), digest.interrupted), (1, 1));
        assert_eq!(digest.seconds().iter().map(|second| second.offered).sum::<u64>(), 2);
    }

    #[test]
    fn rows_that_name_nothing_known_do_no_harm() {
        let mut digest = Digest::new(&layout(), World::Live);
        digest.request(&RequestRow {
            class: 999,
            upstream: u32::MAX,
            ..row(0, 200 * SECOND, u64::MAX)
        });
        assert_eq!(digest.requests(), 1);
    }

    #[test]
    fn littles_law_counts_from_sending() {
        let mut digest = Digest::new(&layout(), World::Live);
        for i in 0..500u64 {
            let due = 10 * SECOND + i * SECOND / 10;
            digest.request(&RequestRow { sent_ns: due + SECOND, ..row(i, due, 3 * SECOND) });
        }
        let little = digest.little();
        assert!((little.throughput - 10.0).abs() < 1e-9);
        assert!((little.response_s - 2.0).abs() < 1e-9);
    }
}
