//! Hedged requests, session affinity, retry budget and pause, outlier detection, slow start and
//! panic on real connections.

use std::time::{Duration, Instant};

use lab::policy::ActiveHealthConfig;
use lab::policy::affinity::{AffinityConfig, SameSite};
use lab::policy::backoff::BackoffConfig;
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

#[test]
fn a_peer_that_comes_back_gets_its_share_slowly() {
    let (a, b) = (Peer::good("a"), Peer::good("b"));
    let proxy = proxy(&[&a, &b], |config| {
        config.admin_at(([127, 0, 0, 1], 0).into());
        config.balancer.upstream.peers[1].slow_start = Span::from_secs(600);
    });
    let mut client = client(&proxy);
    let mut shares = |requests: usize| {
        let before = b.seen().len();
        (0..requests).for_each(|_| assert_eq!(client.get().status(), 200));
        b.seen().len() - before
    };
    assert_eq!(shares(40), 20, "one that was there from the start has its whole share");
    for order in ["drain", "resume"] {
        let admin = proxy.admin_address().expect("an admin interface");
        let request =
            format!("POST /upstreams/b/{order} HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(super::client::Wire::connect(admin).ask(&request).status(), 200);
    }
    // A tenth of its weight beside a whole one: one request in eleven.
    let served = shares(110);
    assert!((9..=12).contains(&served), "{served} of 110");
}

#[test]
fn in_a_panic_all_are_used() {
    let unhealthy = |name| {
        Peer::scripted(name, |seen| {
            let check = seen.message.start.contains(" /health ");
            Answer::Status(if check { 500 } else { 200 })
        })
    };
    let (a, b, c) = (unhealthy("a"), unhealthy("b"), Peer::good("c"));
    let proxy = proxy(&[&a, &b, &c], |config| {
        config.admin_at(([127, 0, 0, 1], 0).into());
        let upstream = &mut config.balancer.upstream;
        upstream.resilience.panic = Ratio(0.5);
        upstream.health = Some(ActiveHealthConfig {
            path: "/health".to_owned(),
            interval: Span::from_millis(20),
            timeout: Span::from_millis(500),
            rise: 1,
            fall: 1,
        });
    });
    let asked =
        |peer: &Peer| peer.seen().iter().filter(|it| it.message.start.contains(" / ")).count();
    eventually("both are unhealthy, and used all the same", || {
        let page = super::client::Wire::connect(proxy.admin_address().expect("an admin interface"))
            .ask("GET /metrics HTTP/1.1\r\nHost: t\r\n\r\n")
            .text();
        let is = |peer: &str| {
            page.contains(&format!(
                "lab_proxy_upstream_state{{upstream=\"{peer}\",view=\"0\",state=\"unhealthy\"}} 1"
            ))
        };
        is("a") && is("b")
    });
    let before = asked(&a) + asked(&b);
    let mut client = client(&proxy);
    (0..30).for_each(|_| assert_eq!(client.get().status(), 200));
    assert_eq!(asked(&a) + asked(&b) - before, 20, "two of three are out, so nobody is");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a client's own watch")]
fn retries_wait_for_their_pause() {
    let (bad, good) = (Peer::always("a", Answer::Status(503)), Peer::good("b"));
    let proxy = proxy(&[&bad, &good], |config| {
        let upstream = &mut config.balancer.upstream;
        upstream.retry.on.statuses = vec![503];
        upstream.peers[0].max_fails = 0;
        let base = Span::from_millis(200);
        upstream.resilience.backoff = Some(BackoffConfig { base, max: base });
    });
    let mut client = client(&proxy);
    let mut retried = Vec::new();
    for _ in 0..24 {
        let (before, start) = (bad.seen().len(), Instant::now());
        assert_eq!(client.get().status(), 200);
        if bad.seen().len() > before {
            retried.push(start.elapsed());
        }
    }
    let mean = retried.iter().sum::<Duration>() / retried.len() as u32;
    // Uniform from 0 to 200 ms: the mean of twelve lies this far from 100 ms in one of 10^4 runs.
    assert_eq!(retried.len(), 12);
    assert!((35..400).contains(&mean.as_millis()), "{mean:?} of {retried:?}");
}

#[test]
fn the_usual_time_decides_when_a_request_is_late() {
    let quick = Answer::Slow(Duration::from_millis(20));
    let (a, b) = (Peer::always("a", quick.clone()), Peer::always("b", quick));
    let proxy = proxy(&[&a, &b], |config| {
        let delay = HedgeDelay::Quantile { quantile: 0.95, at_least: Span::from_millis(1) };
        let hedge = HedgeConfig { delay, budget: Ratio(1.0), max_in_flight: 0 };
        config.balancer.upstream.resilience.hedge = Some(hedge);
    });
    let mut client = client(&proxy);
    // A hundred are learned from, and the next few are late by themselves now and then.
    (0..100).for_each(|_| assert_eq!(client.get().status(), 200));
    assert_eq!(a.seen().len() + b.seen().len(), 100, "none before the usual time is known");
    a.now(LATE);
    for _ in 0..2 {
        assert_eq!(client.get().text(), "b", "the late one is asked, and the other answers");
    }
}
