//! HTTP/2 with clients and with peers, in every combination with HTTP/1.

use std::io::Read;
use std::net::TcpListener;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use lab::policy::RetryConditions;
use lab::proxy::ProxyConfig;
use lab::scenario::edge::UpstreamProtocol;
use lab::units::Span;

use super::frames::{self, Raw};
use super::h2_client::{ask, ask_with, connect, get, request, run};
use super::h2_peer::{BIG, H2Peer};
use super::peer::{Answer, Peer};
use super::setup::{client, eventually, proxy, proxy_at};

fn speak_h2(config: &mut ProxyConfig) {
    config.balancer.edge.upstream.protocol = UpstreamProtocol::H2;
    config.balancer.keepalive = 8;
}

fn trailers(name: &'static str, value: &'static str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert(name, HeaderValue::from_static(value));
    map
}

#[test]
fn a_stream_becomes_a_request_of_http_1_and_back() {
    let peer = Peer::always(
        "a",
        Answer::Raw(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n\
              Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nhi"
                .to_vec(),
        ),
    );
    let proxy = proxy(&[&peer], |_| {});
    let answer = run(async {
        let send = connect(proxy.address()).await;
        let fields = [("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers"), ("x-a", "b")];
        ask(&send, request("GET", "/path?query", &fields)).await.expect("an answer")
    });
    assert_eq!((answer.status, answer.text().as_str()), (200, "hi"));
    let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1", "b=2"]);
    for hop in ["connection", "x-hop", "keep-alive", "transfer-encoding"] {
        assert!(!answer.headers.contains_key(hop), "{hop}");
    }
    let seen = peer.only();
    assert_eq!(seen.start, "GET /path?query HTTP/1.1");
    assert_eq!(seen.all("host"), ["test"]);
    assert_eq!(seen.all("cookie"), ["a=1; b=2"]);
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.field("x-a"), Some("b"));
    assert_eq!(seen.field("te"), None);
}

#[test]
fn streams_of_one_connection_are_served_at_once_and_not_mixed_up() {
    let peer = Peer::scripted("a", |_| Answer::EchoChunked);
    let proxy = proxy(&[&peer], |config| config.balancer.keepalive = 64);
    run(async {
        let send = connect(proxy.address()).await;
        let asking = (0..100usize).map(|number| {
            let send = send.clone();
            tokio::spawn(async move {
                let body = format!("{number} ").repeat(number * 40);
                let request = request("POST", "/", &[]);
                let answer = ask_with(&send, request, Bytes::from(body.clone()), None).await;
                assert_eq!(answer.expect("an answer").text(), body);
            })
        });
        for asked in asking.collect::<Vec<_>>() {
            asked.await.expect("as it should be");
        }
    });
    assert_eq!(peer.seen().len(), 100);
}

#[test]
fn trailers_of_http_1_reach_a_client_of_http_2() {
    let peer = Peer::always(
        "a",
        Answer::Raw(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n\
              2\r\nhi\r\n0\r\nX-End: yes\r\nContent-Length: 7\r\n\r\n"
                .to_vec(),
        ),
    );
    let proxy = proxy(&[&peer], |_| {});
    let answer = run(async {
        let send = connect(proxy.address()).await;
        ask(&send, get("/")).await.expect("an answer")
    });
    assert_eq!((answer.text().as_str(), answer.trailer("x-end")), ("hi", Some("yes")));
    assert_eq!(answer.trailer("content-length"), None, "what frames does not trail");
}

#[test]
fn trailers_of_http_2_reach_a_peer_of_http_1() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    let reading = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accepted");
        let mut got = Vec::new();
        while !got.ends_with(b"x-end: yes\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("more");
            got.push(byte[0]);
        }
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .expect("sent");
        String::from_utf8(got).expect("text")
    });
    let proxy = proxy_at(&[address], |_| {});
    let answer = run(async {
        let send = connect(proxy.address()).await;
        let end = Some(trailers("x-end", "yes"));
        ask_with(&send, request("POST", "/", &[]), Bytes::from("hello"), end).await
    });
    assert_eq!(answer.expect("an answer").status, 200);
    let got = reading.join().expect("read");
    assert!(got.to_lowercase().contains("transfer-encoding: chunked\r\n"), "{got}");
    assert!(got.ends_with("5\r\nhello\r\n0\r\nx-end: yes\r\n\r\n"), "{got}");
}

