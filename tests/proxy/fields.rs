//! Header fields on the wire.

use lab::scenario::edge::Network;

use super::peer::{Answer, Peer};
use super::setup::{client, proxy};

#[test]
fn the_peer_learns_who_the_client_is_and_not_who_it_claims_to_be() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        config.balancer.edge.forward.forwarded = true;
        config.balancer.edge.forward.via = true;
    });
    let response = client(&proxy).ask(
        "GET / HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 10.1.2.3\r\nX-Real-IP: 6.6.6.6\r\n\
         Connection: X-Real-IP\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n\
         Forwarded: for=6.6.6.6\r\ntraceparent: 00-1-2-01\r\nVia: 1.1 other\r\n\r\n",
    );
    assert_eq!(response.field("via"), Some("1.1 lab"));
    let seen = peer.only();
    for (name, value) in [
        ("x-real-ip", "127.0.0.1"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "shop"),
        ("forwarded", "for=127.0.0.1;host=\"shop\";proto=http"),
        ("traceparent", "00-1-2-01"),
    ] {
        assert_eq!(seen.field(name), Some(value), "{name}");
    }
    assert_eq!(seen.all("via"), ["1.1 other", "1.1 lab"]);
}

#[test]
fn the_peer_learns_who_the_client_is_of_a_trusted_proxy() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        let address = "127.0.0.0".parse().expect("an address");
        config.balancer.edge.forward.trusted = vec![Network { address, prefix: 8 }];
    });
    let response = client(&proxy).ask(
        "GET /path?q=1 HTTP/1.1\r\nHost: shop\r\nX-Forwarded-For: 10.1.2.3\r\nX-Real-IP: 6.6.6.6\r\n\r\n",
    );
    assert_eq!((response.status(), response.text().as_str()), (200, "a"));
    let seen = peer.only();
    assert_eq!(seen.start, "GET /path?q=1 HTTP/1.1");
    assert_eq!(seen.field("host"), Some("shop"));
    assert_eq!(seen.field("x-real-ip"), Some("6.6.6.6"), "it is believed");
    assert_eq!(seen.field("x-forwarded-for"), Some("10.1.2.3, 127.0.0.1"));
    assert_eq!(seen.field("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.field("x-lab-attempt"), None);
    assert_eq!(response.field("x-lab-attempts"), None);
}

#[test]
fn fields_of_one_hop_are_removed_both_ways() {
    let head = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=9\r\n\
                X-Stays: 2\r\nContent-Length: 2\r\n\r\nok";
    let peer = Peer::always("a", Answer::Raw(head.into()));
    let proxy = proxy(&[&peer], |_| {});
    let response = client(&proxy).ask(
        "GET / HTTP/1.1\r\nHost: t\r\nConnection: x-private\r\nX-Private: 1\r\nTE: trailers\r\n\
         Upgrade: h2c\r\nX-Public: 2\r\n\r\n",
    );
    let seen = peer.only();
    for gone in ["x-private", "te", "upgrade", "connection", "keep-alive"] {
        assert_eq!(seen.field(gone), None, "{gone} reached the peer");
    }
    assert_eq!(seen.field("x-public"), Some("2"));
    for gone in ["x-hop", "keep-alive", "connection"] {
        assert_eq!(response.field(gone), None, "{gone} reached the client");
    }
    assert_eq!(response.field("x-stays"), Some("2"));
}

#[test]
fn a_client_of_http_1_0_is_served_and_its_connection_closed() {
    let peer = Peer::always("a", Answer::EchoChunked);
    let proxy = proxy(&[&peer], |_| {});
    let mut client = client(&proxy);
    let response = client.ask("POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nabcde");
    assert_eq!((response.status(), response.text().as_str()), (200, "abcde"));
    assert_eq!(response.field("transfer-encoding"), None, "1.0 knows no chunks");
    assert!(client.closed());
    assert_eq!(peer.only().field("host"), Some(proxy.address().to_string().as_str()));
}

#[test]
fn lab_requests_are_told_their_attempts() {
    let (bad, good) = (Peer::always("bad", Answer::Close), Peer::good("good"));
    let proxy = proxy(&[&bad, &good], |_| {});
    let mut client = client(&proxy);
    let response = client.ask("GET / HTTP/1.1\r\nHost: t\r\nX-Lab-Id: 17\r\n\r\n");
    assert_eq!(response.field("x-lab-attempts"), Some("2"));
    assert_eq!(response.field("x-lab-upstream"), Some("b"));
    assert_eq!(bad.only().field("x-lab-attempt"), Some("1"));
    assert_eq!(good.only().field("x-lab-attempt"), Some("2"));
    assert_eq!(good.only().field("x-lab-id"), Some("17"));
    good.now(Answer::Close);
    let response = client.ask("GET / HTTP/1.1\r\nHost: t\r\nX-Lab-Id: 18\r\n\r\n");
    assert_eq!((response.status(), response.field("x-lab-attempts")), (502, Some("1")));
    assert_eq!(response.field("x-lab-upstream"), Some("b"));
}

#[test]
fn a_request_of_two_lengths_is_not_smuggled() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |_| {});
    let mut client = client(&proxy);
    let response = client.ask(
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\n\r\n",
    );
    // Refusing it would be right too; passing both lengths on would not.
    if response.status() == 200 {
        let seen = peer.only();
        assert_eq!(seen.text(), "abc");
        assert!(seen.field("content-length").is_none_or(|length| length == "3"));
    } else {
        assert_eq!(response.status(), 400);
        assert!(peer.seen().is_empty());
    }
}
