//! Clients that leave, and a proxy that leaves its clients.

use std::time::Duration;

use lab::record::{AttemptOutcome, AttemptRow, PickedBecause};
use lab::units::Span;

use super::peer::{Answer, Peer};
use super::setup::{client, eventually, proxy};

/// Rows that the proxy left in `folder`.
fn rows(folder: &std::path::Path) -> Vec<AttemptRow> {
    let text = std::fs::read_to_string(folder.join("attempts.jsonl")).expect("a spool");
    text.lines().map(|line| serde_json::from_str(line).expect("a row")).collect()
}

fn folder(name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("lab-proxy-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

#[test]
fn a_client_that_leaves_ends_the_attempt_and_its_connection() {
    let folder = folder("gone");
    let peer = Peer::always("a", Answer::Hang);
    let other = Peer::good("b");
    let proxy = proxy(&[&peer, &other], |config| {
        config.balancer.keepalive = 4;
        config.spool = Some(folder.clone());
    });
    let mut leaver = client(&proxy);
    leaver.write_all(b"GET / HTTP/1.1\r\nHost: t\r\nX-Lab-Id: 5\r\n\r\n").expect("sent");
    eventually("the request arrives", || peer.seen().len() == 1);
    leaver.shut_down();
    eventually("the connection to the peer is closed", || peer.left() == 1);
    // It says nothing about the peer, which stays in service.
    peer.now(Answer::Status(200));
    let mut stayer = client(&proxy);
    let texts: Vec<String> = (0..2).map(|_| stayer.get().text()).collect();
    assert_eq!(texts, ["b", "a"]);
    drop(stayer);
    proxy.stop().expect("stopped");
    let rows = rows(&folder);
    let gone: Vec<_> = rows.iter().filter(|row| row.id == 5).collect();
    assert_eq!(gone.len(), 1);
    assert_eq!((gone[0].outcome, gone[0].upstream), (AttemptOutcome::ClientGone, 0));
    assert!(rows.iter().all(|row| row.end_ns >= row.start_ns && row.start_ns > 0));
    std::fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn every_attempt_leaves_its_row() {
    let folder = folder("rows");
    let (bad, ill) = (Peer::always("a", Answer::Close), Peer::always("b", Answer::Status(503)));
    let good = Peer::good("c");
    let proxy = proxy(&[&bad, &ill, &good], |config| {
        config.balancer.upstream.retry.on.statuses = vec![503];
        config.spool = Some(folder.clone());
        config.replication = 4;
        config.view_base = 7;
    });
    let response = client(&proxy).ask("GET / HTTP/1.1\r\nHost: t\r\nX-Lab-Id: 9\r\n\r\n");
    assert_eq!((response.status(), response.field("x-lab-attempts")), (200, Some("3")));
    good.now(Answer::Close);
    for id in [10, 11] {
        let request = format!("GET / HTTP/1.1\r\nHost: t\r\nX-Lab-Id: {id}\r\n\r\n");
        assert_eq!(client(&proxy).ask(&request).status(), 502);
    }
    proxy.stop().expect("stopped");
    let rows: Vec<_> = rows(&folder)
        .iter()
        .map(|row| {
            assert_eq!((row.replication, row.view), (4, 7));
            (row.id, row.number, row.upstream, row.outcome, row.status, row.because)
        })
        .collect();
    use AttemptOutcome::{Closed, Passed, Refused, StatusRetried};
    use PickedBecause::{Picked, Retry};
    assert_eq!(
        rows,
        [
            (9, 1, 0, Closed, 0, Picked),
            (9, 2, 1, StatusRetried, 503, Retry),
            (9, 3, 2, Passed, 200, Retry),
            (10, 1, 2, Closed, 0, Picked),
            (10, 0, lab::record::NO_UPSTREAM, Refused, 502, Retry),
            (11, 0, lab::record::NO_UPSTREAM, Refused, 502, Picked),
        ]
    );
    let events = std::fs::read_to_string(folder.join("events.jsonl")).expect("events");
    assert_eq!(events.lines().filter(|line| line.contains("ejected")).count(), 3, "{events}");
    std::fs::remove_dir_all(folder).expect("removed");
}

#[test]
fn a_stopping_proxy_lets_open_requests_end() {
    let peer = Peer::always("a", Answer::Slow(Duration::from_millis(300)));
    let proxy = proxy(&[&peer], |config| config.balancer.edge.drain_timeout = Span::from_secs(10));
    let address = proxy.address();
    let mut idle = client(&proxy);
    assert_eq!(idle.get().status(), 200);
    let mut busy = client(&proxy);
    busy.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
    eventually("the request arrives", || peer.seen().len() == 2);
    let stopping = std::thread::spawn(move || proxy.stop());
    assert_eq!(busy.response(false).status(), 200);
    assert!(busy.closed() && idle.closed());
    stopping.join().expect("no panic").expect("stopped");
    assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn a_request_that_does_not_end_is_cut_off_after_the_drain_time() {
    let peer = Peer::always("a", Answer::Hang);
    let proxy =
        proxy(&[&peer], |config| config.balancer.edge.drain_timeout = Span::from_millis(100));
    let mut client = client(&proxy);
    client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
    eventually("the request arrives", || peer.seen().len() == 1);
    proxy.stop().expect("stopped");
    assert!(client.closed());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let peer = Peer::scripted("a", |seen| {
        Answer::Raw(super::peer::plain(200, seen.message.start.as_str()))
    });
    let proxy = proxy(&[&peer], |config| config.balancer.keepalive = 4);
    let mut client = client(&proxy);
    let request = |n| format!("GET /{n} HTTP/1.1\r\nHost: t\r\n\r\n");
    let all: String = (0..20).map(request).collect();
    client.write_all(all.as_bytes()).expect("sent");
    for n in 0..20 {
        assert_eq!(client.response(false).text(), format!("GET /{n} HTTP/1.1"));
    }
}

#[test]
fn nonsense_is_answered_with_400_and_never_forwarded() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |_| {});
    for text in
        ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\nBad Field: 1\r\n\r\n", "GET /\0 HTTP/1.1\r\n\r\n"]
    {
        let mut client = client(&proxy);
        client.write_all(text.as_bytes()).expect("sent");
        assert_eq!(client.response(false).status(), 400, "for {text:?}");
    }
    let response = client(&proxy).ask("CONNECT other:80 HTTP/1.1\r\nHost: other:80\r\n\r\n");
    assert_eq!(response.status(), 405);
    assert!(peer.seen().is_empty());
}
