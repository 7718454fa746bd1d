//! Connections to peers: kept, reused, given up.

use std::net::SocketAddr;

use lab::units::Span;

use super::peer::{Answer, Peer};
use super::setup::{client, eventually, proxy};

fn connections(peer: &Peer) -> Vec<usize> {
    peer.seen().iter().map(|seen| seen.connection).collect()
}

#[test]
fn a_connection_serves_request_after_request() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| config.balancer.keepalive = 4);
    // Also across clients.
    for _ in 0..2 {
        let mut client = client(&proxy);
        (0..3).for_each(|_| assert_eq!(client.get().status(), 200));
    }
    assert_eq!(connections(&peer), [1; 6]);
}

#[test]
fn without_keepalive_each_request_has_its_own() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |_| {});
    let mut client = client(&proxy);
    (0..3).for_each(|_| assert_eq!(client.get().status(), 200));
    assert_eq!(connections(&peer), [1, 2, 3]);
}

#[test]
fn a_peer_that_says_close_is_believed() {
    let bytes = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec();
    let peer = Peer::always("a", Answer::Raw(bytes));
    let proxy = proxy(&[&peer], |config| config.balancer.keepalive = 4);
    let mut client = client(&proxy);
    (0..2).for_each(|_| assert_eq!(client.get().status(), 200));
    assert_eq!(connections(&peer), [1, 2]);
}

/// A close while idle is noticed, and even a POST goes out on a new connection without a failure.
#[test]
fn a_close_while_idle_harms_nobody() {
    let peer = Peer::always("a", Answer::RawThenClose(super::peer::plain(200, "a")));
    let other = Peer::good("b");
    let proxy = proxy(&[&peer, &other], |config| config.balancer.keepalive = 4);
    let mut client = client(&proxy);
    for _ in 0..6 {
        let response = client.ask("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody");
        assert_eq!(response.status(), 200);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(connections(&peer), [1, 2, 3]);
    assert_eq!(connections(&other), [1; 3]);
}

/// NGINX gives the try back when a kept connection turns out dead, but marks the peer.
#[test]
fn a_close_at_the_moment_of_reuse_is_retried_elsewhere() {
    let mut count = 0;
    let peer = Peer::scripted("a", move |_| {
        count += 1;
        if count == 1 { Answer::Status(200) } else { Answer::Close }
    });
    let other = Peer::good("b");
    let proxy = proxy(&[&peer, &other], |config| {
        config.balancer.keepalive = 4;
        config.balancer.upstream.retry.tries = 1;
    });
    let mut client = client(&proxy);
    let texts: Vec<String> = (0..3).map(|_| client.get().text()).collect();
    assert_eq!(texts, ["a", "b", "b"]);
    assert_eq!(connections(&peer), [1, 1]);
}

#[test]
fn an_idle_connection_is_closed_after_its_time() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        config.balancer.keepalive = 4;
        config.balancer.keepalive_timeout = Span::from_millis(100);
    });
    assert_eq!(client(&proxy).get().status(), 200);
    eventually("the idle connection is closed", || peer.left() == 1);
}

/// The recorded cases of NGINX, on the wire.
#[test]
fn connections_are_reused_as_nginx_reuses_them() {
    let text = include_str!("../vectors/nginx_keepalive.json");
    let vectors: serde_json::Value = serde_json::from_str(text).expect("valid vectors");
    let cases = vectors["cases"].as_array().expect("cases");
    let mut replayed = 0;
    for case in cases {
        // The limit of requests per connection is not in the scenario's language; the pool's own
        // test replays that case.
        if case["case"].as_str().is_some_and(|name| name.contains("requests")) {
            continue;
        }
        replay(case);
        replayed += 1;
    }
    assert_eq!(replayed, 5);
}

fn replay(case: &serde_json::Value) {
    let name = case["case"].as_str().expect("a name");
    let gates: Vec<Gated> = case["weights"]
        .as_array()
        .expect("weights")
        .iter()
        .zip('a'..)
        .map(|(_, letter)| Gated::new(letter))
        .collect();
    let peers: Vec<&Peer> = gates.iter().map(|gated| &gated.peer).collect();
    let proxy = proxy(&peers, |config| {
        config.balancer.keepalive = case["keepalive"].as_u64().expect("a number") as u32;
    });
    let mut open = std::collections::BTreeMap::new();
    for op in case["ops"].as_array().expect("operations") {
        let (kind, request) = (op[0].as_str().expect("a kind"), op[1].as_u64().expect("a number"));
        if kind != "finish" {
            let mut client = client(&proxy);
            let text = format!("GET /{request} HTTP/1.1\r\nHost: t\r\n\r\n");
            client.write_all(text.as_bytes()).expect("sent");
            let expected = op[2].as_str().expect("a connection");
            let (address, used) = arrival(&gates, request);
            assert_eq!(used, expected, "{name}: {op}");
            open.insert(request, (client, address));
        }
        if kind != "start" {
            let (mut client, address) = open.remove(&request).expect("an open request");
            let gated = gates.iter().find(|gated| gated.peer.address == address);
            gated.expect("its peer").release(request);
            assert_eq!(client.response(false).status(), 200, "{name}");
            // The connection is back once the client has its response, or closed at the latest by
            // the time the peer has seen that.
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
}

/// Where request number `request` arrived, and on which connection.
fn arrival(gates: &[Gated], request: u64) -> (SocketAddr, String) {
    let mut found = None;
    eventually("the request arrives", || {
        found = gates.iter().find_map(|gated| {
            let start = format!("GET /{request} ");
            let seen = gated.peer.seen();
            let at = seen.iter().find(|seen| seen.message.start.starts_with(&start))?;
            Some((gated.peer.address, format!("{}{}", gated.letter, at.connection)))
        });
        found.is_some()
    });
    found.expect("an arrival")
}

/// A peer whose responses wait to be released.
struct Gated {
    letter: char,
    peer: Peer,
    released: std::sync::Arc<(std::sync::Mutex<Vec<u64>>, std::sync::Condvar)>,
}

impl Gated {
    fn new(letter: char) -> Self {
        let released =
            std::sync::Arc::<(std::sync::Mutex<Vec<u64>>, std::sync::Condvar)>::default();
        let gate = std::sync::Arc::clone(&released);
        let peer = Peer::gated(&letter.to_string(), move |seen| {
            let number = seen.message.start.split(['/', ' ']).nth(2);
            let number: u64 = number.and_then(|word| word.parse().ok()).expect("a number");
            let (numbers, changed) = &*gate;
            let numbers = numbers.lock().expect("not poisoned");
            drop(changed.wait_while(numbers, |numbers| !numbers.contains(&number)));
        });
        Self { letter, peer, released }
    }

    fn release(&self, request: u64) {
        self.released.0.lock().expect("not poisoned").push(request);
        self.released.1.notify_all();
    }
}
