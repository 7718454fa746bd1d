//! Faults on demand: what is switched on, and the proof of what it did.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::partition::Partition;
use crate::host::clock;
use crate::units::Span;

/// The faults of a backend: the whole state, so that an order replaces and never adds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FaultState {
    /// Service that starts now takes this many times as long; positive.
    pub slow: f64,
    /// Share of the attempts answered with 500 at once, 0 to 1.
    pub error_rate: f64,
    /// Share of the health checks that fail, 0 to 1, in place of the configured one.
    pub health_failure: Option<f64>,
    /// Packets are lost both ways.
    pub partition: bool,
}

impl Default for FaultState {
    fn default() -> Self {
        Self { slow: 1.0, error_rate: 0.0, health_failure: None, partition: false }
    }
}

/// Why a state was refused.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The slow-factor makes no sense.
    #[error("slow is {0}, but must be a positive number")]
    Slow(f64),
    /// A probability is out of range.
    #[error("{name} is {value}, but must be between 0 and 1")]
    Probability {
        /// The field.
        name: &'static str,
        /// Its value.
        value: f64,
    },
    /// The kernel refused the partition.
    #[error("the partition could not be switched: {0}")]
    Partition(#[from] std::io::Error),
}

impl FaultState {
    fn check(&self) -> Result<(), FaultError> {
        if !(self.slow.is_finite() && self.slow > 0.0) {
            return Err(FaultError::Slow(self.slow));
        }
        let probabilities = [
            ("error_rate", self.error_rate),
            ("health_failure", self.health_failure.unwrap_or_default()),
        ];
        for (name, value) in probabilities {
            if !(0.0..=1.0).contains(&value) {
                return Err(FaultError::Probability { name, value });
            }
        }
        Ok(())
    }
}

/// What happened since some instant: the observed effect of the faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FaultCounts {
    /// Requests for service that were read, whatever became of them.
    pub requests: u64,
    /// Of them, answered with an injected error.
    pub errors_injected: u64,
    /// Of them, refused since the queue was full.
    pub refused: u64,
    /// Services that began and ended in this time.
    pub served: u64,
    /// Sum over these of the service asked for (demand over speed), without faults.
    pub asked_ns: u64,
    /// Sum over these of the time for which they held their worker.
    pub service_ns: u64,
    /// Health checks answered.
    pub health_checks: u64,
    /// Of them, answered with 503.
    pub health_failed: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Writes withheld by a partition.
    pub withheld: u64,
}

impl FaultCounts {
    /// Time held over time asked for: the slow-factor as observed. `None` if nothing was served.
    #[must_use]
    pub fn service_ratio(&self) -> Option<f64> {
        (self.asked_ns > 0).then(|| self.service_ns as f64 / self.asked_ns as f64)
    }
}

/// The state, and what it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// What is switched on.
    pub state: FaultState,
    /// Since when, on the host's monotonic clock.
    pub since_ns: u64,
    /// When this report was made.
    pub now_ns: u64,
    /// What happened since then.
    pub counts: FaultCounts,
    /// `service_ns / asked_ns` of the counts.
    pub service_ratio: Option<f64>,
    /// What happened since the backend started.
    pub total: FaultCounts,
}

/// The faults of a running backend, shared by its threads.
#[derive(Debug)]
pub struct Faults {
    inner: Mutex<Inner>,
    partition: Arc<Partition>,
}

#[derive(Debug, Default)]
struct Inner {
    state: FaultState,
    generation: u64,
    since_ns: u64,
    counts: FaultCounts,
    ended: FaultCounts,
}

impl Faults {
    /// No faults yet.
    #[must_use]
    pub fn new(partition: Arc<Partition>) -> Self {
        let inner = Inner { since_ns: clock::now().0, ..Inner::default() };
        Self { inner: Mutex::new(inner), partition }
    }

    /// The state now.
    #[must_use]
    pub fn state(&self) -> FaultState {
        self.lock().state
    }

    /// Replaces the state, and returns the report of the time that ends with it.
    ///
    /// # Errors
    /// When the state makes no sense or the kernel refuses the partition; then nothing changes.
    pub fn replace(&self, state: FaultState) -> Result<FaultReport, FaultError> {
        state.check()?;
        let withheld = self.partition.withheld();
        self.partition.switch(state.partition)?;
        let mut inner = self.lock();
        let report = inner.report(withheld);
        let counts = std::mem::take(&mut inner.counts);
        inner.ended.add(&counts);
        inner.ended.withheld += self.partition.take_withheld();
        inner.state = state;
        inner.generation += 1;
        inner.since_ns = report.now_ns;
        Ok(report)
    }

    /// The state and its effect so far.
    #[must_use]
    pub fn report(&self) -> FaultReport {
        self.lock().report(self.partition.withheld())
    }

    /// The slow-factor, and the number of changes so far.
    pub(super) fn slow(&self) -> (f64, u64) {
        let inner = self.lock();
        (inner.state.slow, inner.generation)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut FaultCounts)) {
        change(&mut self.lock().counts);
    }

    /// A service ended that began under the `generation`-th state; one that spans a change is
    /// no evidence for either.
    pub(super) fn served(&self, generation: u64, asked: Span, service: Span) {
        let mut inner = self.lock();
        if inner.generation == generation {
            inner.counts.served += 1;
            inner.counts.asked_ns += asked.0;
            inner.counts.service_ns += service.0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn report(&self, withheld: u64) -> FaultReport {
        let counts = FaultCounts { withheld, ..self.counts };
        let mut total = self.ended;
        total.add(&counts);
        FaultReport {
            state: self.state,
            since_ns: self.since_ns,
            now_ns: clock::now().0,
            counts,
            service_ratio: counts.service_ratio(),
            total,
        }
    }
}

impl FaultCounts {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors_injected += other.errors_injected;
        self.refused += other.refused;
        self.served += other.served;
        self.asked_ns += other.asked_ns;
        self.service_ns += other.service_ns;
        self.health_checks += other.health_checks;
        self.health_failed += other.health_failed;
        self.accepted += other.accepted;
        self.withheld += other.withheld;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_makes_no_sense_changes_nothing() {
        let faults = Faults::new(Arc::default());
        for wrong in [
            FaultState { slow: 0.0, ..Default::default() },
            FaultState { slow: f64::NAN, ..Default::default() },
            FaultState { error_rate: 1.5, ..Default::default() },
            FaultState { health_failure: Some(-0.1), ..Default::default() },
        ] {
            assert!(faults.replace(wrong).is_err(), "{wrong:?}");
            assert_eq!(faults.state(), FaultState::default());
        }
    }

    #[test]
    fn service_that_spans_a_change_is_no_evidence() {
        let faults = Faults::new(Arc::default());
        let (_, before) = faults.slow();
        faults.replace(FaultState { slow: 3.0, ..Default::default() }).unwrap();
        faults.served(before, Span(100), Span(100));
        let (slow, during) = faults.slow();
        assert_eq!(slow, 3.0);
        faults.served(during, Span(100), Span(310));
        assert_eq!(faults.report().service_ratio, Some(3.1));
        let ended = faults.replace(FaultState::default()).unwrap();
        assert_eq!((ended.counts.served, faults.report().counts.served), (1, 0));
        assert_eq!(faults.report().total.served, 1);
    }
}
