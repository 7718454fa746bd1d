//! The next upstream: when it is tried, and what the client sees when it is not.

use std::time::Duration;

use lab::units::Span;

use super::peer::{Answer, Peer, nobody};
use super::setup::{client, proxy, proxy_at};

const POST: &str = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody";

#[test]
fn a_refused_connection_goes_on_to_the_next_peer_even_for_a_post() {
    let good = Peer::good("b");
    let proxy = proxy_at(&[nobody(), good.address], |_| {});
    let response = client(&proxy).ask(POST);
    assert_eq!((response.status(), response.text().as_str()), (200, "b"));
    assert_eq!(good.only().text(), "body");
}

#[test]
fn a_close_before_the_head_goes_on_but_not_for_a_post() {
    let (bad, good) = (Peer::always("a", Answer::Close), Peer::good("b"));
    let get_proxy = proxy(&[&bad, &good], |_| {});
    assert_eq!(client(&get_proxy).get().text(), "b");
    let post_proxy = proxy(&[&bad, &good], |_| {});
    let response = client(&post_proxy).ask(POST);
    assert_eq!((response.status(), response.text().as_str()), (502, "the upstream failed\n"));
    assert_eq!((bad.seen().len(), good.seen().len()), (2, 1));
}

#[test]
fn the_next_peer_gets_the_same_request() {
    let (bad, good) = (Peer::always("a", Answer::Close), Peer::good("b"));
    let proxy = proxy(&[&bad, &good], |_| {});
    let response = client(&proxy)
        .ask("PUT /x?y HTTP/1.1\r\nHost: t\r\nX-Mine: 1\r\nContent-Length: 4\r\n\r\nbody");
    assert_eq!(response.text(), "b");
    let (first, second) = (bad.only(), good.only());
    assert_eq!(first.start, second.start);
    assert_eq!(first.fields, second.fields);
    assert_eq!(second.text(), "body");
}

#[test]
fn a_listed_status_goes_on_and_the_last_one_is_shown() {
    let (a, b) = (Peer::always("a", Answer::Status(503)), Peer::good("b"));
    let proxy = proxy(&[&a, &b], |config| {
        config.balancer.upstream.retry.on.statuses = vec![503];
    });
    let mut client = client(&proxy);
    assert_eq!(client.get().text(), "b");
    b.now(Answer::Status(503));
    let response = client.get();
    assert_eq!((response.status(), response.text().as_str()), (502, "no live upstream\n"));
}

#[test]
fn a_status_that_is_not_listed_is_passed_on() {
    let (a, b) = (Peer::always("a", Answer::Status(503)), Peer::good("b"));
    let proxy = proxy(&[&a, &b], |_| {});
    let response = client(&proxy).get();
    assert_eq!((response.status(), response.text().as_str()), (503, "a"));
}

#[test]
fn a_silent_peer_times_out_and_the_next_one_answers() {
    let (a, b) = (Peer::always("a", Answer::Hang), Peer::good("b"));
    let proxy = proxy(&[&a, &b], |config| {
        config.balancer.read_timeout = Span::from_millis(150);
    });
    let mut client = client(&proxy);
    assert_eq!(client.get().text(), "b");
    b.now(Answer::Hang);
    let response = client.get();
    assert_eq!(
        (response.status(), response.text().as_str()),
        (502, "no live upstream\n"),
        "a is still out, so nobody is left"
    );
}

#[test]
fn the_last_silent_peer_gives_504() {
    let peer = Peer::always("a", Answer::Hang);
    let proxy = proxy(&[&peer], |config| {
        config.balancer.read_timeout = Span::from_millis(100);
    });
    let response = client(&proxy).get();
    assert_eq!(response.status(), 504);
    assert_eq!(response.text(), "the upstream did not answer in time\n");
}

#[test]
fn a_slow_peer_within_the_time_out_is_waited_for() {
    let peer = Peer::always("a", Answer::Slow(Duration::from_millis(150)));
    let proxy = proxy(&[&peer], |config| {
        config.balancer.read_timeout = Span::from_millis(1500);
    });
    assert_eq!(client(&proxy).get().text(), "a");
}

/// Nothing of a malformed head reaches the client, not even as HTTP/0.9.
#[test]
fn a_malformed_head_is_a_502() {
    for bytes in [
        "HTTP/1.1 200 OK\r\nX-Bad: a\0b\r\n\r\nsecret",
        "secret without any head\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\nsecret",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nsecret",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nsecret",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nsecret",
    ] {
        let peer = Peer::always("a", Answer::RawThenClose(bytes.into()));
        let proxy = proxy(&[&peer], |_| {});
        let response = client(&proxy).get();
        assert_eq!(response.status(), 502, "for {bytes:?}");
        assert!(!response.text().contains("secret"), "for {bytes:?}");
    }
}

#[test]
fn a_head_that_never_ends_is_a_502() {
    let mut head = b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec();
    head.resize(1 << 20, b'a');
    let peer = Peer::always("a", Answer::RawThenClose(head));
    let proxy = proxy(&[&peer], |_| {});
    assert_eq!(client(&proxy).get().status(), 502);
}

#[test]
fn informational_heads_are_not_taken_for_the_response() {
    let bytes = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let peer = Peer::always("a", Answer::Raw(bytes.into()));
    let proxy = proxy(&[&peer], |_| {});
    let mut client = client(&proxy);
    client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
    let hints = client.response(true);
    assert_eq!((hints.status(), hints.field("link")), (103, Some("</x>")));
    let response = client.response(false);
    assert_eq!((response.status(), response.text().as_str()), (200, "ok"));
}

/// A body over 64 KiB is not held, so it cannot be sent twice.
#[test]
fn a_large_body_is_retried_only_while_none_of_it_was_sent() {
    let body = "x".repeat(100_000);
    let put = format!("PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let good = Peer::good("b");
    let proxy_refused = proxy_at(&[nobody(), good.address], |_| {});
    assert_eq!(client(&proxy_refused).ask(&put).text(), "b");
    assert_eq!(good.only().body.len(), body.len());
    let closing = Peer::always("a", Answer::Close);
    let proxy_closing = proxy(&[&closing, &good], |_| {});
    assert_eq!(client(&proxy_closing).ask(&put).status(), 502);
    assert_eq!(good.seen().len(), 1);
}
