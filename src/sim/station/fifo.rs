//! First in, first out over parallel workers.

use std::collections::VecDeque;

use smallvec::SmallVec;

use super::{Entry, Owner, Work};
use crate::policy::{LatencyByLoad, LoadReport};
use crate::units::{Nanos, Span};

/// A job whose service is planned: from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sim) struct Job {
    /// Whose it is.
    pub(in crate::sim) owner: Owner,
    /// When a worker takes it.
    pub(in crate::sim) start: Nanos,
    /// When it is done.
    pub(in crate::sim) end: Nanos,
    service: Span,
    fixed: Span,
    entered: Nanos,
    /// Jobs present when it came, if the station is probed.
    found: u32,
    /// Whether its end is part of what the station says of its load.
    told: bool,
}

/// A first-in-first-out station. What an arrival reads comes first.
#[derive(Clone, Debug)]
#[repr(C)]
pub(in crate::sim) struct Fifo {
    /// When the first worker is free again. Apart from the others, since most stations have one, and
    /// among thousands of them each look elsewhere would wait for the memory.
    first_free: Nanos,
    /// Nothing starts before this: the end of a hang.
    stopped_until: Nanos,
    remembers: bool,
    /// It has one worker.
    is_single: bool,
    /// When the other workers are free again: a heap, the earliest first.
    others_free: Vec<Nanos>,
    queue_limit: usize,
    slowdown: f64,
    /// Jobs in order of arrival, which is also the order of their starts; those that are over are
    /// dropped from the front. Empty unless `remembers`.
    jobs: VecDeque<Job>,
    /// Jobs that came since it was last cleared, if it remembers them.
    entered: u64,
    /// What it has to say of its load, if it may be asked.
    latencies: Option<Box<LatencyByLoad>>,
    busy: f64,
    busy_from: Nanos,
}

impl Fifo {
    /// An empty station. It remembers its jobs if it has a limit, is `probed` for its load, or
    /// `remembers` says so; what disturbs or watches the station needs that.
    pub(in crate::sim) fn new(
        workers: u32,
        queue_limit: Option<u32>,
        remembers: bool,
        probed: bool,
    ) -> Self {
        Self {
            first_free: Nanos::ZERO,
            is_single: workers <= 1,
            others_free: vec![Nanos::ZERO; workers.saturating_sub(1) as usize],
            queue_limit: queue_limit.map_or(usize::MAX, |limit| limit as usize),
            slowdown: 1.0,
            stopped_until: Nanos::ZERO,
            jobs: VecDeque::new(),
            entered: 0,
            remembers: remembers || probed || queue_limit.is_some(),
            latencies: probed.then(Box::default),
            busy: 0.0,
            busy_from: Nanos::ZERO,
        }
    }

    /// It has neither a limit nor anyone who asks for its jobs: then [`Self::serve`] is all there
    /// is to an arrival.
    #[inline]
    pub(in crate::sim) const fn is_plain(&self) -> bool {
        !self.remembers
    }

    /// A job arrives.
    pub(in crate::sim) fn enter(&mut self, now: Nanos, work: Work) -> Entry {
        if self.remembers {
            return self.enter_remembered(now, work);
        }
        let (start, end) = self.serve(now, work.service + work.fixed);
        Entry::Known { start, end }
    }

    fn enter_remembered(&mut self, now: Nanos, work: Work) -> Entry {
        self.forget(now);
        let starts_at_once = self.first_free <= now && self.stopped_until <= now;
        if !starts_at_once && self.waiting(now) >= self.queue_limit {
            return Entry::Full;
        }
        let Work { owner, service, fixed } = work;
        let (start, end) = self.serve(now, self.stretched(service, fixed));
        let found = if self.latencies.is_some() { self.present(now) } else { 0 };
        let entered = now;
        let job = Job { owner, start, end, service, fixed, entered, found, told: false };
        self.jobs.push_back(job);
        self.entered += 1;
        Entry::Known { start, end }
    }

