//! Ejections recorded from a real Envoy 1.40 (`tests/vectors/envoy_outlier.json`), replayed.
//!
//! Under lab's own rules, beside smooth weighted round robin and without a merge window; under
//! Envoy's they are replayed pick by pick in `vectors_envoy`. Envoy begins its rotation at a random
//! host and applies the second change within a second late (`update_merge_window`): so picks are compared up to rotation, and in
//! the fourth case by the first ejection and by the picks after the pause.

use lab::policy::health::outlier::{OutlierConfig, OutlierKind};
use lab::policy::{
    Admission, Algorithm, PeerConfig, PeerState, QueueConfig, RefusalReason, RequestFacts,
    ResilienceConfig, RetryConfig, Rules, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Ratio, Seed, Span};
use serde_json::Value;

fn cases() -> Vec<Value> {
    let text = include_str!("vectors/envoy_outlier.json");
    let recorded: Value = serde_json::from_str(text).unwrap();
    recorded["cases"].as_array().unwrap().clone()
}

fn outlier(case: &Value) -> OutlierConfig {
    let keys = &case["outlier"];
    let span = |key: &str, default| keys[key].as_str().map_or(default, |t| t.parse().unwrap());
    let percent = keys["max_ejection_percent"].as_f64().unwrap_or(10.0);
    OutlierConfig {
        interval: span("interval", Span::from_secs(10)),
        base_ejection_time: span("base_ejection_time", Span::from_secs(30)),
        max_ejection_percent: Ratio(percent / 100.0),
        always_eject_one: keys["always_eject_one_host"].as_bool().unwrap_or(false),
        ..OutlierConfig::default()
    }
}

struct Driver {
    upstream: Upstream,
    now: Nanos,
    next_id: u64,
}

impl Driver {
    fn new(outlier: OutlierConfig, panic: f64) -> Self {
        let peer = |name: &str| PeerConfig { max_fails: 0, ..PeerConfig::new(name) };
        let config = UpstreamConfig {
            algorithm: Algorithm::RoundRobin,
            peers: ["a", "b", "c"].map(peer).to_vec(),
            retry: RetryConfig::default(),
            health: None,
            queue: QueueConfig::default(),
            rules: Rules::default(),
            resilience: ResilienceConfig {
                panic: Ratio(panic),
                outlier: Some(outlier),
                ..ResilienceConfig::default()
            },
        };
        let mut upstream = Upstream::new(&config, Seed::new(1, 0));
        upstream.handle_timeout(Nanos::ZERO);
        Self { upstream, now: Nanos::ZERO, next_id: 0 }
    }

    /// One request; the peers in `bad` answer 500.
    fn request(&mut self, bad: &str) -> Result<char, RefusalReason> {
        let facts = RequestFacts { id: self.next_id, key: 0, idempotent: true };
        self.next_id += 1;
        self.now += Span::from_millis(2);
        let attempt = match self.upstream.admit(self.now, facts) {
            Admission::Go(attempt) => attempt,
            Admission::Refused(refusal) => return Err(refusal.reason),
            Admission::Wait(ticket) => panic!("{ticket:?} waits where there is no line"),
        };
        let name = self.upstream.peer(attempt.peer).unwrap().name().chars().next().unwrap();
        let status = if bad.contains(name) { 500 } else { 200 };
        let mut kept = Some(attempt);
        assert!(self.upstream.answered(self.now, &mut kept, status).is_none());
        Ok(name)
    }

    fn picks(&mut self, count: usize, bad: &str) -> String {
        (0..count).map(|_| self.request(bad).unwrap()).collect()
    }

    /// Lets time pass by steps; the second after `since` in which `a` is up again.
    fn back_after(&mut self, since: Nanos) -> f64 {
        while self.upstream.peers().iter().any(|p| p.state(self.now) == PeerState::Ejected) {
            self.now += Span::from_millis(10);
            self.upstream.handle_timeout(self.now);
            assert!(self.now.since(since) < Span::from_secs(20));
        }
        self.now.since(since).as_secs_f64()
    }
}

