//! What Envoy 1.40 did and what its source says, against the machine under Envoy's rules.
//!
//! Picks, tables and ejections recorded from it are in `vectors_adaptive`, `vectors_hash` and
//! `vectors_outlier`; here are retries, the merge window, and each rule by itself.

#[path = "support/envoy.rs"]
mod envoy;

use envoy::{at, config, ejecting, facts, retrying, server_errors};
use lab::policy::health::outlier::OutlierConfig;
use lab::policy::rules::{CircuitBreakers, EnvoyRules, RetryOn};
use lab::policy::{
    ActiveHealthConfig, Admission, Algorithm, Attempt, ConsistentHashConfig, Event,
    LeastRequestConfig, LoadFactor, Next, Outcome, PeerChange, PeerConfig, PeerId, PeerState,
    RequestFacts, Ring, Rules, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Ratio, Seed, Span};
use serde_json::Value;

fn go(admission: Admission) -> Attempt {
    match admission {
        Admission::Go(attempt) => attempt,
        other => panic!("expected an attempt: {other:?}"),
    }
}

fn refused(admission: Admission) -> u16 {
    match admission {
        Admission::Refused(refusal) => refusal.status,
        other => panic!("expected a refusal: {other:?}"),
    }
}

/// The answer to the next request that is given to `peer`; others are answered well.
fn answer(upstream: &mut Upstream, now: Nanos, ids: &mut u64, peer: u32, status: u16) {
    for _ in 0..200 {
        *ids += 1;
        let attempt = go(upstream.admit(now, facts(*ids)));
        let here = attempt.peer == PeerId(peer);
        let given = if here { status } else { 200 };
        assert!(upstream.answered(now, &mut Some(attempt), given).is_none());
        if here {
            return;
        }
    }
    panic!("{peer} gets nothing");
}

fn counts(upstream: &mut Upstream, now: Nanos, ids: &mut u64, requests: usize) -> Vec<usize> {
    let mut counts = vec![0; upstream.peer_count()];
    for _ in 0..requests {
        *ids += 1;
        let attempt = go(upstream.admit(now, facts(*ids)));
        counts[attempt.peer.index()] += 1;
        assert!(upstream.answered(now, &mut Some(attempt), 200).is_none());
    }
    counts
}

/// Follows a request whose every attempt is answered with 503: attempts and end.
fn all_503(upstream: &mut Upstream, start: Nanos, id: u64) -> (u16, Nanos) {
    let mut now = start;
    let mut attempt = go(upstream.admit(now, facts(id)));
    loop {
        let number = attempt.number;
        match upstream.answered(now, &mut Some(attempt), 503) {
            None => return (number, now),
            Some(Next::Wait(_)) => {}
            Some(other) => panic!("a retry comes after a pause: {other:?}"),
        }
        attempt = loop {
            now = upstream.next_timeout().unwrap().max(now);
            upstream.handle_timeout(now);
            if let Some(Event::Turn(_, attempt)) = upstream.poll_event() {
                break attempt;
            }
        };
    }
}

#[test]
fn every_retry_is_made_and_the_last_status_passed_on_as_recorded() {
    let text = include_str!("vectors/envoy_retry.json");
    let recorded: Value = serde_json::from_str(text).unwrap();
    let cases = recorded["cases"].as_array().unwrap();
    for (case, num_retries, mean) in [(&cases[0], 1, 12.5), (&cases[1], 3, 87.5)] {
        let mut upstream =
            Upstream::new(&config(3, 0, retrying(server_errors(), num_retries)), Seed::new(2, 0));
        let mut took = 0.0;
        for id in 0..2_000 {
            let start = at(1_000 * id);
            let (attempts, end) = all_503(&mut upstream, start, id);
            assert_eq!(u32::from(attempts), num_retries + 1);
            took += end.since(start).as_secs_f64() * 1e3;
        }
        assert!((took / 2_000.0 - mean).abs() < mean * 0.04, "{}", took / 2_000.0);
        let requests = case["requests"].as_array().unwrap();
        let longest = 25.0 * f64::from((1 << num_retries) - 1);
        let mut recorded = 0.0;
        for request in requests {
            assert_eq!(request[0], 503);
            assert_eq!(request[1], num_retries + 1);
            recorded += request[2].as_f64().unwrap() / requests.len() as f64;
            assert!(request[2].as_f64().unwrap() < longest + 20.0);
        }
        // Uniform pauses: the mean of eight is within four of its own deviations, and overhead.
        let variance: f64 = (0..num_retries).map(|n| f64::from(625 << (2 * n)) / 12.0).sum();
        assert!((recorded - mean).abs() < 4.0 * (variance / 8.0).sqrt() + 16.0, "{recorded}");
    }
}

