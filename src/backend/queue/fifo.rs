//! First in, first out over worker threads.
//!
//! A worker sleeps to an absolute deadline, the start of the service plus its length. A request
//! that waited starts at the deadline of the request before it, not at the instant at which the
//! worker woke, so the lateness of one wake-up does not lengthen the service behind it: at load
//! 0.7 a millisecond of lateness handed on would be multiplied by queueing.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::{Depth, Job, Observer, QueueConfig, QueueFull, Served, Work};
use crate::backend::occupancy::Occupancy;
use crate::backend::work;
use crate::host::clock;
use crate::units::{Nanos, Span};

/// The queue and its worker threads.
#[derive(Debug)]
pub(super) struct Fifo {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    line: Mutex<Line>,
    ready: Condvar,
    workers: usize,
    limit: usize,
    observer: Observer,
}

/// Who waits and who has a worker. A worker is occupied from the instant a request gets it, also
/// while its thread still wakes up: that is why `ready` is apart from `waiting`.
#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Job>,
    ready: VecDeque<(Job, Nanos)>,
    busy: usize,
    occupancy: Occupancy,
    closed: bool,
}

impl Fifo {
    pub(super) fn start(config: QueueConfig, observer: Observer) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            line: Mutex::default(),
            ready: Condvar::new(),
            workers: config.workers as usize,
            limit: config.limit.map_or(usize::MAX, |limit| limit as usize),
            observer,
        });
        let queue = Self { shared };
        for number in 0..config.workers {
            let shared = Arc::clone(&queue.shared);
            work::start_thread(format!("worker-{number}"), config.real_time, move || {
                shared.work(config.real_time);
            })?;
        }
        Ok(queue)
    }

    pub(super) fn submit(&self, job: Job) -> Result<(), QueueFull> {
        let mut line = self.shared.lock();
        if line.busy < self.shared.workers {
            line.busy += 1;
            let start = job.enqueued;
            line.occupancy.begins(start);
            line.ready.push_back((job, start));
            drop(line);
            self.shared.ready.notify_one();
        } else if line.waiting.len() < self.shared.limit {
            line.waiting.push_back(job);
        } else {
            return Err(QueueFull);
        }
        Ok(())
    }

    pub(super) fn depth(&self) -> Depth {
        let line = self.shared.lock();
        Depth { waiting: line.waiting.len(), busy: line.busy }
    }

    pub(super) fn occupied(&self, now: Nanos) -> Span {
        self.shared.lock().occupancy.until(now)
    }
}

impl Drop for Fifo {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.ready.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a worker thread.
    fn work(&self, real_time: bool) {
        while let Some((job, start)) = self.take() {
            let end = self.serve(job, start, real_time);
            self.release(start, end);
        }
    }

    fn take(&self) -> Option<(Job, Nanos)> {
        let mut line = self.lock();
        loop {
            if line.closed {
                return None;
            }
            if let Some(next) = line.ready.pop_front() {
                return Some(next);
            }
            line = self.ready.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Serves, and returns the instant from which the worker is free.
    fn serve(&self, job: Job, start: Nanos, real_time: bool) -> Nanos {
        let begun = self.observer.begin();
        let due = match job.work {
            Work::Hold(span) => {
                let due = start + span.scaled(begun.slow);
                clock::sleep_until(due);
                Some(due)
            }
            Work::Burn(span) => {
                work::burn(span.scaled(begun.slow), real_time);
                None
            }
        };
        let woke = clock::now();
        let served = Served { queued: start.since(job.enqueued), service: woke.since(start) };
        self.observer.finish(job, begun, served);
        due.unwrap_or(woke)
    }

    /// Hands the worker to the request that waited longest.
    fn release(&self, since: Nanos, free_since: Nanos) {
        let mut line = self.lock();
        line.occupancy.ends(since, free_since);
        if let Some(job) = line.waiting.pop_front() {
            let start = job.enqueued.max(free_since);
            line.occupancy.begins(start);
            line.ready.push_back((job, start));
        } else {
            line.busy -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::oneshot;

    use super::*;
    use crate::backend::fault::{FaultState, Faults};
    use crate::scenario::Discipline;

    fn queue(workers: u32, limit: Option<u32>) -> (Fifo, Arc<Faults>) {
        let faults = Arc::new(Faults::new(Arc::default()));
        let observer =
            Observer { faults: Arc::clone(&faults), metrics: Arc::default(), load: Arc::default() };
        let discipline = Discipline::Fifo;
        let config = QueueConfig { discipline, workers, limit, real_time: false };
        (Fifo::start(config, observer).unwrap(), faults)
    }

    fn submit(queue: &Fifo, span: Span, enqueued: Nanos) -> oneshot::Receiver<Served> {
        let (done, receiver) = oneshot::channel();
        queue.submit(Job { work: Work::Hold(span), enqueued, found: 0, done }).unwrap();
        receiver
    }

    #[test]
    fn lateness_of_a_wake_up_is_not_handed_on() {
        let (queue, _) = queue(1, None);
        let length = Span::from_millis(4);
        // All in the future, so that no delay of this thread makes one come after its turn.
        let came = clock::now() + Span::from_millis(50);
        let jobs: Vec<_> = (0..25).map(|_| submit(&queue, length, came)).collect();
        for (job, place) in jobs.into_iter().zip(0u64..) {
            let served = job.blocking_recv().unwrap();
            assert_eq!(served.queued, length * place, "exactly, whatever the host's timers did");
            assert!(served.service >= length);
        }
    }

    #[test]
    fn a_worker_is_occupied_before_its_thread_wakes() {
        let (queue, _) = queue(2, Some(1));
        let (long, came) = (Span::from_millis(20), clock::now() + Span::from_secs(1));
        let served: Vec<_> = (0..3).map(|_| submit(&queue, long, came)).collect();
        assert_eq!(queue.depth(), Depth { waiting: 1, busy: 2 });
        let (done, _) = oneshot::channel();
        let refused = queue.submit(Job { work: Work::Hold(long), enqueued: came, found: 0, done });
        assert_eq!(refused, Err(QueueFull));
        let queued = served.into_iter().map(|job| job.blocking_recv().unwrap().queued);
        assert_eq!(queued.collect::<Vec<_>>(), [Span::ZERO, Span::ZERO, long]);
    }

    #[test]
    fn the_slow_factor_is_that_of_the_start() {
        let (queue, faults) = queue(1, None);
        let length = Span::from_millis(300);
        let first = submit(&queue, length, clock::now());
        std::thread::sleep(Span::from_millis(150).to_std());
        let second = submit(&queue, length, clock::now());
        faults.replace(FaultState { slow: 3.0, ..FaultState::default() }).unwrap();
        assert!(first.blocking_recv().is_ok());
        assert!(second.blocking_recv().unwrap().service >= length * 3);
        let report = faults.report();
        assert_eq!((report.counts.served, report.counts.asked_ns), (1, length.0));
    }
}
