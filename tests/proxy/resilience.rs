//! Hedged requests, session affinity, retry budget and outlier detection on real connections.

use std::time::{Duration, Instant};

use lab::policy::affinity::{AffinityConfig, SameSite};
use lab::policy::budget::{BudgetConfig, TokensConfig};
use lab::policy::health::outlier::OutlierConfig;
use lab::policy::hedge::{HedgeConfig, HedgeDelay};
use lab::units::{Ratio, Span};

use super::peer::{Answer, Peer, nobody};
use super::setup::{client, eventually, proxy, proxy_at};

const PUT: &str = "PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody";
const POST: &str = "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\n\r\nbody";
const LATE: Answer = Answer::Slow(Duration::from_millis(1500));

fn hedge_after(millis: u64) -> Option<HedgeConfig> {
    let delay = HedgeDelay::Fixed(Span::from_millis(millis));
    Some(HedgeConfig { delay, budget: Ratio(1.0), max_in_flight: 0 })
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a client's own watch")]
fn a_late_request_is_answered_by_another_peer_and_the_first_attempt_is_cancelled() {
    let (slow, quick) = (Peer::always("a", LATE), Peer::good("b"));
    let proxy = proxy(&[&slow, &quick], |config| {
        config.balancer.upstream.resilience.hedge = hedge_after(50);
    });
    let (start, mut client) = (Instant::now(), client(&proxy));
    let response = client.ask(PUT);
    assert_eq!((response.status(), response.text().as_str()), (200, "b"));
    assert!(start.elapsed() < Duration::from_millis(1000), "{:?}", start.elapsed());
    assert_eq!((slow.only().text(), quick.only().text()), ("body".into(), "body".into()));
    eventually("the late attempt is given up", || slow.left() == 1);
    assert_eq!(client.get().text(), "b", "the client's connection goes on");
}

#[test]
fn what_may_not_be_sent_twice_is_not_hedged() {
    let (slow, quick) = (Peer::always("a", LATE), Peer::good("b"));
    let proxy = proxy(&[&slow, &quick], |config| {
        config.balancer.upstream.resilience.hedge = hedge_after(20);
    });
    assert_eq!(client(&proxy).ask(POST).text(), "a");
    assert_eq!(quick.seen().len(), 0);
}

#[test]
fn a_first_attempt_that_is_late_but_first_wins() {
    let first = Peer::always("a", Answer::Slow(Duration::from_millis(200)));
    let second = Peer::always("b", LATE);
    let proxy = proxy(&[&first, &second], |config| {
        config.balancer.upstream.resilience.hedge = hedge_after(50);
    });
    let mut client = client(&proxy);
    assert_eq!(client.get().text(), "a");
    assert_eq!(second.seen().len(), 1);
    eventually("the hedge is given up", || second.left() == 1);
}

#[test]
fn a_hedge_that_fails_leaves_the_first_attempt_alone() {
    let slow = Peer::always("a", Answer::Slow(Duration::from_millis(300)));
    let (broken, bad) = (nobody(), Peer::always("b", Answer::Status(503)));
    for second in [broken, bad.address] {
        let proxy = proxy_at(&[slow.address, second], |config| {
            config.balancer.upstream.retry.on.statuses = vec![503];
            config.balancer.upstream.resilience.hedge = hedge_after(50);
        });
        let response = client(&proxy).get();
        assert_eq!((response.status(), response.text().as_str()), (200, "a"));
    }
}

#[test]
fn a_hedge_goes_on_when_the_first_attempt_fails() {
    let (silent, slow) = (Peer::always("a", Answer::Hang), Peer::always("b", LATE));
    slow.now(Answer::Slow(Duration::from_millis(300)));
    let proxy = proxy(&[&silent, &slow], |config| {
        config.balancer.read_timeout = Span::from_millis(330);
        config.balancer.upstream.resilience.hedge = hedge_after(100);
    });
    assert_eq!(client(&proxy).get().text(), "b");
    assert_eq!((silent.seen().len(), slow.seen().len()), (1, 1));
}

#[test]
fn without_a_budget_there_is_no_second_attempt() {
    let slow = Peer::always("a", Answer::Slow(Duration::from_millis(150)));
    let quick = Peer::good("b");
    let proxy = proxy(&[&slow, &quick], |config| {
        // One a second is always allowed: ten in the ten seconds that count.
        let hedge = HedgeConfig { budget: Ratio(0.0), ..hedge_after(20).unwrap() };
        config.balancer.upstream.resilience.hedge = Some(hedge);
        config.balancer.upstream.peers[1].weight = 1;
    });
    let mut client = client(&proxy);
    let answers: Vec<String> = (0..30).map(|_| client.get().text()).collect();
    let late = answers.iter().filter(|name| *name == "a").count();
    assert!((5..=6).contains(&late), "ten of fifteen late ones are hedged: {answers:?}");
}

fn affinity() -> AffinityConfig {
    AffinityConfig {
        cookie: "lab_peer".to_owned(),
        ttl: Some(Span::from_secs(60)),
        secret: "secret".to_owned(),
        path: "/".to_owned(),
        http_only: true,
        secure: false,
        same_site: SameSite::Strict,
    }
}

fn cookie(response: &super::client::Message) -> Option<String> {
    response.field("set-cookie").map(|line| line.split(';').next().unwrap().to_owned())
}

#[test]
fn a_session_stays_with_its_peer_and_moves_when_that_is_gone() {
    let (a, b) = (Peer::good("a"), Peer::good("b"));
    let proxy = proxy(&[&a, &b], |config| {
        config.balancer.upstream.resilience.affinity = Some(affinity());
    });
    let mut client = client(&proxy);
    let first = client.get();
    let line = first.field("set-cookie").expect("a cookie").to_owned();
    assert!(line.ends_with("; Path=/; Max-Age=60; HttpOnly; SameSite=Strict"), "{line}");
    let bound = cookie(&first).unwrap();
    let with_cookie = format!("GET / HTTP/1.1\r\nHost: t\r\nCookie: x=y; {bound}\r\n\r\n");
    for _ in 0..6 {
        let response = client.ask(&with_cookie);
        assert_eq!(response.text(), first.text(), "it stays");
        assert_eq!(response.field("set-cookie"), None, "and the cookie is not set again");
    }
    let home = if first.text() == "a" { &a } else { &b };
    home.now(Answer::Close);
    let moved = client.ask(&with_cookie);
    assert_ne!(moved.text(), first.text());
    assert_ne!(cookie(&moved).expect("a new cookie"), bound);
    let nonsense = "GET / HTTP/1.1\r\nHost: t\r\nCookie: lab_peer=b\r\n\r\n";
    assert!(cookie(&client.ask(nonsense)).is_some(), "a name of a peer is no token");
}

#[test]
fn beyond_the_budget_the_answer_is_passed_on() {
    let (bad, good) = (Peer::always("a", Answer::Status(503)), Peer::good("b"));
    let proxy = proxy(&[&bad, &good], |config| {
        let upstream = &mut config.balancer.upstream;
        upstream.retry.on.statuses = vec![503];
        upstream.peers[0].max_fails = 0;
        let tokens = TokensConfig { min_per_second: 0.0, ..TokensConfig::new(Ratio(0.25)) };
        let budget = BudgetConfig { concurrency: None, tokens: Some(tokens) };
        upstream.resilience.retry_budget = Some(budget);
    });
    let mut client = client(&proxy);
    let statuses: Vec<u16> = (0..24).map(|_| client.get().status()).collect();
    let failed = statuses.iter().filter(|status| **status == 503).count();
    let tried_again = bad.seen().len() - failed;
    assert_eq!(tried_again, 5, "one for every four before it: {statuses:?}");
    assert!(failed >= 6, "{statuses:?}");
}

#[test]
fn an_outlier_is_left_out() {
    let (bad, good) = (Peer::always("a", Answer::Status(500)), Peer::good("b"));
    let proxy = proxy(&[&bad, &good], |config| {
        let outlier =
            OutlierConfig { max_ejection_percent: Ratio(0.5), ..OutlierConfig::default() };
        config.balancer.upstream.resilience.outlier = Some(outlier);
    });
    let mut client = client(&proxy);
    let statuses: Vec<u16> = (0..30).map(|_| client.get().status()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 500).count(), 5, "{statuses:?}");
    assert!(statuses[10..].iter().all(|status| *status == 200), "{statuses:?}");
}