#[test]
fn a_request_of_http_1_becomes_a_stream_and_back() {
    let peer = H2Peer::start(100);
    let proxy = proxy_at(&[peer.address], speak_h2);
    let mut client = client(&proxy);
    let response = client.ask(
        "POST /a?b HTTP/1.1\r\nHost: shop:81\r\nConnection: X-Hop, TE\r\nX-Hop: 1\r\nTE: trailers\r\n\
         X-Upper: Case\r\nContent-Length: 5\r\n\r\nhello",
    );
    assert_eq!((response.status(), response.text().as_str()), (200, "hello"));
    assert_eq!(response.field("x-peer"), Some("h2"));
    let seen = peer.only();
    assert_eq!((seen.method.as_str(), seen.uri.as_str()), ("POST", "http://shop:81/a?b"));
    assert_eq!(seen.body, b"hello");
    let field = |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok());
    assert_eq!(field("x-upper"), Some("Case"));
    assert_eq!(field("content-length"), Some("5"));
    assert_eq!(field("te"), Some("trailers"), "the one thing that it may say");
    assert_eq!(field("x-forwarded-for"), Some("127.0.0.1"));
    for hop in ["connection", "x-hop", "host", "transfer-encoding"] {
        assert_eq!(field(hop), None, "{hop}");
    }
}

#[test]
fn trailers_pass_between_a_client_of_http_1_and_a_peer_of_http_2() {
    let peer = H2Peer::start(100);
    let proxy = proxy_at(&[peer.address], speak_h2);
    let mut client = client(&proxy);
    client
        .write_all(
            b"POST /trailers HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
              2\r\nhi\r\n0\r\nX-End: yes\r\n\r\n",
        )
        .expect("sent");
    let expected = "2\r\nhi\r\n0\r\ngrpc-status: 7\r\n\r\n";
    let head = client.head().expect("a head").expect("a head");
    assert_eq!(head.status(), 200);
    let got = String::from_utf8(client.read_exact(expected.len())).expect("text");
    assert_eq!(got, expected);
    let sent = peer.only().trailers.expect("trailers");
    assert_eq!(sent.get("x-end").map(HeaderValue::as_bytes), Some(&b"yes"[..]));
}

#[test]
fn both_sides_speak_http_2_with_trailers_hints_and_heads_that_are_all() {
    let peer = H2Peer::start(100);
    let proxy = proxy_at(&[peer.address], speak_h2);
    run(async {
        let send = connect(proxy.address()).await;
        let end = Some(trailers("x-end", "yes"));
        let asked = request("POST", "/trailers", &[("te", "trailers")]);
        let answer = ask_with(&send, asked, Bytes::from("hi"), end).await.expect("an answer");
        assert_eq!((answer.text().as_str(), answer.trailer("grpc-status")), ("hi", Some("7")));
        let (response, _) = send.clone().send_request(get("/only"), true).expect("sent");
        let response = response.await.expect("a head");
        assert!(response.body().is_end_stream(), "the head ends the stream");
        assert_eq!(response.headers()["grpc-status"], "7");
        let (mut response, _) = send.clone().send_request(get("/hints"), true).expect("sent");
        let hints = std::future::poll_fn(|context| response.poll_informational(context)).await;
        let hints = hints.expect("one").expect("hints");
        assert_eq!(
            (hints.status().as_u16(), &hints.headers()["link"]),
            (103, &"</a.css>".parse().expect("a value"))
        );
        assert_eq!(response.await.expect("the response").status(), 200);
    });
    let seen = peer.log.seen.lock().expect("not poisoned");
    assert_eq!(seen[0].headers.get("te").map(HeaderValue::as_bytes), Some(&b"trailers"[..]));
    assert!(seen[0].trailers.as_ref().is_some_and(|map| map.contains_key("x-end")));
    assert_eq!(peer.log.connections.load(SeqCst), 1, "one connection carries all");
}

