//! A scenario in Envoy's own settings: the one place where it is decided how Envoy runs it.
//!
//! The configuration ([`super::bootstrap`]), the model ([`super::adapt`]) and what is said about
//! differences ([`super::gaps`]) read these settings and decide nothing about them.

use super::outlier;
use crate::policy::backoff::BackoffConfig;
use crate::policy::budget::ConcurrencyConfig;
use crate::policy::rules::envoy::{CircuitBreakers, EnvoyRetry, EnvoyRules, RetryOn};
use crate::policy::slow_start::SlowStart;
use crate::policy::{
    Algorithm, ConsistentHashConfig, LeastRequestConfig, LoadFactor, MaglevConfig, OutlierConfig,
    PeerConfig, Ring, Rules, UpstreamConfig,
};
use crate::scenario::{BalancerFacts, HashKey, Scenario};
use crate::units::{Ratio, Span};

/// Far above what any scenario has in flight: Envoy's own limits of 1024 (and 3 retries) would
/// answer 503 where the scenario knows no limit.
pub(super) const UNLIMITED: u32 = 1_000_000;
/// How often a retry draws another host when it met one that was tried. Each draw of a fleet of
/// two finds the other with probability 1/2 at least, so that one retry in a thousand stays.
const HOST_SELECTION_ATTEMPTS: u32 = 10;
/// Envoy's default `update_merge_window`.
const MERGE_WINDOW: Span = Span::from_secs(1);
/// Envoy's default `minimum_ring_size`.
const RING_SIZE: u32 = 1024;

/// How Envoy runs a scenario.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Worker threads.
    pub(super) concurrency: u32,
    /// The cluster's `lb_policy`.
    pub(super) balance: Balance,
    /// The route's `hash_policy`.
    pub(super) hash: Option<HashKey>,
    /// The hosts in the order of the scenario, without those that are out of service.
    pub(super) hosts: Vec<Host>,
    /// `slow_start_config` with its window.
    pub(super) slow_start: Option<(Span, SlowStart)>,
    /// `healthy_panic_threshold`.
    pub(super) panic: Ratio,
    pub(super) outlier: Option<OutlierConfig>,
    /// `retry_budget` of the circuit breakers.
    pub(super) retry_budget: Option<ConcurrencyConfig>,
    /// What the machine reads too.
    pub(super) rules: EnvoyRules,
}

/// A host of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Host {
    /// Index of the backend in the scenario.
    pub(super) backend: usize,
    pub(super) name: String,
    pub(super) weight: u32,
    /// Backups are priority 1.
    pub(super) backup: bool,
}

/// An algorithm of Envoy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Balance {
    /// `ROUND_ROBIN`.
    RoundRobin,
    /// `LEAST_REQUEST`.
    LeastRequest(LeastRequestConfig),
    /// `RANDOM`.
    Random,
    /// `RING_HASH` with its `minimum_ring_size`.
    RingHash(u32, Option<LoadFactor>),
    /// `MAGLEV` with its `table_size`.
    Maglev(u32),
}

impl Settings {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let BalancerFacts { upstream, hash_key, workers, .. } = &scenario.balancer;
        let balance = Balance::of(upstream);
        let hosts = hosts(&upstream.peers, balance);
        Self {
            concurrency: *workers,
            balance,
            hash: hash_key.clone().filter(|_| balance.hashes()),
            slow_start: slow_start(upstream, balance),
            // Envoy compares whole percents.
            panic: Ratio((upstream.resilience.panic.0 * 100.0).round() / 100.0),
            outlier: outlier::of(upstream),
            retry_budget: upstream.resilience.retry_budget.and_then(|budget| budget.concurrency),
            rules: match &upstream.rules {
                // The scenario is adapted already.
                Rules::Envoy(rules) => rules.clone(),
                _ => rules(&scenario.balancer, &hosts),
            },
            hosts,
        }
    }
}

impl Balance {
    fn of(upstream: &UpstreamConfig) -> Self {
        let equal = upstream.peers.iter().all(|peer| peer.weight == upstream.peers[0].weight);
        match upstream.algorithm {
            Algorithm::RoundRobin | Algorithm::RoundRobinEdf => Self::RoundRobin,
            // One draw among equals, which Envoy has under this name alone.
            Algorithm::LeastRequest(config) if config.choices < 2 && !config.full_scan && equal => {
                Self::Random
            }
            Algorithm::LeastRequest(config) => {
                Self::LeastRequest(LeastRequestConfig { choices: config.choices.max(2), ..config })
            }
            Algorithm::LeastConn
            | Algorithm::RandomTwo
            | Algorithm::PeakEwma(_)
            | Algorithm::Prequal(_)
            | Algorithm::Own(_) => Self::LeastRequest(LeastRequestConfig::DEFAULT),
            Algorithm::Random => Self::Random,
            Algorithm::ConsistentHash(ConsistentHashConfig { ring, bounded_load }) => {
                let size = match ring {
                    Ring::Ketama => RING_SIZE,
                    Ring::Envoy { size } => size,
                };
                Self::RingHash(size, bounded_load)
            }
            Algorithm::Maglev(MaglevConfig { table_size }) => Self::Maglev(table_size),
            Algorithm::IpHash | Algorithm::Hash => Self::Maglev(MaglevConfig::default().table_size),
            // An algorithm of another engine: the nearest of those that count requests.
            #[allow(unreachable_patterns, reason = "engines add algorithms of their own")]
            _ => Self::LeastRequest(LeastRequestConfig::DEFAULT),
        }
    }

