//! The scenario as Envoy runs it, for the model.

use super::settings::{Balance, Settings};
use crate::policy::{
    Algorithm, ConsistentHashConfig, LeastRequestConfig, MaglevConfig, Ring, Rules,
};
use crate::scenario::{Scenario, StateSharing};
use crate::units::Span;

/// Makes the model follow `settings`.
pub(super) fn adapt(scenario: &mut Scenario, settings: &Settings) {
    let balancer = &mut scenario.balancer;
    // Requests in flight, health and limits are common to all workers of a process.
    balancer.state = StateSharing::Shared;
    let upstream = &mut balancer.upstream;
    upstream.algorithm = algorithm(settings.balance);
    for peer in &mut upstream.peers {
        peer.slow_start = settings.slow_start.map_or(Span::ZERO, |(window, _)| window);
        peer.max_fails = 0;
        peer.max_conns = 0;
        if settings.balance == Balance::Random {
            peer.weight = 1;
        }
    }
    upstream.queue.length = 0;
    upstream.retry.tries = settings.rules.retry.as_ref().map_or(1, |retry| retry.num_retries + 1);
    upstream.retry.timeout = Span::ZERO;
    let resilience = &mut upstream.resilience;
    resilience.panic = settings.panic;
    resilience.outlier = settings.outlier.clone();
    resilience.hedge = None;
    // The retry policy of the rules has it.
    resilience.backoff = None;
    if let Some(budget) = &mut resilience.retry_budget {
        budget.tokens = None;
    }
    resilience.retry_budget = resilience.retry_budget.filter(|b| b.concurrency.is_some());
    upstream.rules = Rules::Envoy(settings.rules.clone());
}

fn algorithm(balance: Balance) -> Algorithm {
    match balance {
        Balance::RoundRobin => Algorithm::RoundRobinEdf,
        Balance::LeastRequest(config) => Algorithm::LeastRequest(config),
        // One draw among equals: uniform, as Envoy's RANDOM, which knows no weights.
        Balance::Random => Algorithm::LeastRequest(LeastRequestConfig {
            choices: 1,
            ..LeastRequestConfig::DEFAULT
        }),
        Balance::RingHash(size, bounded_load) => Algorithm::ConsistentHash(ConsistentHashConfig {
            ring: Ring::Envoy { size },
            bounded_load,
        }),
        Balance::Maglev(table_size) => Algorithm::Maglev(MaglevConfig { table_size }),
    }
}
