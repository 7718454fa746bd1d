//! Upgrades: a tunnel after 101.

use super::peer::{Answer, Peer};
use super::setup::{client, eventually, proxy};

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: t\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\n";

#[test]
fn bytes_flow_both_ways_after_an_upgrade() {
    let peer = Peer::always("a", Answer::Tunnel);
    let proxy = proxy(&[&peer], |config| config.balancer.keepalive = 4);
    let mut client = client(&proxy);
    let response = client.ask(UPGRADE);
    assert_eq!(response.status(), 101);
    assert_eq!(response.field("upgrade"), Some("echo"));
    assert_eq!(response.field("connection").map(str::to_lowercase).as_deref(), Some("upgrade"));
    assert_eq!(peer.only().field("upgrade"), Some("echo"));
    assert_eq!(client.read_exact(5), b"hello", "what the peer sent with its head");
    for length in [1, 1000, 100_000] {
        let bytes: Vec<u8> = (0..length).map(|i| (i % 251) as u8).collect();
        for part in bytes.chunks(4096) {
            client.write_all(part).expect("sent");
            assert_eq!(client.read_exact(part.len()), part);
        }
    }
    client.shut_down();
    eventually("the tunnel has ended", || peer.left() == 0 && peer.seen().len() == 1);
}

#[test]
fn a_refused_upgrade_is_an_ordinary_response() {
    let peer = Peer::always("a", Answer::Status(426));
    let proxy = proxy(&[&peer], |_| {});
    let mut client = client(&proxy);
    let response = client.ask(UPGRADE);
    assert_eq!((response.status(), response.text().as_str()), (426, "a"));
    peer.now(Answer::Status(200));
    assert_eq!(client.get().status(), 200, "the connection goes on");
}

#[test]
fn a_tunnel_counts_as_in_flight_until_it_ends() {
    let (a, b) = (Peer::always("a", Answer::Tunnel), Peer::good("b"));
    let proxy = proxy(&[&a, &b], |config| {
        config.balancer.upstream.peers[0].max_conns = 1;
    });
    let mut tunnel = client(&proxy);
    assert_eq!(tunnel.ask(UPGRADE).status(), 101);
    let mut other = client(&proxy);
    (0..3).for_each(|_| assert_eq!(other.get().text(), "b"));
    tunnel.shut_down();
    a.now(Answer::Status(200));
    eventually("a is free again", || other.get().text() == "a");
}
