//! How many instances there should be: one pure machine, with time and samples handed in.
//!
//! A [`Scaler`] is polled with what was measured and says what is to change and why; who polls it
//! carries that out and tells it how it ended. The model and `lab autoscale` poll the same machine,
//! so that no decision is made twice.

use crate::units::{Nanos, Span};

/// The autoscaler as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleConfig {
    /// Fewest instances; at least 1.
    pub min: u32,
    /// Most instances; not below `min`.
    pub max: u32,
    /// Time between decisions; positive.
    pub poll: Span,
}

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
    /// What was measured of it; `None` if nothing fresh was.
    pub usage: Option<Usage>,
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
