//! The one place where a scenario becomes NGINX's own settings, in NGINX's own units.
//!
//! The configuration is written from these, and the scenario adapted by them, so that the model
//! follows what the configuration says.

use crate::policy::balance::{Algorithm, ConsistentHashConfig};
use crate::policy::{HaproxyAlgorithm, HaproxyHash, PeerConfig, RetryConditions};
use crate::scenario::edge::EdgeFacts;
use crate::scenario::{HashKey, Scenario, StateSharing};
use crate::units::Span;
use crate::units::time::NANOS_PER_SECOND;

const NANOS_PER_MILLI: u64 = 1_000_000;

/// NGINX as a scenario asks for it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// `worker_processes`.
    pub(super) workers: u32,
    /// A `zone`: the workers share counters and failures. Without it each has its own.
    pub(super) zone: bool,
    /// How a server is chosen.
    pub(super) method: Method,
    /// What `hash` hashes.
    pub(super) key: Option<HashKey>,
    /// In the order of the peers.
    pub(super) servers: Vec<Server>,
    /// `keepalive` of the upstream, per worker; 0 is none.
    pub(super) keepalive: u32,
    /// `keepalive_timeout` of the upstream.
    pub(super) keepalive_timeout: Millis,
    /// The words of `proxy_next_upstream`.
    pub(super) next_upstream: Vec<String>,
    /// `proxy_next_upstream_tries`; 0 is every server once.
    pub(super) tries: u32,
    /// `proxy_next_upstream_timeout`; 0 is no limit.
    pub(super) next_timeout: Millis,
    /// `proxy_connect_timeout`.
    pub(super) connect_timeout: Millis,
    /// `proxy_read_timeout`.
    pub(super) read_timeout: Millis,
    /// Limits and fields, which the model does not read.
    pub(super) edge: EdgeFacts,
}

/// Milliseconds, the unit of NGINX's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Millis(pub(super) u64);

impl Millis {
    /// The nearest one, but not 0 for what is longer than 0.
    pub(super) const fn of(span: Span) -> Self {
        let nearest = (span.0.saturating_add(NANOS_PER_MILLI / 2)) / NANOS_PER_MILLI;
        Self(if nearest == 0 && span.0 > 0 { 1 } else { nearest })
    }

    pub(super) const fn span(self) -> Span {
        Span(self.0.saturating_mul(NANOS_PER_MILLI))
    }
}

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_multiple_of(1000) {
            write!(f, "{}s", self.0 / 1000)
        } else {
            write!(f, "{}ms", self.0)
        }
    }
}

/// A `server` of the upstream.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Server {
    /// As the scenario has it, but for what NGINX counts in whole seconds.
    pub(super) peer: PeerConfig,
    /// `fail_timeout` in whole seconds.
    pub(super) fail_timeout_s: u64,
    /// A backup beside a method that refuses backups: left out.
    pub(super) left_out: bool,
}

/// NGINX's ways to choose a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    RoundRobin,
    LeastConn,
    Random,
    RandomTwo,
    IpHash,
    Hash,
    Consistent,
}

impl Method {
    /// Its directive; round robin has none.
    pub(super) const fn directive(self) -> Option<&'static str> {
        match self {
            Self::RoundRobin => None,
            Self::LeastConn => Some("least_conn"),
            Self::Random => Some("random"),
            Self::RandomTwo => Some("random two least_conn"),
            Self::IpHash => Some("ip_hash"),
            Self::Hash => Some("hash"),
            Self::Consistent => Some("hash … consistent"),
        }
    }

    /// Its name in words.
    pub(super) fn words(self) -> &'static str {
        self.directive().unwrap_or("weighted round robin")
    }

    /// The same in the decision core.
    pub(super) fn algorithm(self) -> Algorithm {
        match self {
            Self::RoundRobin => Algorithm::RoundRobin,
            Self::LeastConn => Algorithm::LeastConn,
            Self::Random => Algorithm::Random,
            Self::RandomTwo => Algorithm::RandomTwo,
            Self::IpHash => Algorithm::IpHash,
            Self::Hash => Algorithm::Hash,
            Self::Consistent => Algorithm::ConsistentHash(ConsistentHashConfig::default()),
        }
    }

    /// `ngx_http_upstream_hash_module` and the like leave `NGX_HTTP_UPSTREAM_BACKUP` out of their
    /// flags, and `server … backup` is then refused.
    const fn refuses_backups(self) -> bool {
        !matches!(self, Self::RoundRobin | Self::LeastConn)
    }
}

/// The method nearest to an algorithm, backups apart.
pub(super) fn nearest(algorithm: Algorithm) -> Method {
    match algorithm {
        Algorithm::RoundRobin | Algorithm::RoundRobinEdf => Method::RoundRobin,
        Algorithm::LeastConn | Algorithm::Prequal(_) | Algorithm::Own(_) => Method::LeastConn,
        Algorithm::Random => Method::Random,
        Algorithm::RandomTwo | Algorithm::PeakEwma(_) => Method::RandomTwo,
        Algorithm::LeastRequest(config) if config.full_scan || config.choices > 2 => {
            Method::LeastConn
        }
        Algorithm::LeastRequest(_) => Method::RandomTwo,
        Algorithm::IpHash => Method::IpHash,
        Algorithm::Hash => Method::Hash,
        Algorithm::ConsistentHash(_) | Algorithm::Maglev(_) => Method::Consistent,
        Algorithm::Haproxy(algorithm) => nearest_to_haproxy(algorithm),
    }
}

