//! A scenario in HAProxy's own terms: the one place where it is translated.
//!
//! [`super::write`] puts these settings into a file, [`super::adapt`] into the model, and
//! [`super::gaps`] tells where they are not what the scenario asked for.

use super::balance::Balance;
use super::write;
use crate::engine::parity::{self, Parity};
use crate::policy::{ActiveHealthConfig, PeerConfig};
use crate::scenario::edge::ProxyProtocol;
use crate::scenario::{BalancerFacts, EdgeFacts, HashKey, Scenario};
use crate::units::Span;

/// Highest weight of a server (`SRV_UWGHT_MAX`).
pub(super) const MAX_WEIGHT: u32 = 256;
/// The statuses that `retry-on` knows, of those that a scenario may list.
pub(super) const RETRY_STATUSES: [u16; 6] = [403, 404, 500, 502, 503, 504];
/// How long a request waits for a server where the scenario has no waiting line: HAProxy always
/// has one, and its time-outs are whole milliseconds.
const NO_WAIT: Span = Span::from_millis(1);

/// HAProxy's settings for a scenario. All times are whole milliseconds, at least 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// `nbthread`.
    pub(super) threads: u32,
    /// `maxconn` of the process.
    pub(super) connections: u64,
    pub(super) balance: Balance,
    pub(super) servers: Vec<Server>,
    pub(super) timeouts: Timeouts,
    pub(super) retries: Retries,
    /// Idle connections to servers; `None` closes each after its request.
    pub(super) pool: Option<Pool>,
    pub(super) check: Option<Check>,
    /// `error-limit` of `observe layer4`, if that is on.
    pub(super) error_limit: Option<u32>,
    pub(super) cookie: Option<Cookie>,
    /// `log`, of every request.
    pub(super) logs: bool,
}

/// A `server` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: String,
    /// 1 to [`MAX_WEIGHT`].
    pub(super) weight: u32,
    pub(super) backup: bool,
    /// `disabled`.
    pub(super) disabled: bool,
    /// Not there at first: not in the configuration.
    pub(super) absent: bool,
    /// `maxconn`; 0 is no limit.
    pub(super) maxconn: u32,
    /// `slowstart`, if any.
    pub(super) slow_start: Option<Span>,
}

/// `timeout …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timeouts {
    pub(super) connect: Span,
    pub(super) server: Span,
    pub(super) client: Span,
    pub(super) http_request: Span,
    pub(super) http_keep_alive: Span,
    pub(super) queue: Span,
}

/// `retries` and `retry-on`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Retries {
    /// Attempts after the first.
    pub(super) count: u32,
    /// `conn-failure`: no connection, or none in time.
    pub(super) connection: bool,
    /// `empty-response`: closed after the request was sent.
    pub(super) empty_response: bool,
    /// `response-timeout`.
    pub(super) response_timeout: bool,
    /// `junk-response`.
    pub(super) junk_response: bool,
    /// Statuses, sorted, all of [`RETRY_STATUSES`].
    pub(super) statuses: Vec<u16>,
}

/// Idle connections to servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pool {
    /// `pool-max-conn`, for each server.
    pub(super) size: u32,
    /// `pool-purge-delay`.
    pub(super) purge: Span,
    /// `max-reuse`: uses of a connection after its first.
    pub(super) reuse: u32,
}

/// `option httpchk` and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) path: String,
    pub(super) inter: Span,
    pub(super) timeout: Span,
    pub(super) rise: u32,
    pub(super) fall: u32,
}

/// `cookie … insert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cookie {
    pub(super) name: String,
    /// `maxlife`.
    pub(super) life: Option<Span>,
    /// `dynamic-cookie-key`.
    pub(super) secret: String,
    pub(super) http_only: bool,
    pub(super) secure: bool,
    /// The word of `SameSite`.
    pub(super) same_site: &'static str,
}

impl Settings {
    /// Those for `scenario`. A scenario that was [adapted](super::adapt) gives them again.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let balancer = &scenario.balancer;
        let check = check(balancer);
        Self {
            threads: balancer.workers,
            connections: u64::from(balancer.edge.client.connections) * u64::from(balancer.workers),
            balance: Balance::new(balancer.upstream.algorithm, balancer.hash_key.as_ref()),
            servers: servers(&balancer.upstream.peers),
            timeouts: timeouts(balancer),
            retries: Retries::new(balancer),
            pool: pool(balancer),
            error_limit: check.as_ref().and_then(|_| error_limit(&balancer.upstream.peers)),
            check,
            cookie: cookie(balancer),
            logs: balancer.edge.log.is_some(),
        }
    }

    /// Whether the conditions of retries go beyond a connection that was not made: only then
    /// HAProxy keeps a request to send it again.
    pub(super) fn retries_sent_requests(&self) -> bool {
        let retries = &self.retries;
        retries.empty_response
            || retries.response_timeout
            || retries.junk_response
            || !retries.statuses.is_empty()
    }
}

/// Whole milliseconds, upwards, at least 1.
pub(super) fn millis(span: Span) -> Span {
    Span::from_millis(span.0.div_ceil(1_000_000).max(1))
}

/// The weights as they are where HAProxy has such ones, else in proportion.
fn weights(peers: &[PeerConfig]) -> impl Iterator<Item = u32> {
    let largest = peers.iter().map(|peer| peer.weight).max().unwrap_or(1);
    let scale = move |weight: u32| {
        if largest <= MAX_WEIGHT {
            return weight.max(1);
        }
        let scaled = u64::from(weight) * u64::from(MAX_WEIGHT) / u64::from(largest);
        scaled.max(1) as u32
    };
    peers.iter().map(move |peer| scale(peer.weight))
}

