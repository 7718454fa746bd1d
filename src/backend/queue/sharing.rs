//! Processor sharing: everyone present is served at once, each at the rate
//! `min(1, workers / present)`.
//!
//! One thread keeps a virtual time that advances at that rate (Kleinrock, "Queueing Systems",
//! vol. 2, 4.4): a request of length `s` that comes at virtual time `v` leaves at `v + s`, so the
//! next to leave is the head of a heap and an arrival costs its insertion only. Departures are
//! computed at their exact instants, whenever the thread wakes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Begun, Depth, Job, Observer, QueueConfig, QueueFull, Served, Work};
use crate::backend::work;
use crate::host::clock;
use crate::units::{Nanos, Span};

/// The set of requests present and the thread that serves them.
#[derive(Debug)]
pub(super) struct Sharing {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    set: Mutex<Set>,
    changed: Condvar,
    limit: usize,
    observer: Observer,
}

impl Sharing {
    pub(super) fn start(config: QueueConfig, observer: Observer) -> io::Result<Self> {
        let workers = config.workers as usize;
        let shared = Arc::new(Shared {
            set: Mutex::new(Set::new(workers)),
            changed: Condvar::new(),
            limit: config.limit.map_or(usize::MAX, |limit| workers.saturating_add(limit as usize)),
            observer,
        });
        let queue = Self { shared };
        let shared = Arc::clone(&queue.shared);
        work::start_thread("processor".to_owned(), config.real_time, move || shared.serve())?;
        Ok(queue)
    }

    pub(super) fn submit(&self, job: Job) -> Result<(), QueueFull> {
        let mut set = self.shared.lock();
        set.advance(job.enqueued);
        if set.present() >= self.shared.limit {
            return Err(QueueFull);
        }
        let begun = self.shared.observer.begin();
        if let Work::Burn(_) = job.work {
            set.burning += 1;
            drop(set);
            return self.burn(job, begun);
        }
        set.enter(job, begun);
        drop(set);
        self.shared.changed.notify_one();
        Ok(())
    }

    pub(super) fn depth(&self) -> Depth {
        let set = self.shared.lock();
        let busy = set.present().min(set.workers);
        Depth { waiting: set.present() - busy, busy }
    }

    pub(super) fn occupied(&self, now: Nanos) -> Span {
        let mut set = self.shared.lock();
        set.advance(now);
        Span::from_nanos_f64(set.occupied)
    }

