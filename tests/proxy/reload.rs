//! A running proxy gets another configuration; nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lab::policy::{Algorithm, PeerConfig};
use lab::proxy::{Proxy, ProxyError, Reload};
use lab::scenario::StateSharing;
use lab::scenario::edge::{Listener, ListenerTls};

use super::admin::order;
use super::client::Wire;
use super::peer::{Answer, Peer};
use super::setup::{client, config, eventually};

/// Clients that ask without a pause until told to stop: one keeps its connection as long as it may,
/// one connects for each request.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<thread::JoinHandle<(usize, Vec<String>)>>,
}

impl Load {
    pub(crate) fn start(address: std::net::SocketAddr, count: usize) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let run = |number: usize| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || ask(address, number.is_multiple_of(2), &stop))
        };
        Self { clients: (0..count).map(run).collect(), stop }
    }

    /// How many requests were answered with 200, and what went wrong with others.
    pub(crate) fn end(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.clients.into_iter().map(|client| client.join().expect("no panic"));
        ended.fold((0, Vec::new()), |(count, mut wrong), (more, others)| {
            wrong.extend(others);
            (count + more, wrong)
        })
    }
}

fn ask(address: std::net::SocketAddr, keep: bool, stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut good, mut wrong) = (0, Vec::new());
    let mut kept: Option<Wire> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut wire = kept.take().unwrap_or_else(|| Wire::connect(address));
        let sent = wire.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        match sent.and_then(|()| wire.try_response(false)) {
            Ok(response) if response.status() == 200 => {
                good += 1;
                let closes = response.field("connection") == Some("close");
                kept = (keep && !closes).then_some(wire);
            }
            Ok(response) => wrong.push(response.start),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    (good, wrong)
}

#[test]
fn fifteen_reloads_under_load_lose_no_request() {
    let peers = [Peer::good("a"), Peer::good("b"), Peer::good("c")];
    let addresses = peers.each_ref().map(|peer| peer.address);
    let mut configuration = config(&addresses[..2]);
    configuration.balancer.workers = 2;
    configuration.balancer.keepalive = 8;
    let proxy = Proxy::start(&configuration).expect("a proxy");
    let load = Load::start(proxy.address(), 6);
    for round in 0..15 {
        thread::sleep(Duration::from_millis(60));
        let upstream = &mut configuration.balancer.upstream;
        match round % 5 {
            0 => upstream.peers[0].weight += 1,
            1 => configuration.balancer.workers = 1 + round as u32 % 3,
            2 => {
                upstream.algorithm = match upstream.algorithm {
                    Algorithm::RoundRobin => Algorithm::LeastConn,
                    _ => Algorithm::RoundRobin,
                };
            }
            3 => {
                upstream.peers.push(PeerConfig::new("c"));
                configuration.addresses.push(addresses[2]);
            }
            _ => {
                upstream.peers.truncate(2);
                configuration.addresses.truncate(2);
            }
        }
        proxy.reload(&configuration).expect("reloaded");
    }
    thread::sleep(Duration::from_millis(60));
    let (good, wrong) = load.end();
    assert!(wrong.is_empty(), "{} of {good} requests failed: {:?}", wrong.len(), wrong.first());
    assert!(good > 300, "only {good} requests");
    assert!(!peers[2].seen().is_empty(), "the third peer was there for a while");
    proxy.stop().expect("stopped");
}

#[test]
fn peers_change_in_place_and_keep_what_they_have_in_flight() {
    let (a, b) = (Peer::always("a", Answer::Slow(Duration::from_millis(400))), Peer::good("b"));
    let mut configuration = config(&[a.address]);
    configuration.admin_at(([127, 0, 0, 1], 0).into());
    let proxy = Proxy::start(&configuration).expect("a proxy");
    let mut busy = client(&proxy);
    busy.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
    eventually("the request arrives", || a.seen().len() == 1);
    configuration.balancer.upstream.peers[0].max_conns = 1;
    configuration.balancer.upstream.peers.push(PeerConfig::new("b"));
    configuration.addresses.push(b.address);
    let done = proxy.reload(&configuration).expect("reloaded");
    assert_eq!(done, Reload { peers: 2, workers: false });
    let shown: serde_json::Value =
        serde_json::from_slice(&order(&proxy, "GET", "/upstreams", "").body).expect("JSON");
    assert_eq!((&shown[0]["in_flight"], &shown[0]["max_conns"]), (&1.into(), &1.into()));
    let mut other = client(&proxy);
    (0..3).for_each(|_| assert_eq!(other.get().text(), "b", "a is at its limit"));
    assert_eq!(busy.response(false).text(), "a");
    assert_eq!(proxy.reload(&configuration).expect("again"), Reload { peers: 0, workers: false });
}