#[test]
fn hints_of_http_1_pass_to_http_2() {
    let peer = Peer::always(
        "a",
        Answer::Raw(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n\
              HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
                .to_vec(),
        ),
    );
    let proxy = proxy(&[&peer], |_| {});
    run(async {
        let send = connect(proxy.address()).await;
        let (mut response, _) = send.clone().send_request(get("/"), true).expect("sent");
        let hints = std::future::poll_fn(|context| response.poll_informational(context)).await;
        assert_eq!(hints.expect("one").expect("hints").status(), 103);
        assert_eq!(response.await.expect("the response").status(), 200);
    });
}

#[test]
fn a_peer_gets_no_more_streams_at_once_than_it_allows() {
    let peer = H2Peer::start(3);
    let proxy = proxy_at(&[peer.address], speak_h2);
    run(async {
        let send = connect(proxy.address()).await;
        ask(&send, get("/first")).await.expect("so that the limit is known");
        let asking = (0..30).map(|_| {
            let send = send.clone();
            tokio::spawn(async move { ask(&send, get("/slow")).await.expect("an answer").status })
        });
        for asked in asking.collect::<Vec<_>>() {
            assert_eq!(asked.await.expect("no panic"), 200);
        }
    });
    let seen = peer.log.seen.lock().expect("not poisoned");
    let connections = seen.iter().map(|seen| seen.connection).max();
    assert!(connections.is_some_and(|most| (2..=16).contains(&most)), "{connections:?}");
}

#[test]
fn a_cancelled_stream_is_cancelled_at_its_peer_and_the_others_go_on() {
    let peer = H2Peer::start(100);
    let proxy = proxy_at(&[peer.address], speak_h2);
    run(async {
        let send = connect(proxy.address()).await;
        let (response, mut stream) =
            send.clone().send_request(request("POST", "/never", &[]), false).expect("sent");
        stream.send_data(Bytes::from("a"), false).expect("sent");
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(peer.log.active.load(SeqCst), 1);
        stream.send_reset(h2::Reason::CANCEL);
        drop(response);
        ask(&send, get("/")).await.expect("an answer");
    });
    eventually("the peer hears of it", || peer.log.cancelled.load(SeqCst) == 1);
    assert_eq!(peer.log.connections.load(SeqCst), 1);
}

/// A peer that says GOAWAY, or REFUSED_STREAM, to the first request of each of its first two
/// connections, and answers the next.
fn refusing_peer(refusal: impl Fn(u32) -> Vec<u8> + Send + 'static) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut refused = 0;
        for stream in listener.incoming() {
            let mut raw = Raw(stream.expect("accepted"));
            let mut preface = [0; 24];
            raw.0.read_exact(&mut preface).expect("a preface");
            raw.send(&frames::frame(frames::SETTINGS, 0, 0, &[])).expect("sent");
            while let Ok(asked) = raw.until(|frame| frame.kind == frames::HEADERS) {
                if refused < 2 {
                    refused += 1;
                    raw.send(&refusal(asked.stream)).expect("sent");
                } else {
                    let flags = frames::END_STREAM | frames::END_HEADERS;
                    let head = frames::frame(frames::HEADERS, flags, asked.stream, &[0x88]);
                    raw.send(&head).expect("sent");
                }
            }
        }
    });
    address
}

