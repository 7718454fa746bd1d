//! What the generator says at its end, for the program that started it.

use serde::{Deserialize, Serialize};

use super::tally::Tally;
use crate::record::RequestError;
use crate::units::Span;

/// The closing report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadReport {
    /// Requests that were due.
    pub requests: u64,
    /// Of them failed: no complete response, or a status from 500.
    pub failed: u64,
    /// Of them dropped by the in-flight cap.
    pub dropped: u64,
    /// Of them not answered when the run was interrupted.
    pub interrupted: u64,
    /// Median of the time between the instant a request was due and the instant the generator
    /// acted on it.
    pub schedule_error_p50_ns: u64,
    /// 99th percentile of the same.
    pub schedule_error_p99_ns: u64,
    /// Largest.
    pub schedule_error_max_ns: u64,
    /// CPU time of the process.
    pub cpu_ns: u64,
    /// Part of it in which threads spun for exact instants, and did nothing else.
    pub spun_ns: u64,
    /// CPU time of the thread that had most, without what it spun.
    pub busiest_thread_cpu_ns: u64,
    /// Time that the threads that send were ready to run and had no core.
    pub waited_for_core_ns: u64,
    /// From the first request's beginning to the last one's end.
    pub wall_ns: u64,
    /// Most requests in flight at once.
    pub max_in_flight: u64,
    /// Mean number of requests in flight, integrated over time.
    pub mean_in_flight: f64,
    /// Connections opened.
    pub connections_opened: u64,
    /// Requests that were sent again, since the server closed their kept connection before it had
    /// answered.
    pub resent: u64,
    /// Most connections open at once.
    pub most_connections: u64,
    /// Connections that could not be opened for want of a local port or a descriptor.
    pub unopened: u64,
    /// Width of the grid on which requests were sent; 0 for exact instants.
    pub grid_ns: u64,
    /// Whether it ran in the real-time class.
    pub real_time: bool,
    /// Arrivals were cut short.
    pub partial: bool,
    /// N = X·R: counts and times must fit together.
    pub littles_law: LittlesLaw,
}

/// Both sides of Little's law, each measured in its own way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LittlesLaw {
    /// N: requests in flight, integrated over time and divided by it.
    pub mean_in_flight: f64,
    /// X: requests ended per second.
    pub throughput_per_second: f64,
    /// R: mean time in flight of the requests that ended, by the clock.
    pub mean_residence_ns: u64,
    /// X·R.
    pub product: f64,
}

/// What became of the client's connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Connections {
    pub(super) opened: u64,
    /// Requests that had to change theirs.
    pub(super) resent: u64,
}

impl LoadReport {
    pub(super) fn new(tally: &Tally, connections: Connections, cpu: Span, partial: bool) -> Self {
        let littles_law = tally.littles_law();
        Self {
            requests: tally.requests,
            failed: tally.failed,
            dropped: tally.errors[RequestError::Dropped as usize],
            interrupted: tally.errors[RequestError::Interrupted as usize],
            schedule_error_p50_ns: tally.schedule_error.quantile(0.5),
            schedule_error_p99_ns: tally.schedule_error.quantile(0.99),
            schedule_error_max_ns: tally.schedule_error.max(),
            cpu_ns: cpu.0,
            spun_ns: 0,
            busiest_thread_cpu_ns: cpu.0,
            waited_for_core_ns: 0,
            most_connections: connections.opened.min(tally.max_in_flight),
            unopened: 0,
            grid_ns: 0,
            wall_ns: tally.wall().0,
            max_in_flight: tally.max_in_flight,
            mean_in_flight: littles_law.mean_in_flight,
            connections_opened: connections.opened,
            resent: connections.resent,
            real_time: crate::host::priority::is_real_time(),
            partial,
            littles_law,
        }
    }
}