    /// Whether it needs a key.
    pub(super) const fn hashes(self) -> bool {
        matches!(self, Self::RingHash(..) | Self::Maglev(_))
    }

    /// Whether it knows slow starts.
    pub(super) const fn starts_slowly(self) -> bool {
        matches!(self, Self::RoundRobin | Self::LeastRequest(_))
    }

    /// Envoy's name for it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "ROUND_ROBIN",
            Self::LeastRequest(_) => "LEAST_REQUEST",
            Self::Random => "RANDOM",
            Self::RingHash(..) => "RING_HASH",
            Self::Maglev(_) => "MAGLEV",
        }
    }
}

fn hosts(peers: &[PeerConfig], balance: Balance) -> Vec<Host> {
    let in_service = peers.iter().enumerate().filter(|(_, peer)| !peer.down && !peer.absent);
    let host = |(backend, peer): (usize, &PeerConfig)| Host {
        backend,
        name: peer.name.clone(),
        weight: if balance == Balance::Random { 1 } else { peer.weight.max(1) },
        backup: peer.backup,
    };
    in_service.map(host).collect()
}

/// One window holds for the whole cluster: the longest.
fn slow_start(upstream: &UpstreamConfig, balance: Balance) -> Option<(Span, SlowStart)> {
    let window = upstream.peers.iter().map(|peer| peer.slow_start).max()?;
    let wanted = window > Span::ZERO && balance.starts_slowly();
    wanted.then_some((window, upstream.resilience.slow_start))
}

fn rules(balancer: &BalancerFacts, hosts: &[Host]) -> EnvoyRules {
    let upstream = &balancer.upstream;
    let retry = retry(balancer, hosts);
    // A time-out that is not to be followed by another attempt bounds the request as a whole.
    let is_per_try = retry.as_ref().is_some_and(|retry| retry.per_try_timeout > Span::ZERO);
    let primaries = hosts.iter().filter(|host| !host.backup).count() as u32;
    EnvoyRules {
        update_merge_window: MERGE_WINDOW,
        // Backups serve when no primary may: one healthy primary is trusted with everything.
        overprovisioning_percent: (100 * primaries).max(140),
        route_timeout: if is_per_try { Span::ZERO } else { balancer.read_timeout },
        retry,
        keeps_connections: balancer.keepalive > 0,
        circuit_breakers: circuit_breakers(upstream),
        no_traffic_interval: upstream.health.as_ref().map_or(Span::from_secs(60), |h| h.interval),
        // Both thresholds of a scenario count checks, whatever they failed by.
        retriable_statuses: true,
    }
}

/// As in NGINX each host is tried once at most, unless the scenario says less.
fn retry(balancer: &BalancerFacts, hosts: &[Host]) -> Option<EnvoyRetry> {
    let retry = &balancer.upstream.retry;
    let peers = hosts.len() as u32;
    let tries = if retry.tries == 0 { peers } else { retry.tries.min(peers) };
    let breaks = retry.on.error || retry.on.timeout || retry.on.invalid_header;
    if tries < 2 || (!breaks && retry.on.statuses.is_empty()) {
        return None;
    }
    Some(EnvoyRetry {
        on: RetryOn {
            connect_failure: breaks,
            reset: breaks,
            statuses: retry.on.statuses.clone(),
            ..RetryOn::default()
        },
        num_retries: tries - 1,
        per_try_timeout: if retry.on.timeout { balancer.read_timeout } else { Span::ZERO },
        backoff: balancer.upstream.resilience.backoff.map_or(NO_PAUSE, whole_milliseconds),
        previous_hosts: true,
        host_selection_attempts: HOST_SELECTION_ATTEMPTS,
    })
}

/// No pause at all: Envoy draws whole milliseconds below 1.
pub(super) const NO_PAUSE: BackoffConfig = BackoffConfig { base: Span(1), max: Span(1) };

/// Envoy's pauses are bounded by whole milliseconds.
fn whole_milliseconds(backoff: BackoffConfig) -> BackoffConfig {
    let round = |span: Span| Span::from_millis((span.0 + 500_000) / 1_000_000);
    let base = round(backoff.base);
    if base <= Span::from_millis(1) && backoff.max <= Span::from_millis(1) {
        return NO_PAUSE;
    }
    let base = base.max(Span::from_millis(1));
    BackoffConfig { base, max: round(backoff.max).max(base) }
}

/// Where every primary has a `max_conns`, their sum bounds the cluster's connections.
fn circuit_breakers(upstream: &UpstreamConfig) -> CircuitBreakers {
    let serving = || upstream.peers.iter().filter(|peer| !peer.down);
    let limited = serving().count() > 0 && serving().all(|peer| peer.max_conns > 0);
    let unlimited = CircuitBreakers {
        max_connections: UNLIMITED,
        max_pending_requests: UNLIMITED,
        max_requests: UNLIMITED,
        max_retries: UNLIMITED,
    };
    if !limited {
        return unlimited;
    }
    CircuitBreakers {
        max_connections: serving().map(|peer| peer.max_conns).sum(),
        // A request waits also while its connection is being made.
        max_pending_requests: upstream.queue.length.max(1),
        ..unlimited
    }
}