/// Every pick, the merge window's included; Envoy begins its rotation anywhere, so some start fits.
#[test]
fn ejections_and_the_merge_window_give_the_recorded_picks() {
    let text = include_str!("vectors/envoy_outlier.json");
    let recorded: Value = serde_json::from_str(text).unwrap();
    let cases = recorded["cases"].as_array().unwrap();
    for (case, bad) in cases[..4].iter().zip([&[0][..], &[0], &[0], &[0, 1]]) {
        let keys = &case["outlier"];
        let mut config = config(3, 0, EnvoyRules::default());
        // The last case names its settings in words.
        let percent = if bad.len() == 2 { 100.0 } else { 10.0 };
        config.resilience.panic = if bad.len() == 2 { Ratio(0.5) } else { Ratio(0.0) };
        config.resilience.outlier = Some(OutlierConfig {
            max_ejection_percent: Ratio(
                keys["max_ejection_percent"].as_f64().unwrap_or(percent) / 100.0,
            ),
            always_eject_one: keys["always_eject_one_host"].as_bool().unwrap_or(false),
            ..OutlierConfig::default()
        });
        let picks = case["picks"].as_str().unwrap();
        let (burst, after) = picks.split_once('|').unwrap_or((picks, ""));
        let replay = |skipped: u64| {
            let mut upstream = Upstream::new(&config, Seed::new(1, 0));
            let pick = |upstream: &mut Upstream, now, id, bad: &[u32]| {
                upstream.handle_timeout(now);
                let attempt = go(upstream.admit(now, facts(id)));
                let peer = attempt.peer.0;
                let status = if bad.contains(&peer) { 500 } else { 200 };
                assert!(upstream.answered(now, &mut Some(attempt), status).is_none());
                char::from(b'a' + peer as u8)
            };
            for id in 0..skipped {
                pick(&mut upstream, at(id), id, &[]);
            }
            let burst: String = (0..burst.len() as u64)
                .map(|n| pick(&mut upstream, at(10 + 2 * n), 100 + n, bad))
                .collect();
            let after: String = (0..after.len() as u64)
                .map(|n| pick(&mut upstream, at(1_400 + 2 * n), 200 + n, bad))
                .collect();
            (burst, after)
        };
        let replayed: Vec<_> = (0..6).map(replay).collect();
        let fits = replayed.iter().find(|(ours, _)| ours == burst);
        let (_, ours) = fits.unwrap_or_else(|| panic!("{}: {replayed:?}", case["case"]));
        // Envoy's panicking hosts have a rotation of their own.
        assert_eq!(ours.len(), after.len());
        assert!("abcabcabcabcabc".contains(ours.as_str()), "{ours}");
    }
}