    /// Everything in it is lost.
    pub(in crate::sim) fn clear(&mut self, now: Nanos) {
        self.account(now);
        self.jobs.clear();
        self.entered = 0;
        self.free_all(now);
        self.stopped_until = Nanos::ZERO;
        if let Some(latencies) = &mut self.latencies {
            **latencies = LatencyByLoad::default();
        }
    }

    /// Service that starts from now on takes `factor` times as long; what waits is planned anew. A
    /// station that does not remember its jobs could not plan them anew: it is never slowed down, but
    /// told so with every fault that is none of its own.
    pub(in crate::sim) fn set_slowdown(&mut self, now: Nanos, factor: f64) {
        if factor != self.slowdown {
            self.slowdown = factor;
            self.plan_again(now, Nanos::ZERO);
        }
    }

    /// Nothing completes and nothing starts before `until`; what was due meanwhile completes then.
    pub(in crate::sim) fn stop_until(&mut self, now: Nanos, until: Nanos) {
        self.stopped_until = self.stopped_until.max(until);
        self.plan_again(now, self.stopped_until);
    }

    /// The jobs that are not over, for whoever must hear of changed plans.
    pub(in crate::sim) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.iter()
    }

    /// Jobs that wait for a worker.
    pub(in crate::sim) fn waiting(&self, now: Nanos) -> usize {
        self.jobs.len() - self.jobs.partition_point(|job| job.start <= now)
    }

    /// What it answers to a load probe.
    pub(in crate::sim) fn load(&mut self, now: Nanos) -> LoadReport {
        self.forget(now);
        let rif = self.present(now);
        self.latencies.as_ref().map_or_else(Default::default, |known| known.report(now, rif))
    }

    /// Jobs that came since it was last cleared, if it remembers them.
    pub(in crate::sim) const fn entered(&self) -> u64 {
        self.entered
    }

    /// Jobs that are not over; with several workers some behind the first may be.
    pub(in crate::sim) fn present(&self, now: Nanos) -> u32 {
        self.jobs.iter().filter(|job| job.end > now).count() as u32
    }

    /// Takes down the latencies of jobs that are over, in order of their ends.
    fn tell(&mut self, now: Nanos) {
        let Some(latencies) = &mut self.latencies else { return };
        let over = |job: &&mut Job| job.end <= now && !job.told;
        let mut ended: SmallVec<[(Nanos, u32, Span); 8]> = SmallVec::new();
        for job in self.jobs.iter_mut().filter(over) {
            job.told = true;
            ended.push((job.end, job.found, job.end.since(job.entered)));
        }
        ended.sort_unstable();
        ended.into_iter().for_each(|(end, found, took)| latencies.record(end, found, took));
    }

    /// Worker time used since the last call, in nanoseconds.
    pub(in crate::sim) fn take_busy(&mut self, now: Nanos) -> f64 {
        self.forget(now);
        self.account(now);
        std::mem::take(&mut self.busy)
    }

    /// Gives the next free worker a job of length `service`; when it starts and ends.
    #[inline(always)]
    pub(in crate::sim) fn serve(&mut self, now: Nanos, service: Span) -> (Nanos, Nanos) {
        let start = self.first_free.max(now).max(self.stopped_until);
        let end = start + service;
        self.replace_first(end);
        (start, end)
    }

    /// Every worker is free from `now` on.
    fn free_all(&mut self, now: Nanos) {
        self.first_free = now;
        self.others_free.fill(now);
    }

    fn stretched(&self, service: Span, fixed: Span) -> Span {
        if self.slowdown == 1.0 { service + fixed } else { service.scaled(self.slowdown) + fixed }
    }

    /// The worker that is free first is now free at `end`.
    #[inline(always)]
    fn replace_first(&mut self, end: Nanos) {
        self.first_free = if self.is_single { end } else { self.next_free(end) };
    }

    /// When a worker is free again, if the one that was free first is at `end`; restores the heap of the
    /// others.
    fn next_free(&mut self, end: Nanos) -> Nanos {
        let free = self.others_free.as_mut_slice();
        let Some(first) = free.first().copied().filter(|first| *first < end) else { return end };
        let mut place = 0;
        loop {
            let mut child = 2 * place + 1;
            if child >= free.len() {
                break;
            }
            if child + 1 < free.len() && free[child + 1] < free[child] {
                child += 1;
            }
            if free[child] >= end {
                break;
            }
            free[place] = free[child];
            place = child;
        }
        free[place] = end;
        first
    }

    /// Plans anew every job that has not started, and moves ends that lie before `not_before`.
    fn plan_again(&mut self, now: Nanos, not_before: Nanos) {
        self.forget(now);
        self.free_all(now);
        for place in 0..self.jobs.len() {
            let job = self.jobs[place];
            if job.start <= now {
                if job.end > now {
                    let end = job.end.max(not_before);
                    self.jobs[place].end = end;
                    self.replace_first(end);
                }
            } else {
                let service = self.stretched(job.service, job.fixed);
                let (start, end) = self.serve(now, service);
                self.jobs[place] = Job { start, end, ..job };
            }
        }
    }

    /// Drops the jobs at the front that are over.
    fn forget(&mut self, now: Nanos) {
        if self.latencies.is_some() {
            self.tell(now);
        }
        while self.jobs.front().is_some_and(|job| job.end <= now) {
            let job = self.jobs.pop_front().expect("there is a front");
            self.busy += overlap(&job, self.busy_from, now);
        }
    }

    /// Adds the work of the remembered jobs up to `now`.
    fn account(&mut self, now: Nanos) {
        self.busy += self.jobs.iter().map(|job| overlap(job, self.busy_from, now)).sum::<f64>();
        self.busy_from = now;
    }
}

