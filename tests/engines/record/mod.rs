//! Records the vectors anew: the situations of each file in `tests/vectors`, with what the engine
//! that is installed does in them, in the form of the file.

mod compare;
mod envoy;
mod haproxy;
mod json;
mod nginx;
mod situation;

use std::path::Path;

pub(crate) use json::Json;

use super::problem::{Problem, Tried};
use super::{Envoy, Haproxy, Nginx};

/// A program that vectors are recorded from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Nginx,
    Haproxy,
    Envoy,
}

impl Engine {
    pub(crate) const ALL: [Self; 3] = [Self::Nginx, Self::Haproxy, Self::Envoy];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Envoy => "envoy",
        }
    }

    /// The version that is installed.
    pub(crate) fn version(self) -> Tried<String> {
        match self {
            Self::Nginx => Nginx::version(),
            Self::Haproxy => Haproxy::version(),
            Self::Envoy => Envoy::version(),
        }
    }
}

/// A file of vectors.
pub(crate) struct Vectors {
    /// In `tests/vectors`, without its ending.
    pub(crate) name: &'static str,
    pub(crate) engine: Engine,
    /// What it holds has nothing to do with chance.
    pub(crate) is_exact: bool,
    record: fn(&Json) -> Tried<Json>,
    compare: fn(&Json, &Json) -> Vec<String>,
}

const fn exact(name: &'static str, engine: Engine, record: fn(&Json) -> Tried<Json>) -> Vectors {
    Vectors { name, engine, is_exact: true, record, compare: compare::exactly }
}

const fn random(
    name: &'static str,
    engine: Engine,
    record: fn(&Json) -> Tried<Json>,
    compare: fn(&Json, &Json) -> Vec<String>,
) -> Vectors {
    Vectors { name, engine, is_exact: false, record, compare }
}

/// Every file that is recorded.
pub(crate) const VECTORS: [Vectors; 23] = [
    exact("nginx_wrr", Engine::Nginx, nginx::round_robin),
    exact("nginx_wrr_failures", Engine::Nginx, nginx::failures),
    exact("nginx_fail_timeout", Engine::Nginx, nginx::fail_timeout),
    exact("nginx_least_conn", Engine::Nginx, nginx::held),
    exact("nginx_max_conns_backup", Engine::Nginx, nginx::held),
    exact("nginx_next_upstream", Engine::Nginx, nginx::next_upstream),
    exact("nginx_ip_hash", Engine::Nginx, nginx::ip_hash),
    exact("nginx_hash", Engine::Nginx, nginx::hash),
    exact("nginx_hash_consistent", Engine::Nginx, nginx::consistent),
    exact("nginx_keepalive", Engine::Nginx, nginx::keepalive),
    random("nginx_random", Engine::Nginx, nginx::random, compare::shares),
    exact("haproxy_roundrobin", Engine::Haproxy, haproxy::round_robin),
    exact("haproxy_leastconn", Engine::Haproxy, haproxy::least_conn),
    exact("haproxy_maxconn_queue", Engine::Haproxy, haproxy::queue),
    exact("haproxy_source", Engine::Haproxy, haproxy::source),
    exact("haproxy_backup_retry", Engine::Haproxy, haproxy::backup_retry),
    exact("envoy_maglev", Engine::Envoy, envoy::maglev),
    exact("envoy_ring_hash", Engine::Envoy, envoy::ring_hash),
    random("envoy_round_robin", Engine::Envoy, envoy::round_robin, compare::schedule),
    random("envoy_weighted_least_request", Engine::Envoy, envoy::least_request, compare::schedule),
    random("envoy_statistics", Engine::Envoy, envoy::statistics, compare::shares),
    random("envoy_retry", Engine::Envoy, envoy::retry, compare::retries),
    random("envoy_outlier", Engine::Envoy, envoy::outlier, compare::ejections),
];

impl Vectors {
    /// The file in `folder`.
    pub(crate) fn read(&self, folder: &Path) -> Tried<Json> {
        let path = folder.join(format!("{}.json", self.name));
        let text = std::fs::read_to_string(&path);
        let text = text.map_err(Problem::during(format!("cannot read {}", path.display())))?;
        serde_json::from_str(&text)
            .map_err(|error| Problem::Unexpected(format!("{}: {error}", path.display())))
    }

    /// The situations of `last`, recorded again from the program of this version.
    pub(crate) fn again(&self, last: &Json, version: &str) -> Tried<Json> {
        let cases: Tried<Vec<Json>> = last.at("cases").list().iter().map(self.record).collect();
        let source = last.at("source").text();
        // The source begins with the program and its version, of one word.
        let old = source.split([' ', ',']).nth(1).unwrap_or_default();
        let source = source.replacen(old, version, 1);
        Ok(last.with("source", source).with("cases", cases?))
    }

    /// What is different, case by case.
    pub(crate) fn differences(&self, last: &Json, again: &Json) -> Vec<String> {
        let (last, again) = (last.at("cases").list(), again.at("cases").list());
        let pairs = last.iter().zip(again).enumerate();
        pairs
            .flat_map(|(place, (last, again))| {
                let title = last.at("case").text();
                let title = if title.is_empty() { title.to_owned() } else { format!(" ({title})") };
                let found = (self.compare)(last, again);
                let line = move |what| format!("{}, case {place}{title}: {what}", self.name);
                found.into_iter().map(line).collect::<Vec<_>>()
            })
            .collect()
    }
}
