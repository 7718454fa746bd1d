//! One row of `timeline.parquet`: one second of one upstream.

use serde::{Deserialize, Serialize};

use crate::policy::PeerState;
use crate::units::World;

/// One second of one upstream.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimelineRow {
    /// Model or reality.
    pub world: World,
    /// Replication or round.
    pub replication: u32,
    /// The second, from the run's zero.
    pub second: u32,
    /// The peer, or [`super::NO_UPSTREAM`] for the whole group.
    pub upstream: u32,
    /// Attempts that ended in this second.
    pub finished: u32,
    /// Of them, those that did not end with a response below 500.
    pub failed: u32,
    /// Attempts in flight at the end of the second, as the balancer counts them.
    pub in_flight: u32,
    /// Requests waiting at the backend at the end of the second.
    pub queue: u32,
    /// Median duration of the attempts that ended; 0 without any.
    pub p50_ns: u64,
    /// 99th percentile of the same.
    pub p99_ns: u64,
    /// Share of the backend's workers that was busy (model), or CPU share of its process (live);
    /// NaN if unknown.
    pub cpu: f32,
    /// Instances that are ready, of all backends.
    pub instances: u16,
    /// State of the peer at the end of the second.
    pub state: PeerState,
}
