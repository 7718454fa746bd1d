//! What Envoy 1.40 did, and what the published definitions come to, against the policies that
//! follow the load of their peers (`tests/vectors/*.json`).
//!
//! Servers are a, b, c, … in configuration order. Envoy's scheduler starts after a random number of
//! picks, and rounding noise of that start orders equal deadlines: a recording fits if there is a
//! start from which each recorded pick had the smallest deadline, or one within 1e-6 of it.

#[path = "engines/edf_starts.rs"]
mod edf_starts;
#[path = "vectors/recorded.rs"]
mod recorded;

use std::collections::HashMap;

use edf_starts::{starts, was_due};

use lab::policy::balance::edf::Edf;
use lab::policy::balance::peak_ewma::PeakEwma;
use lab::policy::balance::prequal::b_reuse;
use lab::policy::{
    Admission, Algorithm, Attempt, LeastRequestConfig, Outcome, PeakEwmaConfig, PeakEwmaVariant,
    PeerConfig, RequestFacts, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed, Span};
use recorded::{read, recorded};
use serde::Deserialize;

const LEAST_REQUEST: Algorithm = Algorithm::LeastRequest(LeastRequestConfig::DEFAULT);

fn upstream(algorithm: Algorithm, weights: &[u32]) -> Upstream {
    let named = weights.iter().zip('a'..);
    let peers = named.map(|(&weight, name)| PeerConfig { weight, ..PeerConfig::new(name) });
    Upstream::new(&UpstreamConfig::new(algorithm, peers.collect()), Seed::new(5, 0))
}

fn admit(upstream: &mut Upstream, id: u64) -> Attempt {
    match upstream.admit(Nanos(id), RequestFacts { id, key: 0, idempotent: true }) {
        Admission::Go(attempt) => attempt,
        other => panic!("an unlimited group takes every request, but: {other:?}"),
    }
}

fn place(name: char) -> usize {
    (name as u8 - b'a') as usize
}

#[derive(Deserialize)]
struct PicksCase {
    weights: Vec<u32>,
    picks: String,
}

#[test]
fn weighted_round_robin_picks_as_envoy_did() {
    for PicksCase { weights, picks } in recorded::<PicksCase>("envoy_round_robin.json") {
        let rates: Vec<f64> = weights.iter().copied().map(f64::from).collect();
        let fits = |mut edf: Edf| {
            picks.chars().map(place).all(|server| {
                let due = was_due(&edf, server);
                edf.serve(server, rates[server]);
                due
            })
        };
        assert!(starts(&rates).into_iter().any(fits), "{weights:?} {picks}");

        // And the policy itself, by the counts of what was recorded.
        let cycle: u32 = weights.iter().sum();
        let mut upstream = upstream(Algorithm::RoundRobinEdf, &weights);
        let mut counts = vec![0; weights.len()];
        for id in 0..u64::from(cycle) * 100 {
            let attempt = admit(&mut upstream, id);
            counts[attempt.peer.index()] += 1;
            let _done = upstream.finished(Nanos(id), attempt, Outcome::Responded);
        }
        for (count, weight) in counts.into_iter().zip(&weights) {
            assert!(100 * weight - 1 <= count && count <= 100 * weight + 1, "{weights:?} {count}");
        }
    }
}

