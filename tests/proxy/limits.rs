//! Workers and limits of clients.

use lab::scenario::StateSharing;

use super::peer::Peer;
use super::setup::{client, eventually, proxy};

#[test]
fn workers_that_share_the_state_take_turns_together() {
    let peers = [Peer::good("a"), Peer::good("b")];
    let proxy = proxy(&[&peers[0], &peers[1]], |config| config.balancer.workers = 4);
    for _ in 0..40 {
        assert_eq!(client(&proxy).get().status(), 200);
    }
    assert_eq!(peers.each_ref().map(|peer| peer.seen().len()), [20, 20]);
}

/// Each worker begins with the first peer: the mark of workers that share nothing.
#[test]
fn workers_that_share_nothing_count_for_themselves() {
    let peers = [Peer::good("a"), Peer::good("b")];
    let proxy = proxy(&[&peers[0], &peers[1]], |config| {
        config.balancer.workers = 4;
        config.balancer.state = StateSharing::PerWorker;
    });
    let counts = || peers.each_ref().map(|peer| peer.seen().len());
    for _ in 0..40 {
        assert_eq!(client(&proxy).get().status(), 200);
        let [a, b] = counts();
        assert!((b..=b + 4).contains(&a), "{a} {b}");
    }
    let [a, b] = counts();
    assert_eq!(a + b, 40);
}

#[test]
fn a_client_beyond_the_limit_is_told_so_and_let_go() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| config.balancer.edge.client.connections = 2);
    let mut first = client(&proxy);
    let mut second = client(&proxy);
    assert_eq!((first.get().status(), second.get().status()), (200, 200));
    let mut third = client(&proxy);
    let response = third.get();
    assert_eq!(response.status(), 503);
    assert_eq!(response.field("connection"), Some("close"));
    assert!(third.closed());
    assert_eq!(peer.seen().len(), 2);
    drop(first);
    eventually("its place is free", || client(&proxy).get().status() == 200);
    assert_eq!(second.get().status(), 200, "those who are served stay so");
}