#[test]
fn the_second_ejected_host_keeps_its_traffic_for_a_second() {
    let mut config = config(10, 0, EnvoyRules::default());
    config.resilience.outlier = Some(ejecting(1.0));
    let mut upstream = Upstream::new(&config, Seed::new(1, 0));
    let mut ids = 0;
    upstream.handle_timeout(at(0));
    answer(&mut upstream, at(100), &mut ids, 0, 500);
    let found = counts(&mut upstream, at(100), &mut ids, 90);
    assert_eq!((found[0], found[1]), (0, 10), "the first is applied at once");
    answer(&mut upstream, at(300), &mut ids, 1, 500);
    let state = |upstream: &Upstream, id| upstream.peer(PeerId(id)).unwrap().state(at(300));
    assert_eq!(state(&upstream, 1), PeerState::Ejected);
    assert_eq!(upstream.next_timeout(), Some(at(1300)));
    assert_eq!(counts(&mut upstream, at(1299), &mut ids, 90)[1], 10, "picks do not know yet");
    upstream.handle_timeout(at(1300));
    assert_eq!(counts(&mut upstream, at(1300), &mut ids, 80)[..3], [0, 0, 10]);
    // A peer that comes is told at once, and what waits with it.
    answer(&mut upstream, at(1400), &mut ids, 2, 500);
    upstream.apply(at(1401), PeerChange::Add(PeerConfig::new("k")));
    assert_eq!(counts(&mut upstream, at(1401), &mut ids, 80)[2], 0);
}

#[test]
fn backups_get_what_the_primaries_are_not_trusted_with() {
    let rules = EnvoyRules { update_merge_window: Span::ZERO, ..EnvoyRules::default() };
    let mut config = config(4, 2, rules);
    config.resilience.outlier = Some(ejecting(1.0));
    let mut upstream = Upstream::new(&config, Seed::new(1, 0));
    let mut ids = 0;
    upstream.handle_timeout(at(0));
    let to_backups = |counts: &[usize]| counts[4] + counts[5];
    assert_eq!(to_backups(&counts(&mut upstream, at(0), &mut ids, 1_000)), 0);
    answer(&mut upstream, at(1), &mut ids, 0, 500);
    assert_eq!(to_backups(&counts(&mut upstream, at(1), &mut ids, 1_000)), 0, "75 % × 1.4");
    answer(&mut upstream, at(2), &mut ids, 1, 500);
    let found = counts(&mut upstream, at(2), &mut ids, 10_000);
    assert!((2_700..3_300).contains(&to_backups(&found)), "50 % × 1.4 is 70 %: {found:?}");
    assert_eq!(found[..2], [0, 0], "the backups keep the primaries from panicking");
}

#[test]
fn panic_and_its_absence() {
    let rules = EnvoyRules { update_merge_window: Span::ZERO, ..EnvoyRules::default() };
    let mut config = config(3, 0, rules);
    config.resilience.outlier = Some(ejecting(1.0));
    let mut upstream = Upstream::new(&config, Seed::new(1, 0));
    let mut ids = 0;
    upstream.handle_timeout(at(0));
    answer(&mut upstream, at(1), &mut ids, 0, 500);
    answer(&mut upstream, at(1), &mut ids, 1, 500);
    assert_eq!(counts(&mut upstream, at(2), &mut ids, 30), [10, 10, 10]);
    config.resilience.panic = Ratio(0.0);
    let mut upstream = Upstream::new(&config, Seed::new(1, 0));
    upstream.handle_timeout(at(0));
    for peer in 0..3 {
        answer(&mut upstream, at(1), &mut ids, peer, 500);
    }
    assert_eq!(refused(upstream.admit(at(2), facts(1))), 503);
}

#[test]
fn with_the_default_share_and_few_hosts_nobody_is_ejected() {
    let ejected = |hosts| {
        let mut config = config(hosts, 0, EnvoyRules::default());
        config.resilience.outlier = Some(ejecting(0.1));
        let mut upstream = Upstream::new(&config, Seed::new(1, 0));
        upstream.handle_timeout(at(0));
        answer(&mut upstream, at(1), &mut 0, 0, 500);
        upstream.outlier_counts().unwrap().enforced
    };
    assert_eq!((ejected(9), ejected(10)), (0, 1));
}

fn ends(outcome: Outcome, rules: EnvoyRules) -> Next {
    let mut upstream = Upstream::new(&config(2, 0, rules), Seed::new(1, 0));
    let attempt = go(upstream.admit(at(0), facts(0)));
    upstream.finished(at(1), attempt, outcome)
}