#[derive(Deserialize)]
struct HeldCase {
    weights: Vec<u32>,
    ops: Vec<Op>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Op {
    Start(String, u64, char),
    Finish(String, u64),
}

#[test]
fn unequal_weights_and_requests_in_flight_pick_as_envoy_did() {
    for HeldCase { weights, ops } in recorded::<HeldCase>("envoy_weighted_least_request.json") {
        let rates: Vec<f64> = weights.iter().copied().map(f64::from).collect();
        let fits = |mut edf: Edf| {
            let mut active = vec![0.0; rates.len()];
            let mut open = HashMap::new();
            ops.iter().all(|op| match op {
                Op::Start(word, id, name) => {
                    assert_eq!(word, "start");
                    let server = place(*name);
                    let due = was_due(&edf, server);
                    edf.serve(server, rates[server] / (active[server] + 1.0));
                    active[server] += 1.0;
                    open.insert(*id, server);
                    due
                }
                Op::Finish(word, id) => {
                    assert_eq!(word, "finish");
                    active[open.remove(id).unwrap()] -= 1.0;
                    true
                }
            })
        };
        assert!(starts(&rates).into_iter().any(fits), "{weights:?}");
    }
}

/// The policy does what the checker above does: it never departs from the scheduler's order.
#[test]
fn the_policy_follows_the_scheduler_with_weights_as_of_the_last_pick() {
    let weights = [5, 5, 3];
    let rates = weights.map(f64::from);
    let mut upstream = upstream(LEAST_REQUEST, &weights);
    let mut open: Vec<Attempt> = Vec::new();
    let mut picked = Vec::new();
    for id in 0..400 {
        if id % 3 == 2 {
            let attempt = open.remove((id as usize * 7) % open.len());
            picked.push((attempt.peer.index(), false));
            let _done = upstream.finished(Nanos(id), attempt, Outcome::Responded);
        } else {
            let attempt = admit(&mut upstream, id);
            picked.push((attempt.peer.index(), true));
            open.push(attempt);
        }
    }
    let fits = |mut edf: Edf| {
        let mut active = [0.0; 3];
        picked.iter().all(|&(server, starts)| {
            if !starts {
                active[server] -= 1.0;
                return true;
            }
            let due = was_due(&edf, server);
            edf.serve(server, rates[server] / (active[server] + 1.0));
            active[server] += 1.0;
            due
        })
    };
    assert!(starts(&rates).into_iter().any(fits));
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StatisticsCase {
    Policy {
        policy: String,
        weights: Vec<u32>,
        held_on: String,
        then_sequential_requests: u64,
        counts: HashMap<char, u64>,
    },
    TwoHosts {
        held_on: String,
        sequential_requests: u64,
        counts: HashMap<char, u64>,
        expected_share_of_held_host: f64,
    },
}

/// Holds a request at each of `names`, then lets `count` requests come one after another.
fn shares(algorithm: Algorithm, weights: &[u32], names: &str, count: u64) -> Vec<f64> {
    let mut upstream = upstream(algorithm, weights);
    let mut wanted: Vec<usize> = names.chars().map(place).collect();
    let mut held = Vec::new();
    let mut counts = vec![0.0; weights.len()];
    let mut id = 0;
    while !wanted.is_empty() {
        let attempt = admit(&mut upstream, id);
        match wanted.iter().position(|server| *server == attempt.peer.index()) {
            Some(found) => {
                wanted.remove(found);
                held.push(attempt);
            }
            None => drop(upstream.finished(Nanos(id), attempt, Outcome::Responded)),
        }
        id += 1;
        assert!(id < 10_000, "{names} are never all picked");
    }
    for id in id..id + count {
        let attempt = admit(&mut upstream, id);
        counts[attempt.peer.index()] += 1.0;
        drop(upstream.finished(Nanos(id), attempt, Outcome::Responded));
    }
    held.into_iter().for_each(|attempt| {
        drop(upstream.finished(Nanos(id + count), attempt, Outcome::Responded));
    });
    counts.iter().map(|of_server| of_server / count as f64).collect()
}

/// The χ² distance of the recorded counts from shares.
fn chi_square(counts: &HashMap<char, u64>, shares: &[f64]) -> f64 {
    let total = counts.values().sum::<u64>() as f64;
    let distance = |(&name, &count): (&char, &u64)| {
        let expected = shares[place(name)] * total;
        let off = count as f64 - expected;
        off * off / expected
    };
    counts.iter().map(distance).sum()
}

/// Envoy's counts are one random run each: they must be such as the policy may give, and the
/// policy's shares must be those of the definition. χ² at 99.9 %: 16.27 for 3 degrees of freedom,
/// 10.83 for one.
#[test]
fn shares_are_those_of_envoy_within_chance() {
    const MANY: u64 = 200_000;
    let mut seen = 0;
    for case in recorded::<StatisticsCase>("envoy_statistics.json") {
        seen += 1;
        match case {
            StatisticsCase::TwoHosts {
                held_on,
                sequential_requests,
                counts,
                expected_share_of_held_host,
            } => {
                let shares = shares(LEAST_REQUEST, &[1, 1], &held_on, MANY);
                let held = shares[place(held_on.chars().next().unwrap())];
                assert!((held - expected_share_of_held_host).abs() < 0.005, "{held}");
                assert_eq!(counts.values().sum::<u64>(), sequential_requests);
                assert!(chi_square(&counts, &shares) < 10.83);
            }
            StatisticsCase::Policy {
                policy,
                weights,
                held_on,
                then_sequential_requests,
                counts,
            } => {
                let algorithm = match policy.as_str() {
                    "LEAST_REQUEST" => LEAST_REQUEST,
                    "RANDOM" => Algorithm::Random,
                    other => panic!("the recording has an unknown policy: {other}"),
                };
                if weights.iter().any(|weight| *weight != weights[0]) {
                    // No chance in it: the very counts, but for where the cycle is cut.
                    let found = shares(algorithm, &weights, &held_on, then_sequential_requests);
                    for (&name, &count) in &counts {
                        let ours = found[place(name)] * then_sequential_requests as f64;
                        assert!((ours - count as f64).abs() <= 1.0, "{weights:?} {name} {ours}");
                    }
                } else {
                    let shares = shares(algorithm, &weights, &held_on, MANY);
                    let distance = chi_square(&counts, &shares);
                    assert!(distance < 16.27, "{policy} {shares:?} {distance}");
                }
            }
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn with_a_full_scan_the_idle_one_gets_everything() {
    let config = LeastRequestConfig { full_scan: true, ..LeastRequestConfig::DEFAULT };
    let shares = shares(Algorithm::LeastRequest(config), &[1, 1, 1, 1], "dab", 1_000);
    assert_eq!(shares, [0.0, 0.0, 1.0, 0.0]);
}

#[derive(Deserialize)]
struct Published {
    peak_ewma: Vec<PeakEwmaCase>,
    prequal_b_reuse: Vec<ReuseCase>,
}

#[derive(Deserialize)]
struct PeakEwmaCase {
    variant: PeakEwmaVariant,
    #[serde(default)]
    default_rtt_s: f64,
    tau_s: f64,
    events: Vec<PeakEwmaEvent>,
    loads: Vec<(f64, f64)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum PeakEwmaEvent {
    End(String, f64, f64),
    Other(String, f64),
}

#[test]
fn peak_ewma_has_the_published_loads() {
    for case in read::<Published>("published.json").peak_ewma {
        let config = PeakEwmaConfig {
            variant: case.variant,
            decay: Span::from_secs_f64(case.tau_s),
            default_rtt: Span::from_secs_f64(case.default_rtt_s),
        };
        let mut peer = PeakEwma::new(config, Nanos::ZERO);
        let mut loads = case.loads.iter();
        for event in &case.events {
            match event {
                PeakEwmaEvent::End(word, at, rtt) => {
                    assert_eq!(word, "end");
                    peer.end(Nanos::from_secs_f64(*at), Span::from_secs_f64(*rtt));
                }
                PeakEwmaEvent::Other(word, at) if word == "load" => {
                    let (when, seconds) = loads.next().unwrap();
                    assert_eq!(when, at);
                    // Written in seconds, but for the penalty, which is a number of its own.
                    let nanos = if *seconds > 1e12 { *seconds } else { seconds * 1e9 };
                    let load = peer.load(Nanos::from_secs_f64(*at));
                    assert!((load - nanos).abs() <= 1e-9 * nanos, "{at}: {load} and {nanos}");
                }
                PeakEwmaEvent::Other(word, _) => {
                    assert_eq!(word, "start");
                    peer.start();
                }
            }
        }
        assert!(loads.next().is_none());
    }
}

#[derive(Deserialize)]
struct ReuseCase {
    r_probe: f64,
    r_remove: f64,
    m: f64,
    n: f64,
    delta: f64,
    b_reuse: f64,
}

#[test]
fn answers_are_used_as_often_as_published() {
    let cases = read::<Published>("published.json").prequal_b_reuse;
    assert_eq!(cases.len(), 4);
    for case in cases {
        let ours = b_reuse(case.r_probe, case.r_remove, case.m, case.n, case.delta).unwrap();
        assert!((ours / case.b_reuse - 1.0).abs() < 1e-9, "{ours} and {}", case.b_reuse);
    }
    assert_eq!(b_reuse(3.0, 1.0, 16.0, 24.0, 1.0), None, "no meaning: 1 new answer, 1 removed");
}
