//! The fault timeline, resolved to instances and instants.

use serde::{Deserialize, Serialize};

use crate::units::{Nanos, Ratio};

/// A disturbance of some backends for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Name in reports and checks.
    pub name: String,
    /// Where it begins.
    pub at: Nanos,
    /// Where it ends.
    pub until: Nanos,
    /// Indices of the backends it hits, in the scenario's expanded list.
    pub targets: Vec<usize>,
    /// What happens.
    pub kind: FaultKind,
}

/// What a fault does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The process dies (SIGKILL): connections break, work in it is lost, new connections are
    /// refused. It is started again at the end.
    Crash,
    /// The process stops (SIGSTOP): it accepts and answers nothing; its timers run on, so work
    /// that was due meanwhile is answered when it continues.
    Hang,
    /// Service takes this many times as long for work that starts during the fault.
    Slow(f64),
    /// This share of the requests is answered with status 500, at once and without service.
    ErrorRate(Ratio),
    /// This share of the health checks fails.
    HealthFlap(Ratio),
    /// Packets are lost both ways: connecting and reading time out; what was answered meanwhile
    /// arrives at the end.
    Partition,
    /// An operator drains the peer at the balancer, and takes it back at the end.
    Drain,
}