const fn nearest_to_haproxy(algorithm: HaproxyAlgorithm) -> Method {
    match algorithm {
        HaproxyAlgorithm::RoundRobin | HaproxyAlgorithm::StaticRr | HaproxyAlgorithm::First => {
            Method::RoundRobin
        }
        HaproxyAlgorithm::LeastConn => Method::LeastConn,
        HaproxyAlgorithm::Random { draws: 1 } => Method::Random,
        HaproxyAlgorithm::Random { .. } => Method::RandomTwo,
        HaproxyAlgorithm::Source(_) => Method::IpHash,
        HaproxyAlgorithm::Hash(HaproxyHash::MapBased) => Method::Hash,
        HaproxyAlgorithm::Hash(HaproxyHash::Consistent { .. }) => Method::Consistent,
    }
}

/// The method where there are backups: keys keep their servers and lose the backups; a draw gives
/// way to a method that has them.
fn beside_backups(method: Method, primaries: usize) -> Method {
    match method {
        Method::Random => Method::RoundRobin,
        Method::RandomTwo => Method::LeastConn,
        Method::IpHash | Method::Hash | Method::Consistent if primaries == 1 => Method::RoundRobin,
        other => other,
    }
}

/// Whether NGINX has a variable for the key: it drops fields with other characters in their names.
pub(super) fn is_seen(key: &HashKey) -> bool {
    match key {
        HashKey::Header(name) => {
            name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        }
        _ => true,
    }
}

impl Settings {
    /// Those for `scenario`.
    pub(super) fn of(scenario: &Scenario) -> Self {
        let balancer = &scenario.balancer;
        let upstream = &balancer.upstream;
        let key = balancer.hash_key.clone();
        let method = method(&upstream.peers, upstream.algorithm, key.as_ref());
        let server = |peer: &PeerConfig| Server {
            peer: peer.clone(),
            fail_timeout_s: peer.fail_timeout.0 / NANOS_PER_SECOND,
            left_out: peer.backup && method.refuses_backups(),
        };
        Self {
            workers: balancer.workers,
            zone: balancer.state == StateSharing::Shared,
            method,
            key,
            servers: upstream.peers.iter().map(server).collect(),
            keepalive: balancer.keepalive,
            keepalive_timeout: Millis::of(balancer.keepalive_timeout),
            next_upstream: words(&upstream.retry.on),
            tries: upstream.retry.tries,
            next_timeout: Millis::of(upstream.retry.timeout),
            connect_timeout: Millis::of(balancer.connect_timeout),
            read_timeout: Millis::of(balancer.read_timeout),
            edge: balancer.edge.clone(),
        }
    }

    /// Most attempts of one request.
    pub(super) fn most_attempts(&self) -> usize {
        let servers = self.servers.iter().filter(|server| !server.left_out).count();
        if self.tries == 0 { servers } else { servers.min(self.tries as usize) }
    }
}

fn method(peers: &[PeerConfig], algorithm: Algorithm, key: Option<&HashKey>) -> Method {
    let mut method = nearest(algorithm);
    if matches!(method, Method::Hash | Method::Consistent) && !key.is_some_and(is_seen) {
        // A request without a key goes by round robin in both methods.
        method = Method::RoundRobin;
    }
    let primaries = peers.iter().filter(|peer| !peer.backup).count();
    if primaries < peers.len() { beside_backups(method, primaries) } else { method }
}

fn words(on: &RetryConditions) -> Vec<String> {
    let mut words = Vec::new();
    let mut add = |is: bool, word: &str| is.then(|| words.push(word.to_owned()));
    add(on.error, "error");
    add(on.timeout, "timeout");
    add(on.invalid_header, "invalid_header");
    for status in &on.statuses {
        add(true, &format!("http_{status}"));
    }
    if words.is_empty() {
        words.push("off".to_owned());
    } else if on.non_idempotent {
        words.push("non_idempotent".to_owned());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_become_the_nearest_millisecond_and_never_none() {
        let millis = |nanos| Millis::of(Span(nanos)).0;
        assert_eq!([0, 1, 1_499_999, 1_500_000].map(millis), [0, 1, 1, 2]);
        assert_eq!(Millis::of(Span::from_secs(2)).to_string(), "2s");
        assert_eq!(Millis::of(Span::from_millis(2_500)).to_string(), "2500ms");
    }

    #[test]
    fn backups_change_a_draw_and_are_left_out_of_hashing() {
        let mut peers = vec![PeerConfig::new("a"), PeerConfig::new("b")];
        let key = HashKey::Uri;
        let choose = |peers: &[PeerConfig], algorithm| method(peers, algorithm, Some(&key));
        assert_eq!(choose(&peers, Algorithm::RandomTwo), Method::RandomTwo);
        peers.push(PeerConfig { backup: true, ..PeerConfig::new("c") });
        assert_eq!(choose(&peers, Algorithm::RandomTwo), Method::LeastConn);
        assert_eq!(choose(&peers, Algorithm::Random), Method::RoundRobin);
        assert_eq!(choose(&peers, Algorithm::Hash), Method::Hash);
        assert_eq!(choose(&peers[1..], Algorithm::Hash), Method::RoundRobin);
    }

    #[test]
    fn nothing_retried_is_off() {
        let none = RetryConditions { error: false, timeout: false, ..RetryConditions::default() };
        assert_eq!(words(&none), ["off"]);
        assert_eq!(words(&RetryConditions::default()), ["error", "timeout"]);
    }
}
