//! Who has the instances: starts them, stops them, and knows how they are.

use std::future::Future;
use std::net::SocketAddr;

/// A group of instances in numbered slots. One controller owns it; no method is called while another
/// runs.
///
/// Every method returns soon: to start an instance is not to wait until it is ready. An order that
/// failed may have been obeyed all the same, so the controller looks at [`list`](Self::list) before
/// it gives it again.
pub trait Fleet {
    /// The instances that are there, in the order of their slots: those that run, and those that
    /// ended without having been told to. One that [`stop`](Self::stop) was called for is no longer
    /// among them once it has ended.
    fn list(&mut self) -> impl Future<Output = Result<Vec<Instance>, FleetError>>;

    /// Whether the instance in `slot` would serve now, by its own health check. It is asked often
    /// while an instance starts, and at each poll afterwards.
    fn health(&mut self, slot: u32) -> impl Future<Output = Health>;

    /// Starts an instance in `slot`. Where one has ended there, it takes its place.
    fn start(&mut self, slot: u32) -> impl Future<Output = Result<(), FleetError>>;

    /// Tells the instance in `slot` to stop; it is in no balancer any more and has nothing in
    /// flight. One that is gone already needs nothing.
    fn stop(&mut self, slot: u32) -> impl Future<Output = Result<(), FleetError>>;
}

/// One instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Instance {
    /// Its place in the group, from 0: the number of its name less one.
    pub slot: u32,
    /// Whether its process or container runs.
    pub state: InstanceState,
    /// Where it serves; `None` until that is known.
    pub address: Option<SocketAddr>,
    /// Where its `/metrics` are; `None` until that is known.
    pub metrics: Option<SocketAddr>,
    /// CPUs that it may use, for the metric `cpu`; positive.
    pub cpus: f64,
}

/// What the fleet knows of an instance without asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// Its process or container is there.
    Running,
    /// It ended without being told to: how, in words.
    Ended(String),
}

/// What the health check of an instance said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It passed.
    Passing,
    /// It failed, or could not be made: why, in words.
    Failing(String),
}

impl Health {
    /// Whether it passed.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Passing)
    }
}

/// Why an order to a fleet was not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FleetError {
    /// Whoever has the instances cannot be reached: a socket that is gone, no answer in time.
    #[error("{provider} cannot be reached: {reason}")]
    Unreachable {
        /// Who, such as `Docker at /var/run/docker.sock`.
        provider: String,
        /// What the system said.
        reason: String,
    },
    /// It was reached, and will not do it: no such image, no room, no right.
    #[error("{provider} refused to {order}: {reason}")]
    Refused {
        /// Who.
        provider: String,
        /// What it was asked, such as `start api-3`.
        order: String,
        /// What it said, and what would help.
        reason: String,
    },
}
