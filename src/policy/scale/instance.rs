//! What a poll knows of one instance.

use crate::units::Nanos;

/// One instance as it is known at a poll.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InstanceSample {
    /// Its place in the group, from 0: the number of its name less one.
    pub slot: u32,
    /// What it is doing.
    pub phase: Phase,
    /// When it was started.
    pub started_at: Nanos,
    /// When its readiness changed last; its start, if it never did.
    pub readiness_changed_at: Nanos,
}

/// An instance, and what was measured of it by one metric; `None` if nothing fresh was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    pub(super) instance: InstanceSample,
    pub(super) usage: Option<Usage>,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It was started and has not been ready yet.
    Starting,
    /// It serves.
    Ready,
    /// It was ready and is not now: its health checks fail.
    Unready,
    /// It gets nothing new and finishes what it has.
    Draining,
    /// It ended without being told to.
    Dead,
}

/// A measured value, and the time it stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// In the metric's unit: 1 is 100 % of a utilization.
    pub value: f64,
    /// Beginning of the window it was measured over.
    pub from: Nanos,
    /// End of that window: when it was sampled.
    pub until: Nanos,
}

impl InstanceSample {
    /// Whether it counts in the size of the group: it is there, and it is not on its way out.
    #[must_use]
    pub const fn is_member(&self) -> bool {
        matches!(self.phase, Phase::Starting | Phase::Ready | Phase::Unready)
    }
}

impl Measured {
    /// Each of `instances` with what is known of it.
    pub(super) fn all(instances: &[InstanceSample], usages: &[(u32, Usage)]) -> Vec<Self> {
        let of =
            |slot: u32| usages.iter().find(|(known, _)| *known == slot).map(|(_, usage)| *usage);
        instances.iter().map(|one| Self { instance: *one, usage: of(one.slot) }).collect()
    }

    /// Whether its measured value counts: it serves, and the value is a number.
    pub(super) fn counted(&self) -> Option<f64> {
        let usage = self.usage.filter(|_| self.instance.phase == Phase::Ready)?;
        usage.value.is_finite().then_some(usage.value)
    }
}