    /// Work for the CPU gets a thread of its own: the kernel is the processor that is shared.
    fn burn(&self, job: Job, begun: Begun) -> Result<(), QueueFull> {
        let shared = Arc::clone(&self.shared);
        let started = work::start_thread("burn".to_owned(), false, move || {
            work::burn(job.work.span().scaled(begun.slow), false);
            let service = clock::elapsed(job.enqueued);
            shared.leave_burning();
            shared.observer.finish(job, begun, Served { queued: Default::default(), service });
        });
        started.map_err(|_| {
            self.shared.leave_burning();
            QueueFull
        })
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave_burning(&self) {
        let mut set = self.lock();
        set.advance(clock::now());
        set.burning -= 1;
        drop(set);
        self.changed.notify_one();
    }

    /// The life of the processor thread.
    fn serve(&self) {
        let mut set = self.lock();
        while !set.closed {
            let now = clock::now();
            set.advance(now);
            if !set.gone.is_empty() {
                let gone = std::mem::take(&mut set.gone);
                drop(set);
                gone.into_iter().for_each(|present| self.finish(present, now));
                set = self.lock();
                continue;
            }
            set = match set.next_departure() {
                None => self.changed.wait(set).unwrap_or_else(PoisonError::into_inner),
                Some(at) => {
                    let wait = at.since(now).to_std();
                    self.changed.wait_timeout(set, wait).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    fn finish(&self, present: Present, now: Nanos) {
        let service = now.since(present.job.enqueued);
        let served = Served { queued: Default::default(), service };
        self.observer.finish(present.job, present.begun, served);
    }
}

/// The requests present, in virtual time.
#[derive(Debug)]
struct Set {
    workers: usize,
    /// Service that a request present since the start would have had, in nanoseconds.
    virtual_now: f64,
    /// The instant to which `virtual_now` belongs.
    now: Nanos,
    present: BinaryHeap<Reverse<Present>>,
    burning: usize,
    /// Time that workers were occupied until then, all together, in nanoseconds.
    occupied: f64,
    sequence: u64,
    gone: Vec<Present>,
    closed: bool,
}

#[derive(Debug)]
struct Present {
    leaves: f64,
    sequence: u64,
    job: Job,
    begun: Begun,
}

impl Set {
    const fn new(workers: usize) -> Self {
        Self {
            workers,
            virtual_now: 0.0,
            now: Nanos::ZERO,
            present: BinaryHeap::new(),
            burning: 0,
            occupied: 0.0,
            sequence: 0,
            gone: Vec::new(),
            closed: false,
        }
    }

    fn present(&self) -> usize {
        self.present.len() + self.burning
    }

    /// Virtual nanoseconds per nanosecond.
    fn pace(&self) -> f64 {
        (self.workers as f64 / self.present().max(1) as f64).min(1.0)
    }

    fn enter(&mut self, job: Job, begun: Begun) {
        let leaves = self.virtual_now + job.work.span().scaled(begun.slow).0 as f64;
        self.sequence += 1;
        self.present.push(Reverse(Present { leaves, sequence: self.sequence, job, begun }));
    }

    /// When the next request leaves if nobody comes; rounded up, so that it has left by then.
    fn next_departure(&self) -> Option<Nanos> {
        let Reverse(next) = self.present.peek()?;
        let wait = ((next.leaves - self.virtual_now) / self.pace()).max(0.0);
        Some(Nanos(self.now.0.saturating_add(wait.ceil() as u64)))
    }

    /// Counts the time from now to `at`, in which nobody comes or leaves.
    fn occupy_until(&mut self, at: Nanos) {
        let busy = self.present().min(self.workers);
        self.occupied += at.since(self.now).0 as f64 * busy as f64;
    }

    /// Moves time to `to`; those who leave by then go to `gone`.
    fn advance(&mut self, to: Nanos) {
        while let Some(at) = self.next_departure().filter(|&at| at <= to) {
            self.occupy_until(at);
            let Some(Reverse(leaver)) = self.present.pop() else { break };
            self.virtual_now = leaver.leaves;
            self.now = self.now.max(at);
            self.gone.push(leaver);
        }
        self.occupy_until(to);
        self.virtual_now += to.since(self.now).0 as f64 * self.pace();
        self.now = self.now.max(to);
        if self.present.is_empty() {
            // Starting again from zero keeps the fraction exact over a long life.
            self.virtual_now = 0.0;
        }
    }
}

impl Ord for Present {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.leaves.total_cmp(&other.leaves).then(self.sequence.cmp(&other.sequence))
    }
}

impl PartialOrd for Present {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Present {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Present {}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    fn enter(set: &mut Set, at: u64, length: u64) {
        set.advance(Nanos(at));
        let (done, _) = oneshot::channel();
        let job = Job { work: Work::Hold(Span(length)), enqueued: Nanos(at), found: 0, done };
        set.enter(job, Begun { slow: 1.0, generation: 0 });
    }

    /// Runs to the end; returns (arrival, departure) in order of departure.
    fn departures(set: &mut Set) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        loop {
            let next = set.next_departure();
            out.extend(set.gone.drain(..).map(|one| (one.job.enqueued.0, set.now.0)));
            let Some(at) = next else { return out };
            set.advance(at);
        }
    }

    #[test]
    fn two_on_one_worker_are_served_at_half_speed() {
        let mut set = Set::new(1);
        enter(&mut set, 0, 1000);
        enter(&mut set, 500, 1000);
        // The first has 500 left, served at half speed until 1500; then the second alone.
        assert_eq!(departures(&mut set), [(0, 1500), (500, 2000)]);
    }

    #[test]
    fn workers_are_occupied_while_somebody_is_present() {
        let mut set = Set::new(2);
        (0..3).for_each(|_| enter(&mut set, 100, 1000));
        // Three at two thirds of the speed: until 1600, two workers.
        set.advance(Nanos(850));
        assert!((set.occupied - 1500.0).abs() < 1.0, "{}", set.occupied);
        set.advance(Nanos(5000));
        assert!((set.occupied - 3000.0).abs() < 4.0, "{}", set.occupied);
    }

    #[test]
    fn up_to_the_number_of_workers_nobody_is_slowed() {
        let mut set = Set::new(3);
        (0..3).for_each(|i| enter(&mut set, i, 1000 + i));
        assert_eq!(departures(&mut set), [(0, 1000), (1, 1002), (2, 1004)]);
    }
}
