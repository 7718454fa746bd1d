//! Peers that come and go: none live, backups, health checks, the waiting line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use lab::policy::{ActiveHealthConfig, QueueConfig};
use lab::units::Span;

use super::peer::{Answer, Peer, nobody};
use super::setup::{client, eventually, proxy, proxy_at};

#[test]
fn without_a_live_upstream_the_answer_is_a_502_at_once() {
    let proxy = proxy_at(&[nobody(), nobody()], |_| {});
    let mut client = client(&proxy);
    assert_eq!(client.get().text(), "the upstream failed\n");
    let second = client.get();
    assert_eq!((second.status(), second.text().as_str()), (502, "no live upstream\n"));
}

#[test]
fn a_backup_serves_only_while_no_primary_does() {
    let (primary, backup) = (Peer::good("a"), Peer::good("b"));
    let proxy = proxy(&[&primary, &backup], |config| {
        config.balancer.upstream.peers[1].backup = true;
    });
    let mut client = client(&proxy);
    (0..3).for_each(|_| assert_eq!(client.get().text(), "a"));
    primary.now(Answer::Close);
    (0..3).for_each(|_| assert_eq!(client.get().text(), "b"));
    assert_eq!(primary.seen().len(), 4);
}

#[test]
fn health_checks_take_a_peer_out_and_bring_it_back() {
    let ill = Arc::new(AtomicBool::new(false));
    let sick = Arc::clone(&ill);
    let a = Peer::scripted("a", move |seen| {
        let check = seen.message.start == "GET /health HTTP/1.1";
        Answer::Status(if check && sick.load(Ordering::SeqCst) { 503 } else { 200 })
    });
    let b = Peer::good("b");
    let proxy = proxy(&[&a, &b], |config| {
        config.balancer.upstream.health = Some(ActiveHealthConfig {
            path: "/health".to_owned(),
            interval: Span::from_millis(30),
            timeout: Span::from_millis(1000),
            rise: 2,
            fall: 2,
        });
    });
    let mut client = client(&proxy);
    let mut share_of_a = || (0..6).filter(|_| client.get().text() == "a").count();
    assert_eq!(share_of_a(), 3);
    ill.store(true, Ordering::SeqCst);
    eventually("a is out", || share_of_a() == 0);
    assert_eq!(share_of_a(), 0);
    ill.store(false, Ordering::SeqCst);
    eventually("a is back", || share_of_a() == 3);
    let check = a.seen().into_iter().find(|seen| seen.message.start.contains("/health"));
    let host = a.address.to_string();
    assert_eq!(check.expect("a check").message.field("host"), Some(host.as_str()));
}

#[test]
fn a_check_without_an_answer_fails_after_its_time_out() {
    let a = Peer::scripted("a", |seen| {
        if seen.message.start.contains("/health") { Answer::Hang } else { Answer::Status(200) }
    });
    let b = Peer::good("b");
    let proxy = proxy(&[&a, &b], |config| {
        config.balancer.upstream.health = Some(ActiveHealthConfig {
            path: "/health".to_owned(),
            interval: Span::from_millis(50),
            timeout: Span::from_millis(50),
            rise: 1,
            fall: 1,
        });
    });
    let mut client = client(&proxy);
    eventually("a is out", || (0..4).all(|_| client.get().text() == "b"));
}

fn one_at_a_time(length: u32, timeout: Span) -> impl FnOnce(&mut lab::proxy::ProxyConfig) {
    move |config| {
        config.balancer.upstream.peers[0].max_conns = 1;
        config.balancer.upstream.queue = QueueConfig { length, timeout };
    }
}

#[test]
fn requests_beyond_the_limit_wait_for_their_turn() {
    let peer = Peer::always("a", Answer::Slow(Duration::from_millis(40)));
    let proxy = proxy(&[&peer], one_at_a_time(10, Span::from_secs(10)));
    let mut clients: Vec<_> = (0..5).map(|_| client(&proxy)).collect();
    for client in &mut clients {
        client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
    }
    for client in &mut clients {
        assert_eq!(client.response(false).status(), 200);
    }
    assert_eq!(peer.seen().len(), 5);
}

#[test]
fn a_full_line_and_a_long_wait_are_refused() {
    let peer = Peer::always("a", Answer::Slow(Duration::from_millis(600)));
    let proxy = proxy(&[&peer], one_at_a_time(1, Span::from_millis(100)));
    let mut clients: Vec<_> = (0..3).map(|_| client(&proxy)).collect();
    for (place, client) in clients.iter_mut().enumerate() {
        client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
        if place == 0 {
            eventually("the first is at the peer", || peer.seen().len() == 1);
        } else {
            std::thread::sleep(Duration::from_millis(30));
        }
    }
    let answers: Vec<(u16, String)> = clients
        .iter_mut()
        .map(|client| {
            let response = client.response(false);
            (response.status(), response.text())
        })
        .collect();
    assert_eq!(answers[0], (200, "a".to_owned()));
    assert_eq!(answers[1].1, "no upstream became free in time\n");
    assert_eq!(answers[2].1, "the queue for an upstream is full\n");
    assert!(answers[1..].iter().all(|(status, _)| *status >= 500), "{answers:?}");
}

/// One that leaves the line must not take its turn with it.
#[test]
fn a_client_that_leaves_the_line_blocks_nobody() {
    let peer = Peer::always("a", Answer::Slow(Duration::from_millis(200)));
    let proxy = proxy(&[&peer], one_at_a_time(10, Span::from_secs(10)));
    let mut clients: Vec<_> = (0..4).map(|_| client(&proxy)).collect();
    for client in &mut clients {
        client.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
        std::thread::sleep(Duration::from_millis(20));
    }
    clients[1].shut_down();
    clients[2].shut_down();
    assert_eq!(clients[3].response(false).status(), 200);
    assert_eq!(peer.seen().len(), 2);
}
