//! Load probes on real connections, and what prequal does with their answers.

use std::time::Duration;

use lab::policy::{Algorithm, PrequalConfig};
use lab::proxy::ProxyConfig;
use lab::units::Span;

use super::peer::{Answer, Peer, plain};
use super::setup::{client, eventually, proxy};

/// By latency alone, with answers that last, so that what happens does not depend on timing.
fn prequal(config: &mut ProxyConfig) {
    config.balancer.upstream.algorithm = Algorithm::Prequal(PrequalConfig {
        q_rif: 1.0,
        reuse: Some(1_000.0),
        remove: 0.0,
        age: Span::from_secs(60),
        timeout: Span::from_secs(5),
        idle: Span::from_millis(10),
        ..PrequalConfig::DEFAULT
    });
}

/// A good peer with `answer` for those who ask for its load.
fn peer(name: &str, answer: Answer) -> Peer {
    Peer::scripted(name, move |seen| {
        if seen.message.start.starts_with("GET /probe ") {
            answer.clone()
        } else {
            Answer::Status(200)
        }
    })
}

fn tells(rif: u32, latency_ms: u64) -> Answer {
    let body = format!("{{\"rif\": {rif}, \"latency_ns\": {}}}", latency_ms * 1_000_000);
    Answer::Raw(plain(200, &body))
}

/// Numbers of the connections on which a peer was asked for its load.
fn probes(peer: &Peer) -> Vec<usize> {
    let seen = peer.seen().into_iter();
    let probes = seen.filter(|seen| seen.message.start.starts_with("GET /probe "));
    probes.map(|seen| seen.connection).collect()
}

#[test]
fn requests_go_where_the_answers_say_and_probes_keep_their_connection() {
    // Each request counts as one more in flight until the next answer, and more than the most that
    // was reported is hot: so many that 20 requests do not get there, however late the answers are.
    let (slow, fast) = (peer("a", tells(99, 50)), peer("b", tells(0, 10)));
    let proxy = proxy(&[&slow, &fast], prequal);
    // The third probe is sent once the answer to the first is in.
    eventually("both answered", || probes(&slow).len() > 2 && probes(&fast).len() > 2);
    let mut client = client(&proxy);
    for _ in 0..20 {
        assert_eq!(client.get().text(), "b");
    }
    for peer in [&slow, &fast] {
        let connections = probes(peer);
        assert!(connections.iter().all(|it| *it == connections[0]), "{connections:?}");
    }
}

#[test]
fn peers_that_tell_no_load_are_served_at_random() {
    let peers = [
        peer("a", Answer::Status(404)),
        peer("b", Answer::Raw(plain(200, "fine"))),
        peer("c", Answer::Close),
    ];
    let proxy = proxy(&[&peers[0], &peers[1], &peers[2]], prequal);
    let mut client = client(&proxy);
    let mut names: Vec<String> = (0..60)
        .map(|_| {
            let response = client.get();
            assert_eq!(response.status(), 200);
            response.text()
        })
        .collect();
    names.sort();
    names.dedup();
    assert_eq!(names, ["a", "b", "c"], "one in 10^10 runs misses a peer");
    eventually("all were asked", || peers.iter().all(|peer| !probes(peer).is_empty()));
}

#[test]
fn a_peer_that_hangs_is_not_buried_in_connections() {
    let (mute, good) = (peer("a", Answer::Hang), peer("b", tells(0, 10)));
    let proxy = proxy(&[&mute, &good], |config| {
        prequal(config);
        if let Algorithm::Prequal(prequal) = &mut config.balancer.upstream.algorithm {
            prequal.timeout = Span::from_millis(10);
        }
    });
    eventually("the other is probed on", || probes(&good).len() > 20);
    std::thread::sleep(Duration::from_millis(100));
    let asked = probes(&mute).len();
    assert!((1..=2).contains(&asked), "one probe, and then a second's patience: {asked}");
    assert_eq!(client(&proxy).get().status(), 200);
}
