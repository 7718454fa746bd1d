//! A scenario as meant: everything resolved, nothing left to check. Both worlds read this.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::autoscaler::AutoscalerFacts;
use super::check::Check;
use super::edge::EdgeFacts;
use super::hash_key::HashKey;
use super::precision::Precision;
use super::sweep::SweepFacts;
use crate::policy::UpstreamConfig;
use crate::traffic::{Fault, Law, TrafficConfig};
use crate::units::{Nanos, Ratio, Span};

/// A checked scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// Name; letters, digits, `-` and `_`.
    pub name: String,
    /// The file it came from.
    pub path: PathBuf,
    /// The file's text, kept with the results.
    pub text: String,
    /// Overrides (`--set key=value`) that were applied to the text, kept with the results.
    pub overrides: Vec<(String, String)>,
    /// Seed of all draws.
    pub seed: u64,
    /// Arrivals stop here.
    pub duration: Span,
    /// Requests due before this are sent but left out of every statistic.
    pub warm_up: Span,
    /// Whether the model is to find the warm-up, which then is zero here.
    pub auto_warm_up: bool,
    /// Replications of the model; at least 1.
    pub replications: u32,
    /// Run as many as this takes, but no more than `max_replications`.
    pub precision: Option<Precision>,
    /// Most replications with `precision`; at least 1.
    pub max_replications: u32,
    /// The model's run may end once this is known.
    pub until: Option<Precision>,
    /// What clients ask for.
    pub traffic: TrafficConfig,
    /// The balancer.
    pub balancer: BalancerFacts,
    /// Every backend, `count` expanded, and a scaled group to its largest size; backend `i` is
    /// peer `i`.
    pub backends: Vec<Backend>,
    /// Who changes the number of instances of a group, if anyone.
    pub autoscaler: Option<AutoscalerFacts>,
    /// The host of the live world.
    pub host: HostFacts,
    /// In order of their beginning.
    pub faults: Vec<Fault>,
    /// What must hold.
    pub checks: Vec<Check>,
    /// What `lab sweep` changes, if anything.
    pub sweep: Option<SweepFacts>,
}

impl Scenario {
    /// Where arrivals stop, as an instant.
    #[must_use]
    pub const fn end(&self) -> Nanos {
        Nanos(self.duration.0)
    }

    /// Requests per second that the primaries which are there at the start can serve: what a load of
    /// 1 is. Infinite if their service takes no time.
    #[must_use]
    pub fn capacity(&self) -> f64 {
        let peers = self.backends.iter().zip(&self.balancer.upstream.peers);
        peers
            .filter(|(backend, peer)| !backend.absent && !peer.backup)
            .map(|(it, _)| f64::from(it.workers) * it.speed * 1e9 / it.service.mean_ns())
            .sum()
    }
}

/// The balancer, apart from its decisions.
#[derive(Clone, Debug, PartialEq)]
pub struct BalancerFacts {
    /// What runs in the live world.
    pub engine: Engine,
    /// Separate balancer processes; a request reaches one by a draw.
    pub instances: u32,
    /// Worker threads of each.
    pub workers: u32,
    /// Whether the workers of a process see each other's requests.
    pub state: StateSharing,
    /// What it decides: algorithm, peers, retry, health, queue.
    pub upstream: UpstreamConfig,
    /// What of a request is hashed, if anything.
    pub hash_key: Option<HashKey>,
    /// Longest time for a connection to a peer.
    pub connect_timeout: Span,
    /// Longest time for the head of a peer's response.
    pub read_timeout: Span,
    /// Idle connections kept for peers, per worker; 0 switches keepalive to peers off.
    pub keepalive: u32,
    /// An idle connection to a peer is closed after this.
    pub keepalive_timeout: Span,
    /// What lab's own proxy does at its edge.
    pub edge: EdgeFacts,
}

impl BalancerFacts {
    /// Number of separate views of the peers: each instance has one, or each of its workers.
    #[must_use]
    pub const fn views(&self) -> u32 {
        match self.state {
            StateSharing::Shared => self.instances,
            StateSharing::PerWorker => self.instances * self.workers,
        }
    }
}

/// The live world's balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// lab's own proxy.
    #[default]
    Own,
    /// NGINX.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// Envoy.
    Envoy,
    /// A balancer that runs already: its URL, `http://HOST[:PORT][/PATH]`. Requests name that host,
    /// and their paths follow that path.
    Elsewhere(String),
}

impl Engine {
    /// Those that have a name, in the order in which they are shown.
    pub const NAMED: [Self; 4] = [Self::Own, Self::Nginx, Self::Haproxy, Self::Envoy];

    /// Whether a change of its peers is a reload, after which it begins with a new state.
    #[must_use]
    pub const fn reloads(&self) -> bool {
        matches!(self, Self::Nginx)
    }

    /// As it is written in a scenario.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Own => "own".to_owned(),
            Self::Nginx => "nginx".to_owned(),
            Self::Haproxy => "haproxy".to_owned(),
            Self::Envoy => "envoy".to_owned(),
            Self::Elsewhere(url) => format!("url:{url}"),
        }
    }
}

impl std::str::FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, UnknownEngine> {
        if let Some(url) = text.strip_prefix("url:") {
            return if is_base_url(url) {
                Ok(Self::Elsewhere(url.to_owned()))
            } else {
                Err(UnknownEngine(text.to_owned()))
            };
        }
        let named = Self::NAMED.into_iter().find(|engine| engine.name() == text);
        named.ok_or_else(|| UnknownEngine(text.to_owned()))
    }
}

impl std::fmt::Display for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

/// Whether paths of requests can follow `url`: it has a host, perhaps a port and a path, and neither
/// user nor query; the comma separates URLs where several are given.
fn is_base_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let host = rest.split('/').next().unwrap_or_default();
    let plain = |c: char| c.is_ascii_graphic() && !"@?#,".contains(c);
    !host.is_empty() && !host.starts_with(':') && rest.chars().all(plain)
}

/// A word that names no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no engine: one of `own`, `nginx`, `haproxy`, `envoy`, or `url:http://HOST:PORT/PATH`"
)]
pub struct UnknownEngine(pub String);

/// How far the state of the peers is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateSharing {
    /// One state for all workers of an instance (NGINX with `zone`).
    Shared,
    /// Each worker knows its own requests only (NGINX without `zone`).
    PerWorker,
}

/// One backend instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// Name; with a count above one, `name-1`, `name-2`, ….
    pub name: String,
    /// Name of the `[[backend]]` group it belongs to.
    pub group: String,
    /// An instance that an autoscaler may start, and that is not there at the beginning.
    pub absent: bool,
    /// Requests served at once; at least 1.
    pub workers: u32,
    /// Most requests waiting; beyond it the backend answers 503. `None` is no limit.
    pub queue_limit: Option<u32>,
    /// Service takes `demand / speed`; positive.
    pub speed: f64,
    /// Law of the demand.
    pub service: Law,
    /// Order of service.
    pub discipline: Discipline,
    /// Probability that a health check fails.
    pub health_failure: Ratio,
    /// Where a balancer that lab does not start expects it; otherwise lab chooses.
    pub address: Option<SocketAddr>,
}

/// Order of service of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discipline {
    /// First in, first out over the workers.
    Fifo,
    /// Processor sharing: all present are served at once, at rate min(1, workers / present) each.
    Ps,
}

/// The host of the live world.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// A calibration file; one that the scenario names is resolved against the scenario's folder.
    pub calibration: Option<PathBuf>,
}
