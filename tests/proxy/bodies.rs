//! Bodies both ways: whole, chunked, large, broken.

use super::peer::{Answer, Peer, plain};
use super::setup::{client, eventually, proxy};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 31 % 251) as u8).collect()
}

#[test]
fn a_mebibyte_goes_up_chunked_and_comes_back_chunked() {
    let peer = Peer::always("a", Answer::EchoChunked);
    let proxy = proxy(&[&peer], |_| {});
    let body = pattern(1 << 20);
    let mut client = client(&proxy);
    client.write_all(b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    for part in body.chunks(70_001) {
        client.write_all(format!("{:X}\r\n", part.len()).as_bytes()).unwrap();
        client.write_all(part).unwrap();
        client.write_all(b"\r\n").unwrap();
    }
    client.write_all(b"0\r\n\r\n").unwrap();
    let response = client.response(false);
    assert_eq!(response.field("transfer-encoding"), Some("chunked"));
    assert!(response.body == body, "{} bytes came back", response.body.len());
    assert!(peer.only().body == body);
    assert_eq!(
        client.ask("GET / HTTP/1.1\r\nHost: t\r\n\r\n").status(),
        200,
        "the connection lives"
    );
}

#[test]
fn lengths_are_kept_both_ways() {
    let peer =
        Peer::scripted("a", |seen| Answer::Raw(plain(200, &"y".repeat(seen.message.body.len()))));
    let proxy = proxy(&[&peer], |_| {});
    let body = "z".repeat(1 << 20);
    let response = client(&proxy).ask(&format!(
        "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    assert_eq!(response.field("content-length"), Some("1048576"));
    assert_eq!(response.body.len(), 1 << 20);
    assert_eq!(peer.only().field("content-length"), Some("1048576"));
    assert_eq!(peer.only().field("transfer-encoding"), None);
}

#[test]
fn a_response_without_length_ends_with_its_connection() {
    let bytes = b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec();
    let peer = Peer::always("a", Answer::RawThenClose(bytes));
    let proxy = proxy(&[&peer], |config| config.balancer.keepalive = 8);
    let mut client = client(&proxy);
    assert_eq!(client.get().text(), "until the end");
    assert_eq!(client.get().text(), "until the end");
}

#[test]
fn responses_without_a_body_keep_their_connection() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n".to_vec();
    let peer = Peer::scripted("a", move |seen| match seen.message.start.split(' ').next() {
        Some("HEAD") => Answer::Raw(head.clone()),
        Some("DELETE") => Answer::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        _ => Answer::Raw(b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".to_vec()),
    });
    let proxy = proxy(&[&peer], |config| config.balancer.keepalive = 8);
    let mut client = client(&proxy);
    let response = client.ask("HEAD / HTTP/1.1\r\nHost: t\r\n\r\n");
    assert_eq!(response.field("content-length"), Some("500"));
    assert_eq!(client.ask("DELETE / HTTP/1.1\r\nHost: t\r\n\r\n").status(), 204);
    assert_eq!(client.get().status(), 304);
    assert!(peer.seen().iter().all(|seen| seen.connection == 1), "one connection served all");
}

/// The client must not take a part for the whole, and the peer stays in service.
#[test]
fn a_body_that_breaks_off_breaks_off_at_the_client() {
    let cut = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec();
    let peer = Peer::always("a", Answer::RawThenClose(cut));
    let other = Peer::always("b", Answer::Status(200));
    let proxy = proxy(&[&peer, &other], |config| config.balancer.keepalive = 8);
    let mut first = client(&proxy);
    first.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    // What there was of it arrives all the same.
    assert_eq!(first.response(true).field("content-length"), Some("10"));
    assert_eq!(first.read_exact(4), b"half");
    assert!(first.closed());
    peer.now(Answer::Status(200));
    let mut second = client(&proxy);
    let texts: Vec<String> = (0..2).map(|_| second.get().text()).collect();
    assert_eq!(texts, ["b", "a"]);
}

#[test]
fn a_body_that_stops_coming_is_cut_off_after_the_read_time_out() {
    let part = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec();
    let peer = Peer::always("a", Answer::Raw(part));
    let proxy = proxy(&[&peer], |config| {
        config.balancer.read_timeout = lab::units::Span::from_millis(100);
    });
    let mut client = client(&proxy);
    client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    assert_eq!(client.response(true).status(), 200);
    assert_eq!(client.read_exact(4), b"half");
    assert!(client.closed());
    eventually("the peer's connection is closed", || peer.left() == 1);
}

#[test]
fn a_response_may_come_before_its_request_has_ended() {
    let peer = Peer::scripted("a", |_| Answer::Status(200));
    let proxy = proxy(&[&peer], |_| {});
    let mut client = client(&proxy);
    client.write_all(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 200000\r\n\r\n").unwrap();
    client.write_all(&[b'x'; 100_000]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    client.write_all(&[b'x'; 100_000]).unwrap();
    assert_eq!(client.response(false).status(), 200);
    assert_eq!(peer.only().body.len(), 200_000);
}