#[test]
fn a_drain_and_a_word_on_health_outlive_new_workers() {
    let (a, b) = (Peer::good("a"), Peer::good("b"));
    let mut configuration = config(&[a.address, b.address]);
    configuration.admin_at(([127, 0, 0, 1], 0).into());
    let proxy = Proxy::start(&configuration).expect("a proxy");
    assert_eq!(order(&proxy, "POST", "/upstreams/a/drain", "").status(), 200);
    // Other views altogether.
    configuration.balancer.upstream.algorithm = Algorithm::LeastConn;
    configuration.balancer.state = StateSharing::PerWorker;
    configuration.balancer.workers = 2;
    assert!(proxy.reload(&configuration).expect("reloaded").workers);
    (0..8).for_each(|_| assert_eq!(client(&proxy).get().text(), "b"));
    let shown: serde_json::Value =
        serde_json::from_slice(&order(&proxy, "GET", "/upstreams/a", "").body).expect("JSON");
    let states: Vec<_> = (0..2).map(|view| shown[view]["state"].clone()).collect();
    assert_eq!(states, ["draining", "draining"]);
}

#[test]
fn an_idle_client_is_told_at_its_next_request_and_a_long_one_ends() {
    let peer = Peer::good("a");
    let mut configuration = config(&[peer.address]);
    let proxy = Proxy::start(&configuration).expect("a proxy");
    let (mut idle, mut busy) = (client(&proxy), client(&proxy));
    assert_eq!(idle.get().status(), 200);
    peer.now(Answer::Slow(Duration::from_millis(500)));
    busy.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
    eventually("the request arrives", || peer.seen().len() == 2);
    peer.now(Answer::Status(200));
    configuration.balancer.workers = 2;
    assert!(proxy.reload(&configuration).expect("reloaded").workers);
    let last = idle.get();
    assert_eq!((last.status(), last.field("connection")), (200, Some("close")));
    assert!(idle.closed());
    let long = busy.response(false);
    assert_eq!((long.status(), long.field("connection")), (200, Some("close")));
    assert_ne!(client(&proxy).get().field("connection"), Some("close"));
}

#[test]
fn listeners_come_and_go() {
    let peer = Peer::good("a");
    let mut configuration = config(&[peer.address]);
    let any = Listener::http(([127, 0, 0, 1], 0).into());
    configuration.balancer.edge.listeners = vec![any.clone()];
    let proxy = Proxy::start(&configuration).expect("a proxy");
    let first = proxy.address();
    configuration.balancer.edge.listeners = vec![any.clone(), any.clone()];
    proxy.reload(&configuration).expect("reloaded");
    let both = proxy.addresses();
    assert_eq!((both[0], both.len()), (first, 2));
    assert_eq!(Wire::connect(both[1]).get().status(), 200);
    configuration.balancer.edge.listeners = vec![any];
    proxy.reload(&configuration).expect("reloaded");
    eventually("nobody listens there", || std::net::TcpStream::connect(both[1]).is_err());
    assert_eq!(Wire::connect(first).get().status(), 200);
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let peer = Peer::good("a");
    let mut configuration = config(&[peer.address]);
    configuration.admin_at(([127, 0, 0, 1], 0).into());
    let proxy = Proxy::start(&configuration).expect("a proxy");
    let mut kept = client(&proxy);
    assert_eq!(kept.get().status(), 200);
    let hash = |proxy: &Proxy| {
        let body = order(proxy, "GET", "/config", "").body;
        let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        (value["hash"].clone(), value["last_error"].clone())
    };
    let before = hash(&proxy);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("an address");
    let mut wrong = configuration.clone();
    wrong.balancer.edge.listeners = vec![Listener::http(at)];
    assert!(matches!(proxy.reload(&wrong), Err(ProxyError::Bind { .. })));
    let mut wrong = configuration.clone();
    let tls = ListenerTls { certificate: "/no/such.pem".into(), key: "/no/such.key".into() };
    wrong.balancer.edge.listeners =
        vec![Listener { tls: vec![tls], ..Listener::http(configuration.listen) }];
    assert!(matches!(proxy.reload(&wrong), Err(ProxyError::Tls(_))));
    wrong = configuration.clone();
    wrong.addresses.clear();
    assert!(matches!(proxy.reload(&wrong), Err(ProxyError::Addresses { .. })));
    let after = hash(&proxy);
    assert_eq!(after.0, before.0);
    assert!(after.1.as_str().is_some_and(|why| why.contains("addresses")), "{after:?}");
    let response = kept.get();
    assert_eq!((response.status(), response.field("connection")), (200, None));
    let metrics = order(&proxy, "GET", "/metrics", "").text();
    assert!(metrics.contains("lab_proxy_config_reloads_total{result=\"failure\"} 3"), "{metrics}");
    assert!(metrics.contains("lab_proxy_config_last_reload_successful 0"), "{metrics}");
}