fn overlap(job: &Job, from: Nanos, until: Nanos) -> f64 {
    job.end.min(until).since(job.start.max(from)).0 as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(id: u64, service: u64) -> Work {
        let owner = Owner { slot: id as u32, number: 1, id };
        Work { owner, service: Span(service), fixed: Span::ZERO }
    }

    fn plan(fifo: &Fifo) -> Vec<(u64, u64, u64)> {
        fifo.jobs().map(|job| (job.owner.id, job.start.0, job.end.0)).collect()
    }

    #[test]
    fn jobs_wait_for_the_first_free_worker() {
        let mut fifo = Fifo::new(2, None, true, false);
        for (id, service) in [(0, 10), (1, 4), (2, 5), (3, 1)] {
            let _ = fifo.enter(Nanos(0), work(id, service));
        }
        assert_eq!(plan(&fifo), [(0, 0, 10), (1, 0, 4), (2, 4, 9), (3, 9, 10)]);
        assert_eq!(fifo.waiting(Nanos(0)), 2);
        assert_eq!(fifo.waiting(Nanos(4)), 1);
    }

    #[test]
    fn a_factor_that_stays_the_same_changes_nothing() {
        for remembers in [true, false] {
            let mut fifo = Fifo::new(1, None, remembers, false);
            let _ = fifo.enter(Nanos(0), work(0, 10));
            fifo.set_slowdown(Nanos(5), 1.0);
            let entry = fifo.enter(Nanos(6), work(1, 4));
            assert_eq!(entry, Entry::Known { start: Nanos(10), end: Nanos(14) });
        }
    }

    #[test]
    fn many_workers_are_taken_in_order_of_becoming_free() {
        let mut fifo = Fifo::new(7, None, true, false);
        for id in 0..7 {
            let _ = fifo.enter(Nanos(0), work(id, 10 * (7 - id)));
        }
        for (id, start) in (7..14).zip([10, 20, 30, 40, 50, 60, 70]) {
            let entry = fifo.enter(Nanos(1), work(id, 1_000));
            assert_eq!(entry, Entry::Known { start: Nanos(start), end: Nanos(start + 1_000) });
        }
    }

    #[test]
    fn whoever_is_free_first_takes_the_next_job() {
        for workers in 1..7 {
            let mut fifo = Fifo::new(workers, None, false, false);
            let mut free = vec![0u64; workers as usize];
            for id in 0..500 {
                let (now, service) = (id * 3, (id * 7_919) % 23 * u64::from(id % 5 != 0));
                free.sort_unstable();
                let start = free[0].max(now);
                free[0] = start + service;
                let known = Entry::Known { start: Nanos(start), end: Nanos(start + service) };
                assert_eq!(fifo.enter(Nanos(now), work(id, service)), known, "job {id}");
            }
        }
    }

    #[test]
    fn a_limit_counts_who_waits_and_not_who_is_served() {
        let mut fifo = Fifo::new(1, Some(1), false, false);
        assert!(matches!(fifo.enter(Nanos(0), work(0, 10)), Entry::Known { .. }));
        assert!(matches!(fifo.enter(Nanos(1), work(1, 10)), Entry::Known { .. }));
        assert_eq!(fifo.enter(Nanos(2), work(2, 10)), Entry::Full);
        assert!(matches!(fifo.enter(Nanos(10), work(3, 10)), Entry::Known { .. }));
        let mut none = Fifo::new(1, Some(0), false, false);
        assert!(matches!(none.enter(Nanos(0), work(0, 10)), Entry::Known { .. }));
        assert_eq!(none.enter(Nanos(9), work(1, 10)), Entry::Full);
        assert!(matches!(none.enter(Nanos(10), work(2, 10)), Entry::Known { .. }));
    }

    #[test]
    fn a_slowdown_stretches_what_starts_while_it_lasts() {
        let mut fifo = Fifo::new(1, None, true, false);
        for id in 0..3 {
            let _ = fifo.enter(Nanos(0), work(id, 10));
        }
        fifo.set_slowdown(Nanos(5), 3.0);
        assert_eq!(plan(&fifo), [(0, 0, 10), (1, 10, 40), (2, 40, 70)]);
        fifo.set_slowdown(Nanos(20), 1.0);
        assert_eq!(plan(&fifo), [(1, 10, 40), (2, 40, 50)]);
        let entry = fifo.enter(Nanos(21), work(3, 10));
        assert_eq!(entry, Entry::Known { start: Nanos(50), end: Nanos(60) });
    }

    #[test]
    fn what_was_due_during_a_hang_completes_at_its_end() {
        let mut fifo = Fifo::new(2, None, true, false);
        for (id, service) in [(0, 10), (1, 100), (2, 5)] {
            let _ = fifo.enter(Nanos(0), work(id, service));
        }
        fifo.stop_until(Nanos(4), Nanos(50));
        assert_eq!(plan(&fifo), [(0, 0, 50), (1, 0, 100), (2, 50, 55)]);
    }

    #[test]
    fn busy_time_is_what_the_workers_did() {
        let mut fifo = Fifo::new(2, None, true, false);
        let _ = fifo.enter(Nanos(0), work(0, 10));
        let _ = fifo.enter(Nanos(4), work(1, 10));
        assert_eq!(fifo.take_busy(Nanos(8)), 12.0);
        assert_eq!(fifo.take_busy(Nanos(20)), 8.0);
        let _ = fifo.enter(Nanos(20), work(2, 10));
        fifo.clear(Nanos(23));
        assert_eq!(fifo.take_busy(Nanos(30)), 3.0);
    }

    #[test]
    fn it_says_how_many_are_there_and_how_long_they_took() {
        let mut fifo = Fifo::new(2, None, false, true);
        for (id, service) in [(0, 100), (1, 10), (2, 10), (3, 10)] {
            let _ = fifo.enter(Nanos(0), work(id, service));
        }
        assert_eq!(fifo.load(Nanos(5)), LoadReport { rif: 4, latency: Span(0) });
        // 1, 2 and 3 are over, though 0 before them is not; they found 1, 2 and 3.
        assert_eq!(fifo.load(Nanos(40)), LoadReport { rif: 1, latency: Span(20) });
        let _ = fifo.enter(Nanos(200), work(4, 7));
        fifo.clear(Nanos(201));
        assert_eq!(fifo.load(Nanos(201)), LoadReport::default());
    }
}
