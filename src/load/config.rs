//! What the generator is told at its start.

use std::io;
use std::path::PathBuf;

use super::target::Target;
use crate::record::RecordError;
use crate::scenario::{HashKey, Scenario};
use crate::traffic::TrafficConfig;
use crate::units::{Nanos, Seed, Span};

/// A run of the generator.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// What clients ask for.
    pub traffic: TrafficConfig,
    /// Where the keys of requests are put; `None` sends them without.
    pub hash_key: Option<HashKey>,
    /// Arrivals stop here.
    pub end: Nanos,
    /// Balancers; never empty. Which one a request goes to is a draw.
    pub targets: Vec<Target>,
    /// Names of the backends: index `i` in rows is name `i`. Empty: names are numbered as they
    /// come.
    pub backends: Vec<String>,
    /// Key of all draws.
    pub seed: Seed,
    /// Replication or round, for the rows.
    pub replication: u32,
    /// Zero of the run, on the host's monotonic clock.
    pub zero: Nanos,
    /// A row per request goes here as a JSON line.
    pub spool: Option<PathBuf>,
    /// How exactly the schedule is kept.
    pub pace: Pace,
}

/// How exactly the schedule is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// A wake-up for every request.
    #[default]
    Exact,
    /// Wake-ups on a grid of this width, each for all that are due by then: requests go out up to
    /// so much late (which is recorded), for fewer wake-ups at high rates.
    Batch(Span),
}

impl LoadConfig {
    /// The traffic of `scenario` to `targets`.
    #[must_use]
    pub fn from_scenario(
        scenario: &Scenario,
        targets: Vec<Target>,
        seed: Seed,
        zero: Nanos,
    ) -> Self {
        Self {
            traffic: scenario.traffic.clone(),
            hash_key: scenario.balancer.hash_key.clone(),
            end: scenario.end(),
            targets,
            backends: scenario.backends.iter().map(|backend| backend.name.clone()).collect(),
            seed,
            replication: 0,
            zero,
            spool: None,
            pace: Pace::Exact,
        }
    }
}

/// Why the generator does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is nobody to send to.
    #[error("there is no target")]
    NoTarget,
    /// The rows cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The system gives no timer.
    #[error("no timer: {0}")]
    Timer(#[source] io::Error),
    /// Real-time priority is not permitted.
    #[error("no real-time priority, which needs CAP_SYS_NICE: {0}")]
    RealTime(#[source] io::Error),
}
