//! Workers and limits of clients.

use lab::scenario::StateSharing;

use super::peer::{Answer, Peer};
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
fn clients_beyond_the_limit_wait_for_a_free_place() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| config.connections = 2);
    let mut first = client(&proxy);
    let mut second = client(&proxy);
    assert_eq!((first.get().status(), second.get().status()), (200, 200));
    let mut third = client(&proxy);
    third.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(peer.seen().len(), 2, "the third is not served yet");
    drop(first);
    assert_eq!(third.response(false).status(), 200);
    peer.now(Answer::Status(200));
    eventually("it was the third", || peer.seen().len() == 3);
}