fn servers(peers: &[PeerConfig]) -> Vec<Server> {
    let server = |(peer, weight): (&PeerConfig, u32)| Server {
        name: peer.name.clone(),
        weight,
        backup: peer.backup,
        disabled: peer.down,
        absent: peer.absent,
        maxconn: peer.max_conns,
        slow_start: (peer.slow_start != Span::ZERO).then(|| millis(peer.slow_start)),
    };
    peers.iter().zip(weights(peers)).map(server).collect()
}

/// One for all servers: the least that is asked for. Only beside checks, since nothing else brings
/// back a server that was marked down.
fn error_limit(peers: &[PeerConfig]) -> Option<u32> {
    peers.iter().map(|peer| peer.max_fails).filter(|fails| *fails != 0).min()
}

fn timeouts(balancer: &BalancerFacts) -> Timeouts {
    let EdgeFacts { client, .. } = &balancer.edge;
    let queue = &balancer.upstream.queue;
    Timeouts {
        connect: millis(balancer.connect_timeout),
        server: millis(balancer.read_timeout),
        client: millis(client.body_timeout),
        http_request: millis(client.header_timeout),
        http_keep_alive: millis(client.idle_timeout),
        queue: if queue.length == 0 { NO_WAIT } else { millis(queue.timeout) },
    }
}

impl Retries {
    fn new(balancer: &BalancerFacts) -> Self {
        let retry = &balancer.upstream.retry;
        let primaries = balancer.upstream.peers.iter().filter(|peer| !peer.backup && !peer.down);
        let attempts = if retry.tries == 0 { primaries.count() as u32 } else { retry.tries };
        let known = |status: &u16| RETRY_STATUSES.contains(status);
        Self {
            count: attempts.saturating_sub(1),
            connection: retry.on.error || retry.on.timeout,
            empty_response: retry.on.error,
            response_timeout: retry.on.timeout,
            junk_response: retry.on.invalid_header,
            statuses: retry.on.statuses.iter().copied().filter(known).collect(),
        }
    }
}

fn pool(balancer: &BalancerFacts) -> Option<Pool> {
    (balancer.keepalive != 0).then(|| Pool {
        // The scenario counts for each worker, HAProxy for all threads together.
        size: balancer.keepalive.saturating_mul(balancer.workers).min(i32::MAX as u32),
        purge: millis(balancer.keepalive_timeout),
        reuse: balancer
            .edge
            .upstream
            .requests_per_connection
            .saturating_sub(1)
            .min(i32::MAX as u32),
    })
}

fn check(balancer: &BalancerFacts) -> Option<Check> {
    balancer.upstream.health.as_ref().map(|health| Check {
        path: health.path.clone(),
        inter: millis(health.interval),
        timeout: millis(health.timeout),
        rise: health.rise,
        fall: health.fall,
    })
}

fn cookie(balancer: &BalancerFacts) -> Option<Cookie> {
    balancer.upstream.resilience.affinity.as_ref().map(|affinity| Cookie {
        name: affinity.cookie.clone(),
        // `maxlife` counts whole seconds.
        life: affinity.ttl.map(|ttl| Span::from_secs(ttl.0.div_ceil(1_000_000_000).max(1))),
        secret: affinity.secret.clone(),
        http_only: affinity.http_only,
        secure: affinity.secure,
        same_site: affinity.same_site.word(),
    })
}

/// The words of a `server` line for how a peer is spoken to.
pub(super) fn protocol_words(edge: &EdgeFacts) -> Vec<String> {
    let mut words = Vec::new();
    let upstream = &edge.upstream;
    match upstream.send_proxy_protocol {
        Some(ProxyProtocol::V1) => words.push("send-proxy".to_owned()),
        Some(ProxyProtocol::V2) => words.push("send-proxy-v2".to_owned()),
        None => {}
    }
    words
}

/// The key that a hash reads, as HAProxy's sample fetch.
pub(super) fn fetch(key: &HashKey) -> String {
    match key {
        HashKey::Client => "src".to_owned(),
        HashKey::Uri => "pathq".to_owned(),
        HashKey::Path => "path".to_owned(),
        HashKey::Host => "req.hdr(host),host_only,lower".to_owned(),
        HashKey::Header(name) => format!("req.hdr({name})"),
        HashKey::Cookie(name) => format!("req.cook({name})"),
    }
}

impl Settings {
    /// What a comparison of engines has to know.
    pub(super) fn parity(&self) -> Parity {
        let check = self.check.as_ref().map(|check| ActiveHealthConfig {
            path: check.path.clone(),
            interval: check.inter,
            timeout: check.timeout,
            rise: check.rise,
            fall: check.fall,
        });
        let Timeouts { connect, server, http_keep_alive, .. } = self.timeouts;
        Parity {
            workers: self.threads.to_string(),
            state: "shared".to_owned(),
            algorithm: self.balance.words(),
            keepalive_to_clients: format!("idle {http_keep_alive}, any number of requests"),
            keepalive_to_backends: self.pool.map_or_else(
                || "off".to_owned(),
                |pool| format!("{} per server, idle {}", pool.size, pool.purge),
            ),
            buffering: "a request that may be retried, in one buffer".to_owned(),
            retries: match self.retries.count {
                0 => "off".to_owned(),
                count => format!("{}; {} tries", write::conditions(&self.retries), count + 1),
            },
            health_checks: parity::health_checks(check.as_ref()),
            time_outs: parity::time_outs(connect, server),
            access_log: if self.logs { "every request" } else { "off" }.to_owned(),
            view_of_servers: "state and requests in flight, each second".to_owned(),
        }
    }
}
