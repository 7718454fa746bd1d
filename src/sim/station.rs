//! A station: `workers` parallel servers over one queue with a limit.
//!
//! First in, first out, the departure of a job is known when it arrives, so a station needs no
//! events of its own and work whose client has gone needs no care: it simply keeps its worker.
//! Only stations that something can disturb (faults), limit or watch remember their jobs one by
//! one. Processor sharing has no such luck: each arrival changes every departure, and the station
//! says when its next one is due.

mod fifo;
mod sharing;

pub(super) use fifo::Fifo;
pub(super) use sharing::Sharing;

use crate::policy::LoadReport;
use crate::units::{Nanos, Span};

/// Which attempt a job serves. The client may have gone while the job is still served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// Slot of the flight.
    pub(super) slot: u32,
    /// Number of the attempt.
    pub(super) number: u16,
    /// Id of the request, since slots are used again.
    pub(super) id: u64,
}

/// A job that arrives at a station.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Whose it is.
    pub(super) owner: Owner,
    /// How long it takes on one worker, without a slowdown.
    pub(super) service: Span,
    /// The part of the service that a slowdown does not stretch, such as the time to write the
    /// answer; added to `service`.
    pub(super) fixed: Span,
}

/// The answer of a station to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Served from `start` to `end`.
    Known {
        /// When a worker takes it.
        start: Nanos,
        /// When it is done.
        end: Nanos,
    },
    /// In service; when it ends depends on who comes.
    Shared,
    /// The queue is at its limit.
    Full,
}

/// A station of either discipline.
#[derive(Clone, Debug)]
pub(super) enum Station {
    /// First in, first out.
    Fifo(Fifo),
    /// Processor sharing.
    Sharing(Sharing),
}

impl Station {
    /// A job arrives.
    #[inline(always)]
    pub(super) fn enter(&mut self, now: Nanos, work: Work) -> Entry {
        match self {
            Self::Fifo(fifo) => fifo.enter(now, work),
            Self::Sharing(sharing) => sharing.enter(now, work),
        }
    }

    /// Everything in it is lost.
    pub(super) fn clear(&mut self, now: Nanos) {
        match self {
            Self::Fifo(fifo) => fifo.clear(now),
            Self::Sharing(sharing) => sharing.clear(now),
        }
    }

    /// Service that starts from now on takes `factor` times as long.
    pub(super) fn set_slowdown(&mut self, now: Nanos, factor: f64) {
        match self {
            Self::Fifo(fifo) => fifo.set_slowdown(now, factor),
            Self::Sharing(sharing) => sharing.set_slowdown(factor),
        }
    }

    /// Jobs that wait for a worker.
    pub(super) fn waiting(&self, now: Nanos) -> usize {
        match self {
            Self::Fifo(fifo) => fifo.waiting(now),
            Self::Sharing(sharing) => sharing.waiting(),
        }
    }

    /// Jobs that are served or wait.
    pub(super) fn present(&self, now: Nanos) -> u32 {
        match self {
            Self::Fifo(fifo) => fifo.present(now),
            Self::Sharing(sharing) => sharing.present(),
        }
    }

    /// Jobs that it has finished since it was last cleared; only where it remembers its jobs.
    pub(super) fn completed(&self, now: Nanos) -> u64 {
        let entered = match self {
            Self::Fifo(fifo) => fifo.entered(),
            Self::Sharing(sharing) => sharing.entered(),
        };
        entered - u64::from(self.present(now))
    }

    /// What it answers to a load probe; nothing but zeros if it was not made to be probed.
    pub(super) fn load(&mut self, now: Nanos) -> LoadReport {
        match self {
            Self::Fifo(fifo) => fifo.load(now),
            Self::Sharing(sharing) => sharing.load(now),
        }
    }

    /// Worker time used since the last call, in nanoseconds.
    pub(super) fn take_busy(&mut self, now: Nanos) -> f64 {
        match self {
            Self::Fifo(fifo) => fifo.take_busy(now),
            Self::Sharing(sharing) => sharing.take_busy(now),
        }
    }
}