/// What a peer has not begun to process is sent again, even a POST, and is nobody's failure.
#[test]
fn what_was_not_processed_is_sent_again() {
    let go_away = |_| frames::frame(frames::GOAWAY, 0, 0, &[0; 8]);
    let refused = |stream| frames::frame(frames::RST_STREAM, 0, stream, &7u32.to_be_bytes());
    for address in [refusing_peer(go_away), refusing_peer(refused)] {
        let proxy = proxy_at(&[address], |config| {
            speak_h2(config);
            config.balancer.upstream.retry.on =
                RetryConditions { error: false, ..RetryConditions::default() };
        });
        let mut client = client(&proxy);
        let post = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\n\r\nhi";
        assert_eq!(client.ask(post).status(), 200);
        assert_eq!(client.ask(post).status(), 200);
    }
}

#[test]
fn a_slow_reader_stops_its_peer_and_nobody_else() {
    let h2 = H2Peer::start(100);
    let proxy = proxy_at(&[h2.address], speak_h2);
    run(async {
        let send = connect(proxy.address()).await;
        let (response, _) = send.clone().send_request(get("/big"), true).expect("sent");
        let mut body = response.await.expect("a head").into_body();
        // Nothing is taken: what is on its way is bounded by windows.
        tokio::time::sleep(Duration::from_millis(300)).await;
        for _ in 0..20 {
            let answer = ask(&send, get("/small")).await.expect("others are served");
            assert_eq!(answer.status, 200);
        }
        assert_eq!(h2.log.active.load(SeqCst), 1, "the peer is still writing");
        let mut at = 0;
        while let Some(data) = body.data().await {
            let data = data.expect("more");
            assert!(data.iter().zip(at..).all(|(byte, at)| *byte == (at % 251) as u8), "at {at}");
            at += data.len();
            body.flow_control().release_capacity(data.len()).expect("released");
        }
        assert_eq!(at, BIG);
    });
}

#[test]
fn a_peer_that_does_not_read_stops_its_client() {
    let peer = H2Peer::start(100);
    let proxy = proxy_at(&[peer.address], speak_h2);
    run(async {
        let send = connect(proxy.address()).await;
        let (_response, mut stream) =
            send.clone().send_request(request("POST", "/never", &[]), false).expect("sent");
        let mut taken = 0;
        let filling = async {
            loop {
                stream.reserve_capacity(16 << 10);
                let room = std::future::poll_fn(|context| stream.poll_capacity(context)).await;
                let room = room.expect("open").expect("room");
                stream.send_data(Bytes::from(vec![7; room]), false).expect("sent");
                taken += room;
            }
        };
        assert!(tokio::time::timeout(Duration::from_millis(500), filling).await.is_err());
        assert!(taken < 1 << 20, "{taken} bytes are on their way to nobody");
        assert_eq!(ask(&send, get("/")).await.expect("others are served").status, 200);
    });
}

#[test]
fn an_upgrade_to_h2c_is_not_taken() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |_| {});
    let mut client = client(&proxy);
    let response = client.ask(
        "GET / HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
    );
    assert_eq!((response.status(), response.text().as_str()), (200, "a"));
    let seen = peer.only();
    assert_eq!((seen.field("upgrade"), seen.field("http2-settings")), (None, None));
}

#[test]
fn an_idle_connection_is_told_to_go() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        config.balancer.edge.client.idle_timeout = Span::from_millis(200);
    });
    let mut raw = Raw::connect(proxy.address());
    raw.send(&frames::get(1, &[])).expect("sent");
    assert_eq!(raw.verdict(1), Ok(200));
    assert_eq!(raw.ending(), Some(0), "GOAWAY without an error");
    let mut silent = super::client::Wire::connect(proxy.address());
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
    assert!(silent.drained(), "one that never says a word too");
}

#[test]
fn a_stop_lets_requests_end() {
    let peer = Peer::always("a", Answer::Slow(Duration::from_millis(300)));
    let proxy = proxy(&[&peer], |_| {});
    let address = proxy.address();
    let asking = std::thread::spawn(move || {
        run(async {
            let send = connect(address).await;
            ask(&send, get("/")).await.expect("an answer").status
        })
    });
    eventually("it is under way", || peer.seen().len() == 1);
    proxy.stop().expect("stopped");
    assert_eq!(asking.join().expect("no panic"), 200);
}
