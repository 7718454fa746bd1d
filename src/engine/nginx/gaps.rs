//! What open-source NGINX (1.22) cannot do, and what it does instead.

use super::settings::{Method, Settings, is_seen, nearest};
use crate::engine::Gap;
use crate::policy::UpstreamConfig;
use crate::policy::balance::{Algorithm, ConsistentHashConfig, Ring};
use crate::policy::resilience::ResilienceConfig;
use crate::scenario::edge::{ClientFacts, UpstreamProtocol};
use crate::scenario::{BalancerFacts, EdgeFacts, Scenario};
use crate::traffic::FaultKind;
use crate::units::Span;
use crate::units::time::NANOS_PER_SECOND;

const PASSIVE: &str = "failures of requests take a backend out (max_fails, fail_timeout)";

/// In the order of the keys in a scenario.
pub(in crate::engine) fn gaps(scenario: &Scenario) -> Vec<Gap> {
    let settings = Settings::of(scenario);
    let mut gaps = choice(&scenario.balancer, &settings);
    gaps.extend(health_and_limits(&scenario.balancer));
    gaps.extend(resilience(&scenario.balancer.upstream.resilience));
    gaps.extend(edge(&scenario.balancer.edge));
    gaps.extend(backends(&settings));
    gaps.extend(faults(scenario));
    gaps
}

/// The algorithm.
fn choice(balancer: &BalancerFacts, settings: &Settings) -> Vec<Gap> {
    let algorithm = balancer.upstream.algorithm;
    let (wanted, used) = (nearest(algorithm), settings.method);
    let mut gaps = Vec::new();
    let mut gap = |key: &str, why: &str, instead: &str| gaps.push(Gap::new(key, why, instead));
    let is_native = matches!(
        algorithm,
        Algorithm::RoundRobin
            | Algorithm::LeastConn
            | Algorithm::Random
            | Algorithm::RandomTwo
            | Algorithm::IpHash
            | Algorithm::Hash
            | Algorithm::ConsistentHash(_)
    );
    if !is_native {
        let why = format!("NGINX has no {algorithm}");
        gap("balancer.algorithm", &why, &format!("`{}`, the nearest it has", used.words()));
    } else if wanted != used && balancer.hash_key.as_ref().is_none_or(is_seen) {
        let why = format!("NGINX refuses backups beside `{}`", wanted.words());
        gap("balancer.algorithm", &why, &format!("`{}`, so that there are backups", used.words()));
    }
    if let Some(key) = balancer.hash_key.as_ref().filter(|key| !is_seen(key))
        && matches!(wanted, Method::Hash | Method::Consistent)
    {
        let why = format!("NGINX drops a field with such a name ({key:?})");
        gap("balancer.hash_key", &why, "weighted round robin, as for requests without a key");
    }
    if let Algorithm::ConsistentHash(ConsistentHashConfig { ring, bounded_load }) = algorithm {
        if matches!(ring, Ring::Envoy { .. }) {
            gap("balancer.ring", "NGINX has a ring of its own", "its ring (ketama)");
        }
        if bounded_load.is_some() {
            gap("balancer.bounded_load", "NGINX bounds no load", "each key goes where it belongs");
        }
    }
    if used == Method::Consistent {
        gap(
            "balancer.algorithm",
            "the points on NGINX's ring come from the addresses of the backends, which differ in \
             each live run; the model takes their names",
            "the same law, with other keys on each backend",
        );
    }
    gaps
}

/// Health checks and the waiting line.
fn health_and_limits(balancer: &BalancerFacts) -> Vec<Gap> {
    let UpstreamConfig { health, queue, peers, .. } = &balancer.upstream;
    let mut gaps = Vec::new();
    if health.is_some() {
        let why = "open-source NGINX has no active health checks";
        gaps.push(Gap::new("balancer.health", why, PASSIVE));
    }
    if queue.length > 0 {
        let why = "open-source NGINX has no queue";
        gaps.push(Gap::new("balancer.queue", why, "502 at once when all backends are full"));
    }
    if peers.iter().any(|peer| peer.slow_start != Span::ZERO) {
        let why = "open-source NGINX has no slow start";
        gaps.push(Gap::new(
            "balancer.slow_start",
            why,
            "the whole share at once, but for \
            effective weights, which climb by 1 with each pick",
        ));
    }
    gaps
}

