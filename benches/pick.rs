//! What a decision costs: `admit` and `finished` of one request, as the model's loop calls them.
//!
//! `held` requests are in flight throughout, so that least_conn sees loads as at work and not an
//! idle group; each iteration ends the oldest and admits one in its place. The attempt goes
//! straight from the answer to where it is kept: a large value that was just written field by
//! field and is moved at once costs as much again as the decision.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lab::policy::{
    Admission, Algorithm, Attempt, ConsistentHashConfig, LeastRequestConfig, LoadFactor,
    MaglevConfig, Next, Outcome, PeakEwmaConfig, PeerChange, PeerConfig, PeerId, Policy,
    PrequalConfig, RequestFacts, Ring, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed};

#[path = "../examples/quickest_of_two.rs"]
#[allow(dead_code, unused_imports, unreachable_pub, reason = "a program with a main and tests")]
mod quickest_of_two;

/// Policies of one's own that are timed too.
const OWN: &[Policy] = &[quickest_of_two::POLICY];

const BOUNDED: ConsistentHashConfig =
    ConsistentHashConfig { ring: Ring::Ketama, bounded_load: Some(LoadFactor(12_500)) };

/// Name, algorithm, and whether its cost should not grow with the peers, so that 10,000 are timed.
fn algorithms() -> Vec<(String, Algorithm, bool)> {
    let ketama = ConsistentHashConfig::default();
    let built_in = [
        ("round_robin", Algorithm::RoundRobin, true),
        ("least_conn", Algorithm::LeastConn, true),
        ("random", Algorithm::Random, true),
        ("random_two", Algorithm::RandomTwo, true),
        ("ip_hash", Algorithm::IpHash, true),
        ("hash", Algorithm::Hash, true),
        ("consistent_hash", Algorithm::ConsistentHash(ketama), true),
        ("consistent_hash_125", Algorithm::ConsistentHash(BOUNDED), true),
        ("maglev", Algorithm::Maglev(MaglevConfig::default()), true),
        ("round_robin_edf", Algorithm::RoundRobinEdf, true),
        ("least_request", Algorithm::LeastRequest(LeastRequestConfig::DEFAULT), true),
        ("peak_ewma", Algorithm::PeakEwma(PeakEwmaConfig::DEFAULT), true),
        ("prequal", Algorithm::Prequal(PrequalConfig::DEFAULT), true),
    ];
    let built_in = built_in.map(|(name, algorithm, flat)| (name.to_owned(), algorithm, flat));
    let own = OWN.iter().map(|own| (format!("own/{}", own.name), Algorithm::Own(*own), false));
    built_in.into_iter().chain(own).collect()
}

fn upstream(algorithm: Algorithm, peers: usize) -> Upstream {
    let peers = (0..peers).map(|number| PeerConfig::new(format!("10.0.0.{number}:80"))).collect();
    Upstream::new(&UpstreamConfig::new(algorithm, peers), Seed::new(1, 0))
}

/// Digests of many keys, so that tables and rings are not read at one place alone.
fn keys(algorithm: Algorithm) -> Vec<u64> {
    let digest = |number: u32| match algorithm {
        Algorithm::IpHash => {
            let address = number.wrapping_mul(0x9E37_79B1).to_be_bytes();
            algorithm.digest_address(std::net::IpAddr::from(address))
        }
        _ => algorithm.digest(format!("user:{number}").as_bytes()),
    };
    (0..4096).map(digest).collect()
}

/// One request in, the oldest out, and the two questions the model's loop asks after each event.
#[inline]
fn turn(upstream: &mut Upstream, slot: &mut Option<Attempt>, id: u64, key: u64) {
    let now = Nanos(id * 1_000_000);
    if let Some(oldest) = slot.take() {
        let next = upstream.finished(now, oldest, Outcome::Responded);
        assert!(matches!(next, Next::Done));
    }
    match upstream.admit(now, RequestFacts { id, key, idempotent: true }) {
        Admission::Go(attempt) => *slot = Some(attempt),
        other => panic!("an unlimited group takes every request, but: {other:?}"),
    }
    black_box((upstream.next_timeout(), upstream.poll_event().is_none()));
}

fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admit_and_finish");
    for (label, algorithm, flat) in algorithms() {
        let most = if flat { 10_000 } else { 1_000 };
        for (peers, held) in [(4, 1), (4, 16), (100, 200), (1_000, 1_024), (10_000, 10_240)] {
            if peers > most {
                continue;
            }
            let mut upstream = upstream(algorithm, peers);
            let keys = keys(algorithm);
            let mut slots: Vec<Option<Attempt>> = (0..held).map(|_| None).collect();
            let mut id = 0;
            let name = BenchmarkId::new(&label, format!("{peers}_peers_{held}_held"));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let place = id as usize;
                    let key = keys[place % keys.len()];
                    turn(&mut upstream, &mut slots[place % held], id, key);
                    id += 1;
                });
            });
        }
    }
    group.finish();
}

/// What a change of the peers costs the algorithms that keep tables: a weight changes.
fn change(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("change_of_a_weight");
    group.sample_size(10);
    for (label, algorithm, _) in algorithms().into_iter().filter(|one| one.1.hashes()) {
        for peers in [4, 100, 1_000] {
            let mut upstream = upstream(algorithm, peers);
            let mut weight = 1;
            group.bench_function(BenchmarkId::new(&label, peers), |bencher| {
                bencher.iter(|| {
                    weight = 3 - weight;
                    upstream.apply(Nanos::ZERO, PeerChange::Weight(PeerId(1), weight));
                    while upstream.poll_event().is_some() {}
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pick, change);
criterion_main!(benches);