#[test]
fn the_answers_when_retries_run_out_are_envoys() {
    for (outcome, status) in [
        (Outcome::ConnectFailed, 503),
        (Outcome::ConnectTimedOut, 503),
        (Outcome::Closed { reused: true }, 503),
        (Outcome::ReadTimedOut, 504),
        (Outcome::InvalidHead, 502),
    ] {
        match ends(outcome, EnvoyRules::default()) {
            Next::Refused(refusal) => assert_eq!(refusal.status, status, "{outcome:?}"),
            other => panic!("nothing is retried by default: {other:?}"),
        }
        let connect = RetryOn { connect_failure: true, ..RetryOn::default() };
        let again = matches!(ends(outcome, retrying(connect, 1)), Next::Wait(_));
        assert_eq!(again, !outcome.was_sent(), "{outcome:?}");
        assert!(matches!(ends(outcome, retrying(server_errors(), 1)), Next::Wait(_)));
    }
}

#[test]
fn the_route_timeout_covers_attempts_and_pauses() {
    let mut rules = retrying(server_errors(), 9);
    rules.route_timeout = Span::from_millis(100);
    rules.retry.as_mut().unwrap().per_try_timeout = Span::from_millis(60);
    let mut upstream = Upstream::new(&config(1, 0, rules), Seed::new(1, 0));
    let attempt = go(upstream.admit(at(0), facts(0)));
    assert_eq!(upstream.waits_until(&attempt, at(5), Span::MAX), at(65));
    assert_eq!(upstream.waits_until(&attempt, at(50), Span::MAX), at(100));
    let Next::Wait(_) = upstream.finished(at(65), attempt, Outcome::ReadTimedOut) else { panic!() };
    upstream.handle_timeout(at(99));
    let Some(Event::Turn(_, attempt)) = upstream.poll_event() else {
        panic!("the same host again")
    };
    match upstream.finished(at(100), attempt, Outcome::ReadTimedOut) {
        Next::Refused(refusal) => assert_eq!(refusal.status, 504),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_three_retries_at_once() {
    let mut upstream = Upstream::new(&config(3, 0, retrying(server_errors(), 1)), Seed::new(1, 0));
    let attempts: Vec<_> = (0..5).map(|id| go(upstream.admit(at(0), facts(id)))).collect();
    let passed = attempts.into_iter().filter_map(|attempt| {
        upstream.answered(at(1), &mut Some(attempt), 503).is_none().then_some(())
    });
    assert_eq!(passed.count(), 2);
    assert_eq!(upstream.resilience_counts().retries_withheld, 2);
}

#[test]
fn circuit_breakers_hold_and_overflow() {
    let circuit_breakers = CircuitBreakers {
        max_connections: 2,
        max_pending_requests: 1,
        ..CircuitBreakers::default()
    };
    let rules = EnvoyRules { circuit_breakers, ..EnvoyRules::default() };
    let mut upstream = Upstream::new(&config(1, 0, rules), Seed::new(1, 0));
    let first = go(upstream.admit(at(0), facts(0)));
    let _second = go(upstream.admit(at(0), facts(1)));
    let Admission::Wait(ticket) = upstream.admit(at(0), facts(2)) else { panic!() };
    assert_eq!(refused(upstream.admit(at(0), facts(3))), 503);
    assert!(upstream.answered(at(1), &mut Some(first), 200).is_none());
    let Some(Event::Turn(turn, third)) = upstream.poll_event() else { panic!() };
    assert_eq!((turn, third.facts.id), (ticket, 2));
    let Admission::Wait(_) = upstream.admit(at(2), facts(4)) else { panic!() };
    upstream.handle_timeout(at(15_002));
    let Some(Event::Expired(_, refusal)) = upstream.poll_event() else { panic!() };
    assert_eq!(refusal.status, 504, "the route's time-out ends the wait");
}

#[test]
fn an_added_host_serves_after_its_first_check_and_a_bad_status_takes_it_out_at_once() {
    let mut config = config(2, 0, EnvoyRules::default());
    let (interval, timeout) = (Span::from_secs(5), Span::from_secs(1));
    config.health =
        Some(ActiveHealthConfig { path: "/".into(), interval, timeout, rise: 3, fall: 3 });
    let mut upstream = Upstream::new(&config, Seed::new(1, 0));
    let due = |upstream: &mut Upstream, now| {
        upstream.handle_timeout(now);
        std::iter::from_fn(|| upstream.poll_event())
            .filter(|event| matches!(event, Event::ProbeDue(_)))
            .count()
    };
    assert_eq!(due(&mut upstream, at(0)), 2, "all at once, and then slowly while unused");
    (0..2).for_each(|peer| upstream.probe_result(at(1), PeerId(peer), true));
    assert_eq!(due(&mut upstream, at(59_999)), 0);
    let mut ids = 0;
    assert_eq!(counts(&mut upstream, at(59_999), &mut ids, 2), [1, 1]);
    assert_eq!(due(&mut upstream, at(60_000)), 2);
    assert_eq!(due(&mut upstream, at(65_000)), 2);
    let added = upstream.apply(at(65_000), PeerChange::Add(PeerConfig::new("c"))).unwrap();
    assert_eq!(counts(&mut upstream, at(65_000), &mut ids, 30)[2], 0);
    upstream.probe_result(at(70_000), added, true);
    assert_eq!(counts(&mut upstream, at(70_000), &mut ids, 30)[2], 10);
    upstream.probe_result(at(75_000), PeerId(0), false);
    assert_eq!(upstream.peer(PeerId(0)).unwrap().state(at(75_000)), PeerState::Up);
    upstream.probe_answered_badly(at(80_000), PeerId(0));
    assert_eq!(upstream.peer(PeerId(0)).unwrap().state(at(80_000)), PeerState::Unhealthy);
    assert_eq!(counts(&mut upstream, at(80_000), &mut ids, 30)[0], 0);
}

#[test]
fn a_bad_status_counts_towards_the_threshold_where_it_is_retriable() {
    let rules = EnvoyRules { retriable_statuses: true, ..EnvoyRules::default() };
    let mut config = config(2, 0, rules);
    let (interval, timeout) = (Span::from_secs(5), Span::from_secs(1));
    config.health =
        Some(ActiveHealthConfig { path: "/".into(), interval, timeout, rise: 2, fall: 3 });
    let mut upstream = Upstream::new(&config, Seed::new(1, 0));
    let state = |upstream: &Upstream, now| upstream.peer(PeerId(0)).unwrap().state(now);
    (0..2).for_each(|peer| upstream.probe_result(at(1), PeerId(peer), true));
    upstream.probe_answered_badly(at(5_000), PeerId(0));
    upstream.probe_result(at(10_000), PeerId(0), false);
    assert_eq!(state(&upstream, at(10_000)), PeerState::Up);
    upstream.probe_answered_badly(at(15_000), PeerId(0));
    assert_eq!(state(&upstream, at(15_000)), PeerState::Unhealthy);
}

#[test]
fn random_ignores_weights_and_previous_hosts_are_drawn_again() {
    let mut config = config(2, 0, retrying(server_errors(), 1));
    config.algorithm = Algorithm::Random;
    config.peers[0].weight = 9;
    let mut upstream = Upstream::new(&config, Seed::new(1, 0));
    let heavy = counts(&mut upstream, at(0), &mut 0, 10_000)[0];
    assert!((4_800..5_200).contains(&heavy), "{heavy}");
    let again = |config: &UpstreamConfig| {
        let mut upstream = Upstream::new(config, Seed::new(1, 0));
        let mut same = 0;
        for id in 0..2_000 {
            let attempt = go(upstream.admit(at(1_000 * id), facts(id)));
            let first = attempt.peer;
            assert!(upstream.answered(at(1_000 * id), &mut Some(attempt), 503).is_some());
            upstream.handle_timeout(at(1_000 * id + 30));
            let Some(Event::Turn(_, second)) = upstream.poll_event() else { panic!() };
            same += u32::from(second.peer == first);
            assert!(upstream.answered(at(1_000 * id + 30), &mut Some(second), 200).is_none());
        }
        f64::from(same) / 2_000.0
    };
    assert!((again(&config) - 0.5).abs() < 0.04);
    let Rules::Envoy(rules) = &mut config.rules else { panic!() };
    rules.retry.as_mut().unwrap().previous_hosts = true;
    assert!((again(&config) - 0.25).abs() < 0.04, "drawn once more, and then taken all the same");
}

/// The scheduler is made of the healthy alone: while the heavy one is out the others' weights are
/// equal, and they take turns.
#[test]
fn a_change_of_health_makes_the_schedule_anew() {
    let mut config = config(3, 0, EnvoyRules::default());
    config.peers[0].weight = 5;
    config.resilience.outlier = Some(ejecting(1.0));
    for algorithm in
        [Algorithm::RoundRobinEdf, Algorithm::LeastRequest(LeastRequestConfig::DEFAULT)]
    {
        config.algorithm = algorithm;
        let mut upstream = Upstream::new(&config, Seed::new(1, 0));
        upstream.handle_timeout(at(0));
        let mut ids = 0;
        let found = counts(&mut upstream, at(0), &mut ids, 70);
        assert!(found[0].abs_diff(50) <= 1 && found[1].abs_diff(10) <= 1, "{found:?}");
        answer(&mut upstream, at(1), &mut ids, 0, 500);
        let held = go(upstream.admit(at(2), facts(9_999)));
        let found = counts(&mut upstream, at(2), &mut ids, 4_000);
        // In turn, whatever is in flight; or the busier of two by a quarter (SEMANTICS 3.2).
        let share = found[held.peer.index()] as f64 / 4_000.0;
        let expected = if algorithm == Algorithm::RoundRobinEdf { 0.5 } else { 0.25 };
        assert!((share - expected).abs() < 0.03, "{algorithm} {found:?}");
    }
}

/// Every host starts slowly when it joins, and shares by the curve until the window is over.
#[test]
fn a_slow_start_cuts_the_weights_of_the_schedule() {
    let mut config = config(3, 0, EnvoyRules::default());
    config.peers.iter_mut().for_each(|peer| peer.slow_start = Span::from_secs(10));
    let mut upstream = Upstream::new(&config, Seed::new(1, 0));
    let mut ids = 0;
    let joined = PeerConfig { slow_start: Span::from_secs(10), ..PeerConfig::new("d") };
    upstream.apply(at(60_000), PeerChange::Add(joined));
    let mut share = |millis| {
        let found = counts(&mut upstream, at(millis), &mut ids, 3_500);
        f64::from(found[3] as u32) / 3_500.0
    };
    let weight = |millis| share(millis) * 3.0 / (1.0 - share(millis));
    let found = [60_500, 65_000, 80_000].map(weight);
    for (found, expected) in found.into_iter().zip([0.1, 0.5, 1.0]) {
        assert!((found - expected).abs() < 0.02, "{found} of {expected}");
    }
}

/// A key's host has one request more than its slots before the next goes elsewhere, and the ring is
/// that of the healthy hosts.
#[test]
fn bounded_loads_hand_on_by_a_shuffle_of_the_key() {
    let mut config = config(5, 0, EnvoyRules::default());
    let ring = Ring::Envoy { size: 1024 };
    let bounded_load = Some(LoadFactor(15_000));
    config.algorithm = Algorithm::ConsistentHash(ConsistentHashConfig { ring, bounded_load });
    let run = |key: &[u8]| -> Vec<u32> {
        let mut upstream = Upstream::new(&config, Seed::new(1, 0));
        let key = config.algorithm.digest(key);
        let admit = |id| go(upstream.admit(at(0), RequestFacts { key, ..facts(id) })).peer.0;
        (0..6).map(admit).collect()
    };
    let mut second = std::collections::BTreeSet::new();
    for key in 0..40 {
        let peers = run(format!("key {key}").as_bytes());
        assert_eq!(peers, run(format!("key {key}").as_bytes()), "by the key alone");
        // One slot each at first: one in flight is not above it, two are.
        assert_eq!(peers[0], peers[1]);
        assert_ne!(peers[1], peers[2]);
        second.insert((peers[0], peers[2]));
    }
    assert!(second.len() > 12, "keys of one host do not all move to the same other: {second:?}");
}
