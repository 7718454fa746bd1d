//! The balancer. Defaults are NGINX's, where NGINX has one.

use super::{Surroundings, algorithm, backend, edge, or, positive, resilience};
use crate::policy::health::active::ActiveHealthConfig;
use crate::policy::retry::{RetryConditions, RetryConfig};
use crate::policy::upstream::QueueConfig;
use crate::policy::{Rules, UpstreamConfig};
use crate::scenario::checked::{BalancerFacts, Engine, StateSharing};
use crate::scenario::diagnostic::Problems;
use crate::scenario::file::{
    BalancerSection, HealthSection, QueueSection, RetrySection, RetryWord, ScenarioFile,
};
use crate::scenario::reader::{Count, Written};
use crate::units::Span;

/// More threads or processes than the live world could start.
const MAX_VIEWS: u64 = 1_000;

/// The balancer and its peers.
pub(in crate::scenario) fn facts(
    file: &ScenarioFile,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> BalancerFacts {
    let default = BalancerSection::default();
    let section = file.balancer.as_ref().map_or(&default, |section| &section.value);
    let minute = Span::from_secs(60);
    let mut timeout =
        |field: &Option<Written<Span>>| field.as_ref().map_or(minute, |s| positive(s, problems));
    let connect_timeout = timeout(&section.connect_timeout);
    let read_timeout = timeout(&section.read_timeout);
    let keepalive_timeout = timeout(&section.keepalive_timeout);
    let (instances, workers) = size(section, problems);
    BalancerFacts {
        engine: section.engine.as_ref().map_or(Engine::Own, |engine| engine.value.clone()),
        instances,
        workers,
        state: or(section.state.as_ref(), StateSharing::Shared),
        upstream: upstream(file, section, problems),
        hash_key: algorithm::hash_key(section, problems),
        connect_timeout,
        read_timeout,
        keepalive: or(section.keepalive.as_ref(), 32),
        keepalive_timeout,
        edge: edge::lower(section, around, problems),
    }
}

fn size(section: &BalancerSection, problems: &mut Problems) -> (u32, u32) {
    let instances = or(section.instances.as_ref(), Count(1)).0;
    let workers = or(section.workers.as_ref(), Count(1)).0;
    if u64::from(instances) * u64::from(workers) > MAX_VIEWS
        && let Some(written) = section.workers.as_ref().or(section.instances.as_ref())
    {
        let message = format!("more than {MAX_VIEWS} workers of balancers altogether");
        problems.report(&written.place, message);
        return (1, 1);
    }
    (instances, workers)
}

fn upstream(
    file: &ScenarioFile,
    section: &BalancerSection,
    problems: &mut Problems,
) -> UpstreamConfig {
    let algorithm = algorithm::algorithm(section, problems);
    UpstreamConfig {
        algorithm,
        peers: backend::peers(file, section, problems),
        retry: section.retry.as_ref().map_or_else(RetryConfig::default, |s| retry(&s.value)),
        health: section.health.as_ref().map(|s| health(&s.value, problems)),
        queue: section.queue.as_ref().map_or_else(QueueConfig::default, |s| queue(&s.value)),
        resilience: resilience::resilience(file, section, algorithm, problems),
        rules: Rules::default(),
    }
}

fn retry(section: &RetrySection) -> RetryConfig {
    RetryConfig {
        on: section.on.as_ref().map_or_else(RetryConditions::default, |on| conditions(&on.value)),
        tries: or(section.tries.as_ref(), 0),
        timeout: or(section.timeout.as_ref(), Span::ZERO),
    }
}

fn conditions(words: &[Written<RetryWord>]) -> RetryConditions {
    let has = |word: RetryWord| words.iter().any(|written| written.value == word);
    let status = |written: &Written<RetryWord>| match written.value {
        RetryWord::Status(status) => Some(status),
        _ => None,
    };
    let mut statuses: Vec<u16> = words.iter().filter_map(status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    RetryConditions {
        error: has(RetryWord::Error),
        timeout: has(RetryWord::Timeout),
        invalid_header: has(RetryWord::InvalidHeader),
        statuses,
        non_idempotent: has(RetryWord::NonIdempotent),
    }
}

fn health(section: &HealthSection, problems: &mut Problems) -> ActiveHealthConfig {
    let interval =
        section.interval.as_ref().map_or(Span::from_secs(2), |span| positive(span, problems));
    let default_timeout = interval.min(Span::from_secs(1));
    let timeout = section.timeout.as_ref().map_or(default_timeout, |span| {
        if span.value > interval {
            let message = format!("longer than the interval between checks, {interval}");
            problems.report(&span.place, message);
        }
        positive(span, problems)
    });
    if let Some(path) = &section.path {
        super::traffic::check_path(path, problems);
    }
    ActiveHealthConfig {
        path: or(section.path.as_ref(), "/health".to_owned()),
        interval,
        timeout,
        rise: or(section.rise.as_ref(), Count(2)).0,
        fall: or(section.fall.as_ref(), Count(3)).0,
    }
}

fn queue(section: &QueueSection) -> QueueConfig {
    QueueConfig {
        length: or(section.length.as_ref(), 0),
        timeout: or(section.timeout.as_ref(), Span::from_secs(60)),
    }
}
