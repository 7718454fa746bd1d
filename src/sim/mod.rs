//! The modelled world: a deterministic model, driven by events in virtual time.
//!
//! A backend is `workers` parallel servers over one queue with a limit; the balancers are the
//! same [`Upstream`](crate::policy::Upstream) machines as in the live world; the traffic is the
//! same plan. A client or a balancer that gives up leaves its work behind: the backend still
//! serves it. What the host adds is taken from a calibration; without one it is zero.
//!
//! Same scenario, same replication, same options: same rows, on any machine, in any order of
//! replications, on any number of threads, and whoever takes the rows.

mod ahead;
mod attempt;
mod client;
mod disturb;
mod driven;
mod event;
mod fleet;
mod flight;
mod flights;
mod hedge;
mod hop;
mod load_probe;
mod look_ahead;
mod observe;
mod plain;
mod prefetch;
mod queue;
mod reload;
mod replicate;
mod request;
mod scale;
mod session;
mod settle;
mod station;
mod straight;
mod timeline;
mod trace;
mod trend;
mod view;
mod warning;
mod world;

pub use driven::ServiceTimes;
#[doc(hidden)]
pub use queue::hold;
pub use replicate::{replicate, replicate_range};
pub use trace::{Step, trace, trace_of};
pub use warning::{Warning, foreseeable};

use std::sync::atomic::AtomicBool;

use observe::{Nobody, Observe};
use world::World;

use crate::record::{Costs, RequestError, Sink};
use crate::scenario::Scenario;
use crate::traffic::Plan;
use crate::units::{Nanos, Seed};

/// How a scenario is run in the model.
#[derive(Clone, Debug, Default)]
pub struct Options<'a> {
    /// What the host adds; all zero by default.
    pub costs: Costs,
    /// Measured service times that replace planned demand, speed, slowdown and occupation of the
    /// attempts that have one. They test the queueing and the policy, not the prediction.
    pub driven: Option<&'a ServiceTimes>,
    /// Ends the run where it is once this is set: what is then in flight is interrupted.
    pub stop: Option<&'a AtomicBool>,
}

/// How many of what there were, the warm-up included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests of the plan.
    pub planned: u64,
    /// Requests that ended, each in one row.
    pub finished: u64,
    /// Of these, those that failed ([`failed`](crate::record::RequestRow::failed)).
    pub failed: u64,
    /// Those that the client gave up.
    pub timed_out: u64,
    /// Those never sent, since too many were in flight.
    pub dropped: u64,
    /// Those with more than one attempt.
    pub retried: u64,
    /// Attempts that ended.
    pub attempts: u64,
}

impl Counts {
    #[inline]
    fn add(&mut self, status: u16, attempts: u16, error: RequestError) {
        self.finished += 1;
        if status >= 500 || attempts > 1 || error != RequestError::None {
            self.add_unusual(status, attempts, error);
        }
    }

    #[inline(never)]
    fn add_unusual(&mut self, status: u16, attempts: u16, error: RequestError) {
        self.failed += u64::from(status >= 500 || error != RequestError::None);
        self.timed_out += u64::from(error == RequestError::Timeout);
        self.dropped += u64::from(error == RequestError::Dropped);
        self.retried += u64::from(attempts > 1);
    }
}

/// What a run came to, beside its rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// How many of what.
    pub counts: Counts,
    /// When the last event happened.
    pub end: Nanos,
    /// What to know before believing its numbers.
    pub warnings: Vec<Warning>,
}

/// Runs replication `replication` of `scenario` and gives every row to `sink`.
pub fn run<S: Sink>(
    scenario: &Scenario,
    replication: u32,
    options: &Options<'_>,
    sink: &mut S,
) -> Ran {
    run_observed(scenario, replication, options, sink, &mut Nobody(options.stop))
}

fn run_observed<S: Sink, O: Observe>(
    scenario: &Scenario,
    replication: u32,
    options: &Options<'_>,
    sink: &mut S,
    observer: &mut O,
) -> Ran {
    let seed = Seed::new(scenario.seed, replication);
    let plan = Plan::new(&scenario.traffic, seed, scenario.end());
    let mut world = World::new(scenario, &plan, replication, options, sink, observer);
    world.run();
    let mut warnings = foreseeable(scenario);
    warnings.extend(world.trend.growth(world.counts.planned).into_iter().map(Warning::from));
    Ran { counts: world.counts, end: world.now, warnings }
}
