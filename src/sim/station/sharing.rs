//! Processor sharing over parallel workers.
//!
//! With `n` jobs present each is served at rate `min(1, workers / n)`. Virtual time advances at
//! that rate, so a job that arrives at virtual time `v` and needs `s` is done at `v + s` whoever
//! comes or goes (Parekh and Gallager 1993, section III, for equal weights).

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::{Entry, Owner, Work};
use crate::policy::{LatencyByLoad, LoadReport};
use crate::units::{Nanos, Span};

#[derive(Clone, Copy, Debug)]
struct Present {
    owner: Owner,
    entered: Nanos,
    /// Virtual time at which it is done, in nanoseconds.
    done: f64,
    insertion: u64,
    /// Jobs present when it came.
    found: u32,
}

impl Ord for Present {
    /// The greatest of a heap is the one done first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.done.total_cmp(&self.done).then(other.insertion.cmp(&self.insertion))
    }
}
impl PartialOrd for Present {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Present {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Present {}

/// A processor-sharing station.
#[derive(Clone, Debug)]
pub(in crate::sim) struct Sharing {
    workers: f64,
    /// Most jobs present at once.
    room: usize,
    slowdown: f64,
    present: BinaryHeap<Present>,
    /// Virtual time at `at`.
    virtual_ns: f64,
    at: Nanos,
    insertions: u64,
    /// Jobs that came since it was last cleared.
    entered: u64,
    busy: f64,
    /// What it has to say of its load, if it may be asked.
    latencies: Option<Box<LatencyByLoad>>,
    /// Number of the newest plan for the next departure; older plans are void.
    plan: u32,
}

impl Sharing {
    /// An empty station. `queue_limit` jobs may be present beyond one per worker.
    pub(in crate::sim) fn new(workers: u32, queue_limit: Option<u32>, probed: bool) -> Self {
        let workers = workers.max(1);
        Self {
            workers: f64::from(workers),
            room: queue_limit.map_or(usize::MAX, |limit| limit as usize + workers as usize),
            slowdown: 1.0,
            present: BinaryHeap::new(),
            virtual_ns: 0.0,
            at: Nanos::ZERO,
            insertions: 0,
            entered: 0,
            busy: 0.0,
            latencies: probed.then(Box::default),
            plan: 0,
        }
    }

    /// A job arrives.
    pub(in crate::sim) fn enter(&mut self, now: Nanos, work: Work) -> Entry {
        if self.present.len() >= self.room {
            return Entry::Full;
        }
        self.advance(now);
        let service = work.service.0 as f64 * self.slowdown + work.fixed.0 as f64;
        let done = self.virtual_ns + service;
        self.insertions += 1;
        self.entered += 1;
        let insertion = self.insertions;
        let found = self.present.len() as u32;
        self.present.push(Present { owner: work.owner, entered: now, done, insertion, found });
        Entry::Shared
    }

    /// When the next job is done if nobody comes, and the number of this plan, which makes every
    /// earlier one void.
    pub(in crate::sim) fn plan_departure(&mut self) -> Option<(Nanos, u32)> {
        self.plan = self.plan.wrapping_add(1);
        let next = self.present.peek()?;
        let left = (next.done - self.virtual_ns).max(0.0) / self.rate();
        Some((self.at + Span::from_nanos_f64(left), self.plan))
    }

    /// The number of the newest plan.
    pub(in crate::sim) const fn plan(&self) -> u32 {
        self.plan
    }

    /// Whether `plan` is the newest one.
    pub(in crate::sim) const fn is_current(&self, plan: u32) -> bool {
        self.plan == plan
    }

    /// A job that is done by `now`, with the time it spent here; `first` takes the next one even
    /// if rounding left a sliver of it.
    pub(in crate::sim) fn depart(&mut self, now: Nanos, first: bool) -> Option<(Owner, Span)> {
        self.advance(now);
        let next = *self.present.peek()?;
        if !first && next.done > self.virtual_ns {
            return None;
        }
        self.virtual_ns = self.virtual_ns.max(next.done);
        self.present.pop();
        if self.present.is_empty() {
            // Keeps the numbers small, and with them the rounding.
            self.virtual_ns = 0.0;
        }
        let took = now.since(next.entered);
        if let Some(latencies) = &mut self.latencies {
            latencies.record(now, next.found, took);
        }
        Some((next.owner, took))
    }

