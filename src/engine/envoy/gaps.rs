//! What of a scenario Envoy does in another way, or not at all.

use super::settings::{Balance, Settings};
use crate::engine::Gap;
use crate::policy::{Algorithm, ConsistentHashConfig, PeerConfig, Ring, UpstreamConfig};
use crate::scenario::{BalancerFacts, EdgeFacts, HashKey, Scenario, StateSharing};
use crate::units::{Ratio, Span};

/// In the order of the keys of `[balancer]`.
pub(super) fn gaps(scenario: &Scenario, settings: &Settings) -> Vec<Gap> {
    let balancer = &scenario.balancer;
    let mut found = Vec::new();
    found.extend(of_algorithm(&balancer.upstream, settings));
    found.extend(of_keys(balancer, settings));
    found.extend(of_connections(balancer));
    found.extend(of_retry(scenario, settings));
    found.extend(of_health(&balancer.upstream, settings));
    found.extend(of_limits(&balancer.upstream));
    found.extend(of_weights(&balancer.upstream, settings));
    found.extend(of_edge(&balancer.edge));
    found
}

fn of_algorithm(upstream: &UpstreamConfig, settings: &Settings) -> Option<Gap> {
    const LEAST: &str = "LEAST_REQUEST: two drawn at random, the one with fewer requests in \
        flight; with unequal weights round robin by weight / (requests in flight + 1)";
    let gap = |why: &str, instead: &str| Some(Gap::new("balancer.algorithm", why, instead));
    match upstream.algorithm {
        Algorithm::RoundRobin if is_unequal(&upstream.peers) => gap(
            "Envoy's weighted round robin is not smooth",
            "ROUND_ROBIN by earliest deadline: weights 5, 1, 1 give aaaaabc",
        ),
        Algorithm::LeastConn => gap("Envoy does not compare all hosts", LEAST),
        Algorithm::RandomTwo => gap("Envoy draws with replacement and without weights", LEAST),
        Algorithm::PeakEwma(_) => gap("Envoy as released does not look at latency", LEAST),
        Algorithm::Prequal(_) => gap("Envoy sends no load probes", LEAST),
        Algorithm::Own(_) => gap("the policy is lab's own", LEAST),
        Algorithm::IpHash => gap(
            "Envoy has no ip_hash; it hashes the whole address instead of three octets",
            "MAGLEV on the client's address",
        ),
        Algorithm::Hash => gap("Envoy has no hash modulo the weights", "MAGLEV on the same key"),
        Algorithm::ConsistentHash(ConsistentHashConfig { ring: Ring::Ketama, .. }) => {
            gap("Envoy does not have NGINX's ring", "RING_HASH with 1024 points or more")
        }
        Algorithm::Random if settings.balance == Balance::Random && is_unequal(&upstream.peers) => {
            gap("Envoy's RANDOM ignores weights", "each host gets the same")
        }
        _ => None,
    }
}

fn of_keys(balancer: &BalancerFacts, settings: &Settings) -> Vec<Gap> {
    let mut found = Vec::new();
    let key = |why: &str, instead: &str| Gap::new("balancer.hash_key", why, instead);
    match &settings.hash {
        Some(HashKey::Header(_) | HashKey::Cookie(_)) => {
            found.push(key("a request without the key", "goes to a random host"));
        }
        Some(HashKey::Host) => found.push(key("Envoy takes the host as it is written", "")),
        _ => {}
    }
    if balancer.state == StateSharing::PerWorker && balancer.workers > 1 {
        found.push(Gap::new(
            "balancer.state",
            "Envoy's workers share requests in flight, health and limits",
            "shared; only whose turn it is, is each worker's own",
        ));
    }
    found
}

fn of_connections(balancer: &BalancerFacts) -> Option<Gap> {
    (balancer.keepalive > 0).then(|| {
        Gap::new(
            "balancer.keepalive",
            "Envoy bounds idle connections by time, not by number",
            "all are kept for keepalive_timeout",
        )
    })
}

fn of_retry(scenario: &Scenario, settings: &Settings) -> Vec<Gap> {
    let upstream = &scenario.balancer.upstream;
    let on = &upstream.retry.on;
    let mut found = Vec::new();
    if settings.rules.retry.is_some() {
        let mut gap = |why: &str, instead: &str| {
            found.push(Gap::new("balancer.retry.on", why, instead));
        };
        if (on.error || on.timeout || on.invalid_header)
            && !(on.error && on.timeout && on.invalid_header)
        {
            gap("Envoy does not tell errors, time-outs and invalid heads apart", &listed(settings));
        }
        let posts = scenario
            .traffic
            .classes
            .iter()
            .any(|class| matches!(class.method.as_str(), "POST" | "LOCK" | "PATCH"));
        if posts && !on.non_idempotent {
            gap("Envoy retries a POST like a GET", "it may be served twice");
        }
    }
    if upstream.retry.timeout > Span::ZERO {
        let why = "Envoy bounds the time of a request, not that until its last attempt begins";
        found.push(Gap::new("balancer.retry.timeout", why, "no bound"));
    }
    if upstream.resilience.retry_budget.is_some_and(|budget| budget.tokens.is_some()) {
        let why = "Envoy's budget is a share of the requests in flight, not tokens";
        let instead = if settings.retry_budget.is_some() { "the share alone" } else { "no budget" };
        found.push(Gap::new("balancer.retry.budget.ratio", why, instead));
    }
    if upstream.resilience.hedge.is_some() {
        let why = "Envoy hedges only when the time-out of an attempt is over";
        found.push(Gap::new("balancer.hedge", why, "no hedging"));
    }
    found
}

