//! What makes the numbers of a run doubtful, said with the result.

use std::fmt;

use super::trend::Growth;
use crate::policy::scale::ScaleRule;
use crate::scenario::{AutoscalerFacts, Scenario};
use crate::traffic::{ArrivalConfig, Source};

/// Something to know before believing a number of the model.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// The number of requests in the system grew through a stage: its latencies say how long the
    /// stage was, not how the system serves.
    GrowingQueue {
        /// Name of the stage.
        stage: String,
        /// Mean number in the system in the stage's first third.
        first: f64,
        /// And in its last.
        last: f64,
    },
    /// More is asked for than the primary backends can serve.
    Overloaded {
        /// Name of the stage.
        stage: String,
        /// Largest offered load of the stage over the capacity; at least 1.
        load: f64,
    },
    /// The marks of the autoscaler are so near that taking instances away makes it add them again.
    Flapping {
        /// Name of the group.
        group: String,
        /// Instances before.
        size: u32,
        /// Instances after.
        after: u32,
        /// What is measured then, as a share of the upper mark; above 1.
        excess: f64,
    },
    /// The service law of a group has no third moment: the interval of a mean wait is wrong
    /// however long the run, and quantiles should be used.
    NoThirdMoment {
        /// Name of the group.
        group: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GrowingQueue { stage, first, last } => write!(
                f,
                "the queue grew through stage `{stage}`, from {first:.1} to {last:.1} requests in \
                 the system: its latencies depend on how long it lasted"
            ),
            Self::Overloaded { stage, load } => write!(
                f,
                "stage `{stage}` offers {:.0} % of what the primary backends can serve",
                load * 100.0
            ),
            Self::Flapping { group, size, after, excess } => write!(
                f,
                "the autoscaler of `{group}` will flap: when it goes from {size} to {after} \
                 instances, the load of the others rises to {:.0} % of the mark above which it \
                 adds some",
                excess * 100.0
            ),
            Self::NoThirdMoment { group } => write!(
                f,
                "the service law of `{group}` has no finite third moment: the interval of a mean \
                 wait is wrong however long the run, so look at quantiles"
            ),
        }
    }
}

impl From<Growth> for Warning {
    fn from(growth: Growth) -> Self {
        let Growth { stage, first, last } = growth;
        Self::GrowingQueue { stage, first, last }
    }
}

/// What can be said of a scenario before anything runs.
#[must_use]
pub fn foreseeable(scenario: &Scenario) -> Vec<Warning> {
    let mut warnings = overloads(scenario);
    warnings.extend(scenario.autoscaler.as_ref().and_then(flapping));
    let mut group = None;
    for backend in &scenario.backends {
        if group != Some(&backend.group) && !backend.service.has_third_moment() {
            warnings.push(Warning::NoThirdMoment { group: backend.group.clone() });
        }
        group = Some(&backend.group);
    }
    warnings
}

/// Hysteresis: taking a step at the lower mark must not bring the rest above the upper one.
fn flapping(facts: &AutoscalerFacts) -> Option<Warning> {
    let ScaleRule::Threshold(marks) = &facts.scale.rule else { return None };
    let step = marks.step.min(facts.scale.max_step_down.unwrap_or(u32::MAX));
    // The smaller the group, the more one instance is of it.
    let after = (facts.scale.min + 1).saturating_sub(step).max(facts.scale.min);
    let size = (after + step).min(facts.scale.max);
    let excess = marks.down / marks.up * f64::from(size) / f64::from(after);
    let group = facts.group.clone();
    (size > after && excess > 1.0).then_some(Warning::Flapping { group, size, after, excess })
}

fn overloads(scenario: &Scenario) -> Vec<Warning> {
    let Source::Open { arrival, stages } = &scenario.traffic.source else { return Vec::new() };
    let capacity = capacity(scenario);
    if matches!(arrival, ArrivalConfig::Trace { .. }) || !capacity.is_finite() {
        return Vec::new();
    }
    let loads = stages.iter().map(|stage| {
        let offered = stage.rate_from.0.max(stage.rate_until.0);
        (stage, offered / capacity)
    });
    loads
        .filter(|(_, load)| *load >= 1.0)
        .map(|(stage, load)| Warning::Overloaded { stage: stage.name.clone(), load })
        .collect()
}

/// Requests per second that the primary backends can serve together.
fn capacity(scenario: &Scenario) -> f64 {
    let peers = &scenario.balancer.upstream.peers;
    let primaries = scenario.backends.iter().zip(peers).filter(|(_, peer)| !peer.backup);
    primaries
        .map(|(backend, _)| {
            f64::from(backend.workers) * backend.speed * 1e9 / backend.service.mean_ns()
        })
        .sum()
}
