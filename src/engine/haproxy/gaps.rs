//! What HAProxy 2.6 does not do as a scenario asks, and what it does instead.

use super::settings::{MAX_WEIGHT, RETRY_STATUSES, Settings};
use crate::engine::Gap;
use crate::policy::Algorithm;
use crate::policy::resilience::ResilienceConfig;
use crate::policy::slow_start::SlowStart;
use crate::scenario::edge::{ClientFacts, UpstreamFacts};
use crate::scenario::{EdgeFacts, Scenario, StateSharing};
use crate::units::Span;

/// All of them, in the order of the keys.
pub(super) fn gaps(scenario: &Scenario, settings: &Settings) -> Vec<Gap> {
    let mut gaps = Vec::new();
    algorithm(scenario, settings, &mut gaps);
    shape(scenario, &mut gaps);
    passive(scenario, &mut gaps);
    slow_start(scenario, &mut gaps);
    retry(scenario, settings, &mut gaps);
    limits(scenario, &mut gaps);
    resilience(&scenario.balancer.upstream.resilience, &mut gaps);
    edge(&scenario.balancer.edge, &mut gaps);
    gaps
}

fn algorithm(scenario: &Scenario, settings: &Settings, gaps: &mut Vec<Gap>) {
    let asked = scenario.balancer.upstream.algorithm;
    let instead = settings.balance.words();
    let instead = instead.as_str();
    let mut gap = |why: &str| gaps.push(Gap::new("balancer.algorithm", why, instead));
    match asked {
        Algorithm::RoundRobinEdf => gap("HAProxy has a weighted round robin of its own"),
        Algorithm::LeastRequest(_) => {
            gap("HAProxy draws by weight and compares requests in flight over it");
        }
        Algorithm::PeakEwma(_) => gap("HAProxy does not look at latency"),
        Algorithm::Prequal(_) => gap("HAProxy sends no load probes"),
        Algorithm::Own(_) => gap("HAProxy does not run policies of one's own"),
        Algorithm::IpHash => gap("HAProxy hashes the whole address, not its network"),
        Algorithm::Maglev(_) => gap("HAProxy has no Maglev table"),
        _ => {}
    }
    let hashes_by_its_own = matches!(asked, Algorithm::Hash | Algorithm::ConsistentHash(_));
    if hashes_by_its_own {
        let why = "HAProxy's hash spreads the same keys otherwise over the servers";
        gaps.push(Gap::new("balancer.hash_key", why, instead));
    }
}

fn shape(scenario: &Scenario, gaps: &mut Vec<Gap>) {
    let balancer = &scenario.balancer;
    if balancer.state == StateSharing::PerWorker && balancer.workers > 1 {
        let why = "threads of HAProxy always share one state";
        gaps.push(Gap::new("balancer.state", why, "shared"));
    }
    let largest = balancer.upstream.peers.iter().map(|peer| peer.weight).max().unwrap_or(1);
    if largest > MAX_WEIGHT {
        let why = format!("{largest} is above the highest weight, {MAX_WEIGHT}");
        gaps.push(Gap::new("backend.weight", &why, "weights in proportion"));
    }
}

fn passive(scenario: &Scenario, gaps: &mut Vec<Gap>) {
    let upstream = &scenario.balancer.upstream;
    if upstream.peers.iter().all(|peer| peer.max_fails == 0) {
        return;
    }
    let gap = if upstream.health.is_none() {
        let why = "without health checks HAProxy does not take a server out for failed requests";
        Gap::new("balancer.max_fails", why, "")
    } else {
        let why = "HAProxy counts connections that failed in a row, forgets them at one that is \
                   made, and brings a server back by its health checks, not after fail_timeout";
        Gap::new("balancer.max_fails", why, "observe layer4, error-limit, on-error mark-down")
    };
    gaps.push(gap);
}

fn slow_start(scenario: &Scenario, gaps: &mut Vec<Gap>) {
    let upstream = &scenario.balancer.upstream;
    let slow = upstream.peers.iter().any(|peer| peer.slow_start != Span::ZERO);
    if slow && upstream.resilience.slow_start != SlowStart::default() {
        let why = "HAProxy's slow start is a straight line in 16 steps";
        gaps.push(Gap::new("balancer.slow_start_aggression", why, "slowstart"));
    }
}