    /// Jobs in it.
    pub(in crate::sim) fn present(&self) -> u32 {
        self.present.len() as u32
    }

    /// Jobs that came since it was last cleared.
    pub(in crate::sim) const fn entered(&self) -> u64 {
        self.entered
    }

    /// What it answers to a load probe.
    pub(in crate::sim) fn load(&mut self, now: Nanos) -> LoadReport {
        let rif = self.present.len() as u32;
        self.latencies.as_ref().map_or_else(Default::default, |known| known.report(now, rif))
    }

    /// Everything in it is lost.
    pub(in crate::sim) fn clear(&mut self, now: Nanos) {
        self.advance(now);
        self.present.clear();
        self.entered = 0;
        self.virtual_ns = 0.0;
        self.plan = self.plan.wrapping_add(1);
        if let Some(latencies) = &mut self.latencies {
            **latencies = LatencyByLoad::default();
        }
    }

    /// Jobs that arrive from now on need `factor` times as much.
    pub(in crate::sim) const fn set_slowdown(&mut self, factor: f64) {
        self.slowdown = factor;
    }

    /// Jobs beyond one per worker.
    pub(in crate::sim) fn waiting(&self) -> usize {
        self.present.len().saturating_sub(self.workers as usize)
    }

    /// Worker time used since the last call, in nanoseconds.
    pub(in crate::sim) fn take_busy(&mut self, now: Nanos) -> f64 {
        self.advance(now);
        std::mem::take(&mut self.busy)
    }

    /// Rate at which each present job is served.
    fn rate(&self) -> f64 {
        (self.workers / self.present.len().max(1) as f64).min(1.0)
    }

    fn advance(&mut self, now: Nanos) {
        let passed = now.since(self.at).0 as f64;
        self.virtual_ns += passed * self.rate();
        self.busy += passed * (self.present.len() as f64).min(self.workers);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(station: &mut Sharing, now: u64, id: u64, service: u64) {
        let owner = Owner { slot: 0, number: 1, id };
        let work = Work { owner, service: Span(service), fixed: Span::ZERO };
        assert_eq!(station.enter(Nanos(now), work), Entry::Shared);
    }

    fn departures(station: &mut Sharing) -> Vec<(u64, u64)> {
        let mut seen = Vec::new();
        while let Some((at, _)) = station.plan_departure() {
            let mut first = true;
            while let Some((owner, _)) = station.depart(at, std::mem::take(&mut first)) {
                seen.push((owner.id, at.0));
            }
        }
        seen
    }

    #[test]
    fn equal_jobs_share_one_worker_equally() {
        let mut station = Sharing::new(1, None, false);
        enter(&mut station, 0, 0, 10);
        enter(&mut station, 0, 1, 10);
        assert_eq!(departures(&mut station), [(0, 20), (1, 20)]);
    }

    #[test]
    fn a_short_job_passes_a_long_one() {
        // Alone until 10, then half speed each: the short one needs 20 for its 10; the long one
        // has 100 - 10 - 10 = 80 left at 30.
        let mut station = Sharing::new(1, None, false);
        enter(&mut station, 0, 0, 100);
        enter(&mut station, 10, 1, 10);
        assert_eq!(departures(&mut station), [(1, 30), (0, 110)]);
    }

    #[test]
    fn workers_beyond_the_jobs_do_not_help() {
        let mut station = Sharing::new(4, None, false);
        enter(&mut station, 0, 0, 10);
        enter(&mut station, 0, 1, 20);
        assert_eq!(departures(&mut station), [(0, 10), (1, 20)]);
        assert_eq!(station.take_busy(Nanos(50)), 30.0);
    }

    #[test]
    fn a_limit_bounds_who_is_present() {
        let mut station = Sharing::new(1, Some(1), false);
        enter(&mut station, 0, 0, 10);
        enter(&mut station, 0, 1, 10);
        let owner = Owner { slot: 0, number: 1, id: 2 };
        let work = Work { owner, service: Span(1), fixed: Span::ZERO };
        assert_eq!(station.enter(Nanos(0), work), Entry::Full);
    }
}