/// The picks begun at another host: letters renamed so that the rotation begins with `a`'s turn
/// where the recording has it.
fn rotation(picks: &str) -> usize {
    picks.find('a').unwrap()
}

#[test]
fn one_bad_host_is_ejected_as_recorded() {
    for case in &cases()[..3] {
        let name = case["case"].as_str().unwrap();
        let recorded = case["picks"].as_str().unwrap();
        let mut driver = Driver::new(outlier(case), 0.0);
        // Up to the recorded beginning: good answers leave no trace.
        let mut skipped = String::new();
        while rotation(recorded) != (3 - skipped.len() % 3) % 3 {
            skipped.push(driver.request("").unwrap());
        }
        let picks = driver.picks(recorded.len(), "a");
        // Where one of two is left, both orders are a rotation.
        let ejected = recorded.rfind('a').unwrap();
        assert_eq!(picks[..=ejected], recorded[..=ejected], "{name}");
        let turns = |text: &str| text[ejected + 1..].matches('b').count();
        assert!(turns(&picks).abs_diff(turns(recorded)) <= 1, "{name}: {picks}");
        assert_eq!(picks.matches('a').count(), recorded.matches('a').count(), "{name}");

        let counts = driver.upstream.outlier_counts().unwrap().clone();
        let stat = |key: &str| case["stats"][key].as_u64().unwrap();
        let detected = counts.detected.get(&OutlierKind::Consecutive5xx).copied().unwrap_or(0);
        assert_eq!(detected, stat("ejections_detected_consecutive_5xx"), "{name}");
        assert_eq!(counts.enforced, stat("ejections_enforced_total"), "{name}");
        assert_eq!(counts.overflow, stat("ejections_overflow"), "{name}");
        if let Some(recorded) = case["back_after_s"].as_f64() {
            let after = driver.back_after(driver.now);
            // The tick that ends it falls anywhere in an interval of half a second.
            assert!((after - recorded).abs() <= 0.5, "{name}: {after} s");
        }
    }
}

#[test]
fn when_two_of_three_are_out_panic_uses_all_as_recorded() {
    let case = &cases()[3];
    let (before, after) = case["picks"].as_str().unwrap().split_once('|').unwrap();
    let all = OutlierConfig { max_ejection_percent: Ratio(1.0), ..OutlierConfig::default() };
    let mut driver = Driver::new(all, 0.5);
    let mut picks = String::new();
    while driver.upstream.outlier_counts().unwrap().enforced < 2 {
        picks.push(driver.request("ab").unwrap());
    }
    // Whichever of the two has its turn first goes out first.
    let of_first =
        |picks: &str| ['a', 'b'].map(|name| picks.matches(name).count()).into_iter().min();
    assert_eq!(of_first(&picks), of_first(before), "five, then it is out");
    driver.now += Span::from_millis(1300);
    let picks = driver.picks(after.len(), "ab");
    let shares = |text: &str| ['a', 'b', 'c'].map(|name| text.matches(name).count());
    // Scores of smooth weighted round robin outlast the ejection, where Envoy begins anew: the
    // first picks may make up for what one has missed.
    let close =
        shares(&picks).iter().zip(shares(after)).all(|(one, other)| one.abs_diff(other) <= 1);
    assert!(close, "all are used: {picks}");
    assert_eq!(after.len() as u64, case["lb_healthy_panic"].as_u64().unwrap());
}

#[test]
fn when_all_are_out_without_panic_nobody_is_asked_as_recorded() {
    let case = &cases()[4];
    let all = OutlierConfig { max_ejection_percent: Ratio(1.0), ..OutlierConfig::default() };
    let mut driver = Driver::new(all, 0.0);
    let answers: Vec<_> = (0..20).map(|_| driver.request("abc")).collect();
    let recorded = case["answers"].as_array().unwrap();
    let refused = |answer: &&Value| answer.as_str().unwrap().contains("no healthy upstream");
    assert_eq!(recorded.iter().filter(refused).count(), 5);
    assert!(answers[..15].iter().all(Result::is_ok), "requests 12 to 14 meet the fifth error each");
    assert!(answers[15..].iter().all(|answer| *answer == Err(RefusalReason::NoLiveUpstream)));
}