/// What is retried instead of some of it.
fn listed(settings: &Settings) -> String {
    let per_try =
        settings.rules.retry.as_ref().is_some_and(|retry| retry.per_try_timeout > Span::ZERO);
    if per_try {
        "all of them are retried".to_owned()
    } else {
        "all but answers that take longer than read_timeout, which bounds all attempts together"
            .to_owned()
    }
}

fn of_health(upstream: &UpstreamConfig, settings: &Settings) -> Vec<Gap> {
    let mut found = Vec::new();
    let fails = serving(upstream).map(|peer| peer.max_fails).max().unwrap_or(0);
    if fails > 0 && upstream.resilience.outlier.is_some() {
        let why = "Envoy has one detector of failures, and outlier configures it";
        found.push(Gap::new("balancer.max_fails", why, "outlier alone"));
    } else if fails > 0 && settings.outlier.is_some() {
        let instead = format!(
            "outlier detection: {fails} in a row, whatever time lies between; back at the first \
             whole second after fail_timeout{}, with all its traffic at once",
            if upstream.health.is_some() { " or a passed check" } else { "" },
        );
        let why = "Envoy does not count failures as NGINX does";
        found.push(Gap::new("balancer.max_fails", why, &instead));
    }
    if upstream.health.is_some() {
        found.push(Gap::new(
            "balancer.health",
            "a host that was never checked is unhealthy in Envoy, and the first passed check ends it",
            "",
        ));
    }
    let outlier = upstream.resilience.outlier.as_ref();
    if outlier.is_some() && outlier != settings.outlier.as_ref() {
        let why = "Envoy takes whole percents";
        found.push(Gap::new("balancer.outlier", why, "the nearest whole percents"));
    }
    if settings.outlier.is_some() || upstream.health.is_some() {
        found.push(Gap::new(
            "balancer.health",
            "Envoy gathers changes of health within update_merge_window, by default 1s",
            "the first counts at once, those after it up to a second later",
        ));
    }
    if upstream.resilience.affinity.is_some() {
        let why = "Envoy's cookie holds the address of the host, and the secret is not used";
        found.push(Gap::new("balancer.affinity", why, "a stateful session"));
    }
    found
}

fn of_limits(upstream: &UpstreamConfig) -> Vec<Gap> {
    let mut found = Vec::new();
    if serving(upstream).any(|peer| peer.max_conns > 0) {
        let instead = if serving(upstream).all(|peer| peer.max_conns > 0) {
            "a bound on the connections of the whole cluster, their sum"
        } else {
            "no limit, as not every backend has one"
        };
        let why = "Envoy does not pass over a host that is full";
        found.push(Gap::new("backend.max_conns", why, instead));
    }
    if upstream.queue.length > 0 {
        found.push(Gap::new(
            "balancer.queue",
            "Envoy has no waiting line for all hosts",
            "each request waits at the host that was chosen for it, and without a time-out of its own",
        ));
    }
    found
}

fn of_weights(upstream: &UpstreamConfig, settings: &Settings) -> Vec<Gap> {
    let windows: Vec<Span> = serving(upstream).map(|peer| peer.slow_start).collect();
    let longest = windows.iter().max().copied().unwrap_or(Span::ZERO);
    let mut found = Vec::new();
    if longest > Span::ZERO && settings.slow_start.is_none() {
        let why = "this algorithm of Envoy has no slow start";
        found.push(Gap::new("balancer.slow_start", why, "all traffic at once"));
    } else if windows.iter().any(|window| *window != longest) {
        let why = "Envoy has one window for all hosts";
        found.push(Gap::new("backend.slow_start", why, &format!("{longest} for all")));
    }
    found
}

fn of_edge(edge: &EdgeFacts) -> Vec<Gap> {
    let mut found = Vec::new();
    if edge.client.body_max.is_some() {
        let why = "Envoy bounds bodies only by holding them back until they are whole";
        found.push(Gap::new("balancer.client.body_max", why, "no bound"));
    }
    if edge.log.as_ref().is_some_and(|log| log.sample < Ratio(1.0)) {
        let why = "Envoy's filter draws for each request";
        found.push(Gap::new("balancer.log.sample", why, "the same share, other requests"));
    }
    found
}

fn serving(upstream: &UpstreamConfig) -> impl Iterator<Item = &PeerConfig> {
    upstream.peers.iter().filter(|peer| !peer.down)
}

fn is_unequal(peers: &[PeerConfig]) -> bool {
    peers.iter().any(|peer| !peer.down && !peer.backup && peer.weight != peers[0].weight)
}