/// What goes beyond NGINX.
fn resilience(config: &ResilienceConfig) -> Vec<Gap> {
    let rows = [
        (config.panic.0 > 0.0, "balancer.panic", "a panic threshold", "502 when all are out"),
        (config.outlier.is_some(), "balancer.outlier", "outlier detection", PASSIVE),
        (
            config.retry_budget.is_some(),
            "balancer.retry.budget",
            "a budget of retries",
            "as many as proxy_next_upstream_tries allows",
        ),
        (config.backoff.is_some(), "balancer.retry.backoff", "a pause before retries", "at once"),
        (config.hedge.is_some(), "balancer.hedge", "hedged requests", "none"),
        (config.affinity.is_some(), "balancer.affinity", "affinity by a cookie of its own", "none"),
    ];
    let missing = rows.into_iter().filter(|(asked, ..)| *asked);
    missing
        .map(|(_, key, what, instead)| {
            Gap::new(key, &format!("open-source NGINX has no {}", article_free(what)), instead)
        })
        .collect()
}

fn article_free(what: &str) -> &str {
    what.strip_prefix("a ").unwrap_or(what)
}

/// The edge, which the model does not read.
fn edge(edge: &EdgeFacts) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut gap = |key: &str, why: &str, instead: &str| gaps.push(Gap::new(key, why, instead));
    let usual = ClientFacts::default();
    if edge.client.header_max != usual.header_max {
        let why = "NGINX limits each line of a head, not the head";
        gap("balancer.client.header_max", why, "four lines of this size (414 and 400 beyond it)");
    }
    if edge.client.connections != usual.connections {
        let why = "NGINX counts connections to clients and to backends together";
        gap("balancer.client.connections", why, "twice as many worker_connections");
    }
    if edge.client.request_timeout.is_some() {
        gap("balancer.client.request_timeout", "NGINX limits no whole request", "");
    }
    if edge.forward.forwarded {
        gap("balancer.forward.forwarded", "NGINX writes no Forwarded of itself", "X-Forwarded-For");
    }
    if edge.upstream.protocol == UpstreamProtocol::H2 {
        gap("balancer.upstream.protocol", "NGINX 1.22 speaks no HTTP/2 to backends", "HTTP/1.1");
    }
    if edge.upstream.tls.is_some() {
        gap("balancer.upstream.tls", "lab's backends speak no TLS", "plain HTTP");
    }
    if edge.upstream.send_proxy_protocol.is_some() {
        let why = "NGINX sends PROXY headers only where it passes connections on (stream)";
        gap("balancer.upstream.send_proxy_protocol", why, "none");
    }
    gaps
}

/// Single backends.
fn backends(settings: &Settings) -> Vec<Gap> {
    let mut gaps = Vec::new();
    for server in &settings.servers {
        let key = |field: &str| format!("backend.{}.{field}", server.peer.name);
        if server.left_out {
            let why = format!("NGINX refuses backups beside `{}`", settings.method.words());
            gaps.push(Gap::new(&key("backup"), &why, "it is left out and gets no request"));
        }
        if !server.peer.fail_timeout.0.is_multiple_of(NANOS_PER_SECOND) {
            let why = "NGINX counts fail_timeout in whole seconds";
            let instead = format!("{}s", server.fail_timeout_s);
            gaps.push(Gap::new(&key("fail_timeout"), why, &instead));
        }
    }
    gaps
}

/// Faults that NGINX does not notice.
fn faults(scenario: &Scenario) -> Vec<Gap> {
    let flaps = scenario.faults.iter().filter(|fault| {
        matches!(fault.kind, FaultKind::HealthFlap(_))
            && scenario.balancer.upstream.health.is_some()
    });
    flaps
        .map(|fault| {
            let why = "open-source NGINX sends no health checks that could fail";
            Gap::new(&format!("fault.{}", fault.name), why, "nothing happens, so it proves nothing")
        })
        .collect()
}
