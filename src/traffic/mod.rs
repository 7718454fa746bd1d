//! What clients ask for: the seeded plan of arrivals, classes, keys and service demands.
//!
//! Every draw is addressed by the request's id, so both worlds, every policy and every thread see
//! the same requests.

pub mod arrival;
pub mod closed;
pub mod fault;
pub mod key;
pub mod logarithm;
pub mod normal;
pub mod plan;
pub mod request;
pub mod service;
#[cfg(target_arch = "x86_64")]
mod wide;

pub use arrival::ArrivalConfig;
pub use fault::{Fault, FaultKind};
pub use plan::{Arrivals, Plan};
pub use request::{ClassConfig, ClientConfig, KeyConfig, Request};
pub use service::Law;

use crate::units::{Nanos, Rate, Span};

/// Traffic as configured and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct TrafficConfig {
    /// Where requests come from.
    pub source: Source,
    /// Kinds of requests; never empty.
    pub classes: Vec<ClassConfig>,
    /// Keys, if policies or backends need them.
    pub keys: Option<KeyConfig>,
    /// How the client connects, how long it waits, and when it gives up.
    pub client: ClientConfig,
}

impl TrafficConfig {
    /// The stages of an open loop; empty for a closed one.
    #[must_use]
    pub fn stages(&self) -> &[Stage] {
        match &self.source {
            Source::Open { stages, .. } => stages,
            Source::Closed { .. } => &[],
        }
    }

    /// Mean offered load over the run, in requests per second. That of a closed loop is as if
    /// every response came at once, and infinite if its users do not think.
    #[must_use]
    pub fn mean_rate(&self) -> f64 {
        match &self.source {
            Source::Open { stages, .. } => {
                let requests = |stage: &Stage| stage.mean_rate().0 * stage.length().as_secs_f64();
                let length: f64 = stages.iter().map(|stage| stage.length().as_secs_f64()).sum();
                stages.iter().map(requests).sum::<f64>() / length
            }
            Source::Closed { users, think } => f64::from(*users) * 1e9 / think.mean_ns(),
        }
    }
}

/// Where requests come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Arrivals do not wait for responses.
    Open {
        /// The arrival process at rate 1; stages scale time.
        arrival: ArrivalConfig,
        /// The offered load over time; never empty.
        stages: Vec<Stage>,
    },
    /// A fixed number of users, each with at most one request in flight.
    Closed {
        /// How many.
        users: u32,
        /// Time between a response and the user's next request, and before the first.
        think: Law,
    },
}

/// A part of the run with its own offered load.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Name in reports.
    pub name: String,
    /// Where it begins.
    pub from: Nanos,
    /// Where it ends.
    pub until: Nanos,
    /// Offered load at its beginning.
    pub rate_from: Rate,
    /// Offered load at its end; the load moves linearly in between (a step where both are equal).
    pub rate_until: Rate,
}

impl Stage {
    /// Mean offered load of the stage.
    #[must_use]
    pub fn mean_rate(&self) -> Rate {
        Rate((self.rate_from.0 + self.rate_until.0) / 2.0)
    }

    /// How long it lasts.
    #[must_use]
    pub const fn length(&self) -> Span {
        self.until.since(self.from)
    }
}