fn retry(scenario: &Scenario, settings: &Settings, gaps: &mut Vec<Gap>) {
    let retry = &scenario.balancer.upstream.retry;
    let mut gap = |key: &str, why: &str, instead: &str| gaps.push(Gap::new(key, why, instead));
    if retry.on.error != retry.on.timeout {
        let why = "for HAProxy a connection that is refused and one that takes too long are one \
                   condition";
        gap("balancer.retry.on", why, "conn-failure, which is both");
    }
    for status in retry.on.statuses.iter().filter(|status| !RETRY_STATUSES.contains(status)) {
        gap("balancer.retry.on", &format!("HAProxy cannot retry on status {status}"), "");
    }
    if retry.timeout != Span::ZERO {
        gap("balancer.retry.timeout", "HAProxy does not limit retries in time", "");
    }
    let unsafe_once = |method: &str| ["POST", "LOCK", "PATCH"].contains(&method);
    let any_unsafe = scenario.traffic.classes.iter().any(|class| unsafe_once(&class.method));
    if any_unsafe && !retry.on.non_idempotent && settings.retries_sent_requests() {
        let why = "HAProxy has no rule about idempotence";
        gap("balancer.retry.on", why, "POST, LOCK and PATCH are retried as others are");
    }
    let room = scenario.balancer.edge.client.header_max.0;
    let largest = scenario.traffic.classes.iter().map(|class| class.body.0).max().unwrap_or(0);
    if settings.retries.count > 0 && settings.retries_sent_requests() && largest >= room {
        let why = "a request that does not fit in one buffer is not sent again";
        gap("balancer.retry", why, "it is retried only if it was not sent");
    }
}

fn limits(scenario: &Scenario, gaps: &mut Vec<Gap>) {
    let upstream = &scenario.balancer.upstream;
    if upstream.queue.length != 0 {
        let why = "HAProxy does not limit how many wait for any of its servers";
        gaps.push(Gap::new("balancer.queue.length", why, "balancer.queue.timeout alone"));
    }
    let limited = upstream.peers.iter().any(|peer| peer.max_conns != 0);
    if limited && upstream.queue.length == 0 {
        let why = "HAProxy always has a waiting line";
        gaps.push(Gap::new(
            "backend.max_conns",
            why,
            "one of any length, which is left after 1 ms",
        ));
    }
}

fn resilience(config: &ResilienceConfig, gaps: &mut Vec<Gap>) {
    let missing = [
        (config.panic.0 > 0.0, "balancer.panic", "HAProxy has no panic threshold"),
        (config.retry_budget.is_some(), "balancer.retry.budget", "HAProxy has no retry budget"),
        (
            config.backoff.is_some(),
            "balancer.retry.backoff",
            "HAProxy goes to another server at once",
        ),
        (config.outlier.is_some(), "balancer.outlier", "HAProxy has no outlier detection"),
        (config.hedge.is_some(), "balancer.hedge", "HAProxy does not hedge"),
    ];
    for (asked, key, why) in missing {
        if asked {
            gaps.push(Gap::new(key, why, ""));
        }
    }
    if let Some(affinity) = config.affinity.as_ref().filter(|affinity| affinity.path != "/") {
        let why = format!("HAProxy's cookies have the path /, not {}", affinity.path);
        gaps.push(Gap::new("balancer.affinity.path", &why, "/"));
    }
}

fn edge(edge: &EdgeFacts, gaps: &mut Vec<Gap>) {
    let (client, upstream) = (ClientFacts::default(), UpstreamFacts::default());
    let missing = [
        (
            edge.client.requests_per_connection != client.requests_per_connection,
            "balancer.client.requests_per_connection",
            "HAProxy does not limit the requests of a connection",
        ),
        (
            edge.client.request_timeout.is_some(),
            "balancer.client.request_timeout",
            "HAProxy has no limit for a whole request",
        ),
        (
            edge.upstream.connection_age != upstream.connection_age,
            "balancer.upstream.connection_age",
            "HAProxy does not limit the age of a connection",
        ),
        (
            edge.upstream.send_timeout != upstream.send_timeout,
            "balancer.upstream.send_timeout",
            "HAProxy has one time-out for sending and receiving (read_timeout)",
        ),
        (
            edge.forward.forwarded,
            "balancer.forward.forwarded",
            "HAProxy 2.6 has no `option forwarded`",
        ),
        (edge.forward.via, "balancer.forward.via", "HAProxy adds no Via"),
    ];
    for (asked, key, why) in missing {
        if asked {
            gaps.push(Gap::new(key, why, ""));
        }
    }
    if edge.log.is_some() {
        let why = "HAProxy writes no log files";
        gaps.push(Gap::new("balancer.log.path", why, "every request, in the engine's own log"));
    }
}
