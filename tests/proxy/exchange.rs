//! What passes between client and peer beside a request and its response: interim responses,
//! expectations, trailer sections, bodies that go both ways at once.

use std::net::TcpListener;
use std::thread::{self, JoinHandle};

use lab::policy::RetryConditions;
use lab::units::{Bytes, Span};

use super::client::{Message, Wire};
use super::peer::{Answer, Peer};
use super::setup::{client, eventually, proxy, proxy_at};

/// A peer that does with its only connection what `act` does.
fn acting<T: Send + 'static>(
    act: impl FnOnce(&mut Wire) -> T + Send + 'static,
) -> (std::net::SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("an option");
        act(&mut Wire::new(stream))
    });
    (address, thread)
}

fn send(wire: &mut Wire, text: &str) {
    wire.write_all(text.as_bytes()).expect("sent");
}

#[test]
fn a_client_that_expects_100_is_told_by_the_peer() {
    let (address, peer) = acting(|wire| {
        let head = wire.request_head();
        send(wire, "HTTP/1.1 100 Continue\r\n\r\n");
        let body = wire.read_exact(3);
        send(wire, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        (head, body)
    });
    let proxy = proxy_at(&[address], |_| {});
    let mut client = client(&proxy);
    send(
        &mut client,
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    assert_eq!(client.response(true).status(), 100);
    send(&mut client, "abc");
    assert_eq!(client.response(false).text(), "ok");
    let (head, body) = peer.join().expect("no panic");
    assert_eq!(head.field("expect"), Some("100-continue"));
    assert_eq!(body, b"abc");
    assert_eq!(client.try_get_status(&proxy), 0, "the peer is gone, the connection was kept");
}

/// The body that was never sent must not be waited for, nor taken for a request.
#[test]
fn a_peer_may_refuse_a_body_before_it_is_sent() {
    let peer = acting(|wire| {
        drop(wire.request_head());
        send(wire, "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno");
        wire.closed()
    });
    let proxy = proxy_at(&[peer.0], |config| config.balancer.keepalive = 4);
    let mut client = client(&proxy);
    send(
        &mut client,
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    );
    let response = client.response(false);
    assert_eq!((response.status(), response.field("connection")), (417, Some("close")));
    assert!(client.closed());
    assert!(peer.1.join().expect("no panic"), "a connection that waits for a body is not kept");
}

#[test]
fn early_hints_reach_a_client_of_http_1_1_and_no_other() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n";
    let bytes = [hints, hints, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"].concat();
    let peer = Peer::always("a", Answer::Raw(bytes.into()));
    let proxy = proxy(&[&peer], |_| {});
    let mut new = client(&proxy);
    send(&mut new, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
    for _ in 0..2 {
        let hints = new.response(true);
        assert_eq!((hints.status(), hints.field("link")), (103, Some("</a>")));
        assert_eq!(hints.field("x-hop"), None);
    }
    assert_eq!(new.response(false).text(), "ok");
    let response = client(&proxy).ask("GET / HTTP/1.0\r\n\r\n");
    assert_eq!((response.status(), response.text().as_str()), (200, "ok"));
}

#[test]
fn trailer_sections_pass_both_ways_without_what_may_not_stand_there() {
    let (address, peer) = acting(|wire| {
        drop(wire.request_head());
        let body = wire.read_until("\r\n\r\n");
        send(wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Sum\r\n\r\n");
        send(wire, "5;x=y\r\nhello\r\n0\r\nSum: 5\r\nContent-Length: 9\r\n\r\n");
        body
    });
    let proxy = proxy_at(&[address], |_| {});
    let mut client = client(&proxy);
    send(
        &mut client,
        "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
         3\r\nabc\r\n0\r\nCheck: 1\r\nHost: evil\r\n\r\n",
    );
    let head = client.response(true);
    assert_eq!((head.status(), head.field("trailer")), (200, Some("Sum")));
    assert_eq!(client.read_until("\r\n\r\n"), "5\r\nhello\r\n0\r\nSum: 5\r\n\r\n");
    assert_eq!(peer.join().expect("no panic"), "3\r\nabc\r\n0\r\nCheck: 1\r\n\r\n");
}

#[test]
fn both_bodies_flow_at_the_same_time() {
    let (address, peer) = acting(|wire| {
        drop(wire.request_head());
        send(wire, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..20 {
            let chunk = wire.read_until("\r\n") + &wire.read_until("\r\n");
            send(wire, &chunk);
        }
        assert_eq!(wire.read_until("\r\n\r\n"), "0\r\n\r\n");
        send(wire, "0\r\n\r\n");
    });
    let proxy = proxy_at(&[address], |_| {});
    let mut client = client(&proxy);
    send(&mut client, "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_eq!(client.response(true).status(), 200, "before the body has ended");
    for n in 10..30 {
        let chunk = format!("2\r\n{n}\r\n");
        send(&mut client, &chunk);
        assert_eq!(client.read_until("\r\n") + &client.read_until("\r\n"), chunk);
    }
    send(&mut client, "0\r\n\r\n");
    assert_eq!(client.read_until("\r\n\r\n"), "0\r\n\r\n");
    peer.join().expect("no panic");
}

fn chunked(method: &str, body: &str) -> String {
    format!(
        "{method} / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    )
}

#[test]
fn a_small_streamed_body_is_sent_again_and_a_large_one_is_not() {
    for (length, status) in [(1000, 200), (70_000, 502)] {
        let (bad, good) = (Peer::always("a", Answer::Close), Peer::good("b"));
        let proxy = proxy(&[&bad, &good], |_| {});
        let body = "z".repeat(length);
        assert_eq!(client(&proxy).ask(&chunked("PUT", &body)).status(), status, "{length}");
        assert_eq!(bad.only().body.len(), length);
        if status == 200 {
            assert_eq!(good.only().text(), body);
        } else {
            assert!(good.seen().is_empty(), "half a body is worse than none");
        }
    }
}

/// `non_idempotent` allows to send a POST twice, and cannot bring a body back that is gone.
#[test]
fn non_idempotent_repeats_only_what_was_kept() {
    for (length, status) in [(1000, 200), (70_000, 502)] {
        let (bad, good) = (Peer::always("a", Answer::Close), Peer::good("b"));
        let proxy = proxy(&[&bad, &good], |config| {
            let on = &mut config.balancer.upstream.retry.on;
            *on = RetryConditions { non_idempotent: true, ..on.clone() };
        });
        let response = client(&proxy).ask(&chunked("POST", &"z".repeat(length)));
        assert_eq!(response.status(), status, "{length}");
        assert_eq!(good.seen().len(), usize::from(status == 200));
    }
}

#[test]
fn a_body_beyond_the_limit_is_refused_at_once_or_where_it_gets_there() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        config.balancer.edge.client.body_max = Some(Bytes(1000));
    });
    let mut told = client(&proxy);
    send(&mut told, "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 1001\r\n\r\n");
    let response = told.response(false);
    assert_eq!((response.status(), response.field("connection")), (413, Some("close")));
    assert!(peer.seen().is_empty());
    let response = client(&proxy).ask(&chunked("POST", &"z".repeat(1001)));
    assert_eq!((response.status(), response.field("connection")), (413, Some("close")));
    assert!(peer.seen().is_empty(), "it never came whole");
    assert_eq!(client(&proxy).ask(&chunked("POST", &"z".repeat(1000))).status(), 200);
}

#[test]
fn a_body_that_stops_coming_is_a_408_and_no_fault_of_the_peer() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        config.balancer.edge.client.body_timeout = Span::from_millis(100);
    });
    for framing in ["Content-Length: 10", "Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut client = client(&proxy);
        send(&mut client, &format!("PUT / HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n"));
        let response = client.response(false);
        assert_eq!((response.status(), response.field("connection")), (408, Some("close")));
    }
    assert_eq!(client(&proxy).get().status(), 200);
}

#[test]
fn a_malformed_body_is_a_400_and_the_peer_sees_it_break_off() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |_| {});
    for body in ["x\r\n", "3\r\nabcd\r\n", "3 \r\nabc\r\n0\r\n\r\n", "3\nabc\r\n0\r\n\r\n"] {
        let text = format!("PUT / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let response = client(&proxy).ask(&text);
        assert_eq!((response.status(), response.field("connection")), (400, Some("close")));
    }
    assert!(peer.seen().is_empty());
    assert_eq!(client(&proxy).get().status(), 200, "no fault of the peer");
}

