//! What this backend knows of its own load: requests in flight, and how long they took lately.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::policy::{LatencyByLoad, LoadReport};
use crate::units::{Nanos, Span};

/// Requests in the queue or with a worker. Those whose clients have gone count until their work is
/// done: they hold their places all the same.
#[derive(Debug, Default)]
pub(super) struct Load(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    in_flight: u32,
    latencies: LatencyByLoad,
}

impl Load {
    /// A request comes; how many it finds.
    pub(super) fn arrives(&self) -> u32 {
        let mut state = self.lock();
        state.in_flight += 1;
        state.in_flight - 1
    }

    /// The request that came last was turned away.
    pub(super) fn refused(&self) {
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
    }

    /// A request that had found `found` others ended at `at`, `latency` after it came.
    pub(super) fn ended(&self, at: Nanos, found: u32, latency: Span) {
        let mut state = self.lock();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.latencies.record(at, found, latency);
    }

    /// The answer to a load probe.
    pub(super) fn report(&self, now: Nanos) -> LoadReport {
        let state = self.lock();
        state.latencies.report(now, state.in_flight)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
