//! A proxy in front of some peers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lab::policy::{
    Algorithm, PeerConfig, QueueConfig, ResilienceConfig, RetryConfig, UpstreamConfig,
};
use lab::proxy::{Proxy, ProxyConfig};
use lab::scenario::{BalancerFacts, EdgeFacts, Engine, StateSharing};
use lab::units::Span;

use super::client::Wire;
use super::peer::Peer;

/// Peers are called a, b, c, …, in the order of their addresses; everything else is NGINX's
/// default, with time-outs that suit a test.
pub(crate) fn config(addresses: &[SocketAddr]) -> ProxyConfig {
    let peers = (b'a'..).zip(addresses);
    let peers = peers.map(|(letter, _)| PeerConfig::new(char::from(letter).to_string())).collect();
    let balancer = BalancerFacts {
        engine: Engine::Own,
        instances: 1,
        hash_key: None,
        workers: 1,
        state: StateSharing::Shared,
        upstream: UpstreamConfig {
            algorithm: Algorithm::RoundRobin,
            peers,
            retry: RetryConfig::default(),
            health: None,
            queue: QueueConfig::default(),
            resilience: ResilienceConfig::default(),
            rules: lab::policy::Rules::default(),
        },
        connect_timeout: Span::from_millis(1000),
        read_timeout: Span::from_millis(5000),
        keepalive: 0,
        keepalive_timeout: Span::from_secs(60),
        edge: EdgeFacts::default(),
    };
    let mut config = ProxyConfig::new(balancer, addresses.to_vec());
    config.balancer.edge.drain_timeout = Span::from_secs(5);
    config
}

/// A proxy in front of `peers` after `change`.
pub(crate) fn proxy(peers: &[&Peer], change: impl FnOnce(&mut ProxyConfig)) -> Proxy {
    let addresses: Vec<SocketAddr> = peers.iter().map(|peer| peer.address).collect();
    proxy_at(&addresses, change)
}

pub(crate) fn proxy_at(addresses: &[SocketAddr], change: impl FnOnce(&mut ProxyConfig)) -> Proxy {
    let mut config = config(addresses);
    change(&mut config);
    Proxy::start(&config).expect("a proxy")
}

/// A client of it.
pub(crate) fn client(proxy: &Proxy) -> Wire {
    Wire::connect(proxy.address())
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    #[expect(clippy::disallowed_methods, reason = "a test's own patience")]
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What went wrong with each of `cases`, by `name`, sent at once and in small pieces.
pub(crate) fn wrong_either_way<C>(
    cases: &[C],
    name: impl Fn(&C) -> &str,
    run: impl Fn(&C, bool) -> Result<(), String>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for case in cases {
        for pieces in [false, true] {
            if let Err(what) = run(case, pieces) {
                let how = if pieces { "in pieces" } else { "at once" };
                wrong.push(format!("{} ({how}): {what}", name(case)));
            }
        }
    }
    wrong
}