#[test]
fn heads_and_idle_clients_have_their_time() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        config.balancer.edge.client.header_timeout = Span::from_millis(100);
        config.balancer.edge.client.idle_timeout = Span::from_millis(300);
    });
    let mut slow = client(&proxy);
    send(&mut slow, "GET / HTTP/1.1\r\nHost: t");
    assert_eq!(slow.response(false).status(), 408);
    assert!(slow.closed());
    let mut idle = client(&proxy);
    assert_eq!(idle.get().status(), 200);
    assert!(idle.closed(), "without a word");
}

#[test]
fn a_whole_request_has_its_time_too() {
    let peer = Peer::always("a", Answer::Hang);
    let proxy = proxy(&[&peer], |config| {
        config.balancer.edge.client.request_timeout = Some(Span::from_millis(100));
    });
    let response = client(&proxy).get();
    assert_eq!((response.status(), response.text().as_str()), (504, "the request took too long\n"));
    peer.now(Answer::Status(200));
    assert_eq!(client(&proxy).get().status(), 200, "it says nothing about the peer");
}

#[test]
fn a_connection_carries_as_many_requests_as_it_may() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        config.balancer.edge.client.requests_per_connection = 2;
    });
    let mut client = client(&proxy);
    assert_eq!(client.get().field("connection"), None);
    assert_eq!(client.get().field("connection"), Some("close"));
    assert!(client.closed());
}

