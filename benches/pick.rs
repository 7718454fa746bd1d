//! What a decision costs: `admit` and `finished` of one request, as the model's loop calls them.
//!
//! `held` requests are in flight throughout, so that least_conn sees loads as at work and not an
//! idle group; each iteration ends the oldest and admits one in its place. The attempt goes
//! straight from the answer to where it is kept: a large value that was just written field by
//! field and is moved at once costs as much again as the decision.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lab::policy::{
    Admission, Algorithm, Attempt, Next, Outcome, PeerConfig, QueueConfig, RequestFacts,
    ResilienceConfig, RetryConfig, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed};

fn upstream(algorithm: Algorithm, peers: usize) -> Upstream {
    let config = UpstreamConfig {
        algorithm,
        peers: (0..peers).map(|number| PeerConfig::new(number.to_string())).collect(),
        retry: RetryConfig::default(),
        health: None,
        queue: QueueConfig::default(),
        resilience: ResilienceConfig::default(),
    };
    Upstream::new(&config, Seed::new(1, 0))
}

/// One request in, the oldest out, and the two questions the model's loop asks after each event.
#[inline]
fn turn(upstream: &mut Upstream, slot: &mut Option<Attempt>, id: u64) {
    let now = Nanos(id * 1_000_000);
    if let Some(oldest) = slot.take() {
        let next = upstream.finished(now, oldest, Outcome::Responded);
        assert!(matches!(next, Next::Done));
    }
    match upstream.admit(now, RequestFacts { id, key: 0, idempotent: true }) {
        Admission::Go(attempt) => *slot = Some(attempt),
        other => panic!("an unlimited group takes every request, but: {other:?}"),
    }
    black_box((upstream.next_timeout(), upstream.poll_event().is_none()));
}

fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admit_and_finish");
    let algorithms =
        [Algorithm::RoundRobin, Algorithm::LeastConn, Algorithm::Random, Algorithm::RandomTwo];
    for algorithm in algorithms {
        for (peers, held) in [(4, 1), (4, 4), (4, 16), (64, 128), (1000, 1024)] {
            let mut upstream = upstream(algorithm, peers);
            let mut slots: Vec<Option<Attempt>> = (0..held).map(|_| None).collect();
            let mut id = 0;
            let name =
                BenchmarkId::new(format!("{algorithm:?}"), format!("{peers}_peers_{held}_held"));
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    turn(&mut upstream, &mut slots[id as usize % held], id);
                    id += 1;
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, pick);
criterion_main!(benches);
