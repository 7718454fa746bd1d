//! What the page needs to know of the scenario: its servers, faults and stages.

use serde::Serialize;

use crate::compare::Layout;
use crate::scenario::Scenario;

/// The scenario, as far as it is drawn.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Facts {
    algorithm: String,
    duration_ns: u64,
    pub(super) warm_up_ns: u64,
    pub(super) servers: Vec<Server>,
    pub(super) faults: Vec<Fault>,
    stages: Vec<Stage>,
    classes: Vec<String>,
}

/// A server.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) group: String,
    weight: u32,
    backup: bool,
    workers: u32,
    /// Not there when the run begins: an autoscaler may start it.
    absent: bool,
}

/// A fault, as it was planned.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Fault {
    pub(super) name: String,
    at_ns: u64,
    until_ns: u64,
    /// The servers that it hits.
    pub(super) servers: Vec<usize>,
}

#[derive(Clone, Debug, Serialize)]
struct Stage {
    name: String,
    from_ns: u64,
    until_ns: u64,
    /// Requests per second at its beginning and end.
    rate: [f64; 2],
}

impl Facts {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let layout = Layout::new(scenario);
        let absent = |place: usize| {
            let scaling = layout.scaling.as_ref();
            scaling.is_some_and(|scaling| {
                scaling.slots.contains(&place)
                    && place - scaling.slots.start >= scaling.initial as usize
            })
        };
        let servers = layout.peers.iter().enumerate().map(|(place, peer)| Server {
            name: peer.name.clone(),
            group: peer.group.clone(),
            weight: peer.weight,
            backup: peer.backup,
            workers: peer.workers,
            absent: absent(place),
        });
        let faults = scenario.faults.iter().map(|fault| Fault {
            name: fault.name.clone(),
            at_ns: fault.at.0,
            until_ns: fault.until.0,
            servers: fault.targets.clone(),
        });
        let stages = layout.stages.iter().map(|stage| Stage {
            name: stage.period.name.clone(),
            from_ns: stage.period.from.0,
            until_ns: stage.period.until.0,
            rate: [stage.from_rate, stage.until_rate],
        });
        Self {
            algorithm: scenario.balancer.upstream.algorithm.to_string(),
            duration_ns: scenario.duration.0,
            warm_up_ns: layout.warm_up.0,
            servers: servers.collect(),
            faults: faults.collect(),
            stages: stages.collect(),
            classes: layout.classes.clone(),
        }
    }

    /// The place of the server of this name.
    pub(super) fn server(&self, name: &str) -> Option<usize> {
        self.servers.iter().position(|server| server.name == name)
    }
}