#[test]
fn http_1_0_keeps_its_connection_if_it_asks_and_the_length_is_known() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |_| {});
    let mut client = client(&proxy);
    for _ in 0..2 {
        let response = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(response.field("connection"), Some("keep-alive"));
        assert_eq!(response.text(), "a");
    }
}

/// Where only the end of the connection tells the end, a break must not look like one.
#[test]
fn a_response_that_breaks_off_is_a_reset_where_an_end_would_be_believed() {
    let cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel".to_vec();
    let peer = Peer::always("a", Answer::RawThenClose(cut));
    let proxy = proxy(&[&peer], |_| {});
    let mut client = client(&proxy);
    send(&mut client, "GET / HTTP/1.0\r\n\r\n");
    assert!(client.try_response(false).is_err(), "an error, and no short body");
}

#[test]
fn malformed_chunks_of_a_peer_never_reach_the_client() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    for rest in ["zz\r\nsecret\r\n0\r\n\r\n", "6\r\nsecretX\r\n", "0\r\nbad name: 1\r\n\r\n"] {
        let peer = Peer::always("a", Answer::Raw([head, rest].concat().into()));
        let proxy = proxy(&[&peer], |config| config.balancer.keepalive = 4);
        let mut client = client(&proxy);
        send(&mut client, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        assert_eq!(client.response(true).status(), 200);
        assert!(!client.read_to_end().ends_with("0\r\n\r\n"), "{rest:?} was taken for an end");
        eventually("its connection is not kept", || peer.left() == 1);
    }
}

#[test]
fn bytes_behind_a_response_spoil_its_connection() {
    let two = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n";
    let peer = Peer::always("a", Answer::Raw(two.into()));
    let proxy = proxy(&[&peer], |config| config.balancer.keepalive = 4);
    let mut client = client(&proxy);
    (0..2).for_each(|_| assert_eq!(client.get().text(), "ok"));
    assert_eq!(peer.seen().iter().map(|seen| seen.connection).collect::<Vec<_>>(), [1, 2]);
}

impl Wire {
    fn request_head(&mut self) -> Message {
        self.head().expect("readable").expect("a head")
    }

    fn read_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(char::from(self.read_exact(1)[0]));
        }
        text
    }

    /// Everything up to the end or the reset of the connection.
    fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = std::io::Read::read_to_end(self.reader(), &mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Status of a GET, 0 without one; the proxy may have to report a failed peer.
    fn try_get_status(&mut self, _: &lab::proxy::Proxy) -> u16 {
        send(self, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
        let response = self.response(false);
        if response.status() == 502 { 0 } else { response.status() }
    }
}
