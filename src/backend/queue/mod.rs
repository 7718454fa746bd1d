//! The queue of a backend: a limit, a discipline, and what a served request reports.

mod fifo;
mod sharing;

use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::fault::Faults;
use super::load::Load;
use super::metrics::Metrics;
use crate::policy::LoadReport;
use crate::scenario::Discipline;
use crate::units::{Nanos, Span};

/// How the queue serves.
#[derive(Clone, Copy, Debug)]
pub struct QueueConfig {
    /// Order of service.
    pub discipline: Discipline,
    /// Requests served at once (or the capacity that all present share); at least 1.
    pub workers: u32,
    /// Most requests waiting, beside one per worker; `None` is no limit.
    pub limit: Option<u32>,
    /// Ask for real-time priority for the threads that time the service.
    pub real_time: bool,
}

/// What a request needs of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Holds the worker for this long without using the CPU, as a call to a database would.
    Hold(Span),
    /// Uses this much CPU time. Under processor sharing the operating system is what shares it,
    /// so it counts as present, but its progress is the CPU's.
    Burn(Span),
}

impl Work {
    /// What is asked for, without any fault.
    #[must_use]
    pub const fn span(self) -> Span {
        match self {
            Self::Hold(span) | Self::Burn(span) => span,
        }
    }
}

/// How a request was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Wait for a worker.
    pub queued: Span,
    /// How long it held its worker, by the clock: what was asked for, slowed by faults, and the
    /// lateness of the wake-up at its end.
    pub service: Span,
}

/// The queue's limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct QueueFull;

/// A request in the queue. Whether its client still waits makes no difference to it.
#[derive(Debug)]
struct Job {
    work: Work,
    enqueued: Nanos,
    /// Requests in flight when it came.
    found: u32,
    done: oneshot::Sender<Served>,
}

/// Requests that wait and requests that are being served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Without a worker yet. Under processor sharing, those beyond one per worker.
    pub waiting: usize,
    /// Workers that are occupied.
    pub busy: usize,
}

/// A running queue. Its threads end when it is dropped.
#[derive(Debug)]
pub struct Queue {
    line: Line,
    load: Arc<Load>,
}

#[derive(Debug)]
enum Line {
    Fifo(fifo::Fifo),
    Sharing(sharing::Sharing),
}

impl Queue {
    /// Starts the threads.
    ///
    /// # Errors
    /// When a thread cannot be started, or real-time priority is asked for and not permitted.
    pub fn start(
        config: QueueConfig,
        faults: &Arc<Faults>,
        metrics: &Arc<Metrics>,
    ) -> io::Result<Self> {
        let load = Arc::<Load>::default();
        let observer = Observer {
            faults: Arc::clone(faults),
            metrics: Arc::clone(metrics),
            load: Arc::clone(&load),
        };
        let line = match config.discipline {
            Discipline::Fifo => Line::Fifo(fifo::Fifo::start(config, observer)?),
            Discipline::Ps => Line::Sharing(sharing::Sharing::start(config, observer)?),
        };
        Ok(Self { line, load })
    }

    /// Puts a request that came at `enqueued` into the queue. The receiver gets the result; to
    /// drop it does not take the work back.
    ///
    /// # Errors
    /// When the limit is reached.
    pub fn submit(
        &self,
        work: Work,
        enqueued: Nanos,
    ) -> Result<oneshot::Receiver<Served>, QueueFull> {
        let (done, receiver) = oneshot::channel();
        let found = self.load.arrives();
        let job = Job { work, enqueued, found, done };
        let submitted = match &self.line {
            Line::Fifo(queue) => queue.submit(job),
            Line::Sharing(queue) => queue.submit(job),
        };
        submitted.inspect_err(|_| self.load.refused())?;
        Ok(receiver)
    }

    /// What a load probe is answered: requests in flight, and the latency to expect.
    #[must_use]
    pub fn load(&self, now: Nanos) -> LoadReport {
        self.load.report(now)
    }

    /// Time until `now` that its workers were occupied, all of them together; also by requests that
    /// are still being served.
    #[must_use]
    pub fn occupied(&self, now: Nanos) -> Span {
        match &self.line {
            Line::Fifo(queue) => queue.occupied(now),
            Line::Sharing(queue) => queue.occupied(now),
        }
    }

    /// How full it is now.
    #[must_use]
    pub fn depth(&self) -> Depth {
        match &self.line {
            Line::Fifo(queue) => queue.depth(),
            Line::Sharing(queue) => queue.depth(),
        }
    }
}

/// Where the queue reads its slow-factor and reports what it served.
#[derive(Clone, Debug)]
struct Observer {
    faults: Arc<Faults>,
    metrics: Arc<Metrics>,
    load: Arc<Load>,
}

/// The factor under which a service began.
#[derive(Clone, Copy, Debug)]
struct Begun {
    slow: f64,
    generation: u64,
}

impl Observer {
    fn begin(&self) -> Begun {
        let (slow, generation) = self.faults.slow();
        Begun { slow, generation }
    }

    fn finish(&self, job: Job, begun: Begun, served: Served) {
        let latency = served.queued + served.service;
        self.load.ended(job.enqueued + latency, job.found, latency);
        self.metrics.served(served.service);
        self.faults.served(begun.generation, job.work.span(), served.service);
        // The client may be gone; its work was done all the same.
        let _ = job.done.send(served);
    }
}
