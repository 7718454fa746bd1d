//! What a decision costs: `admit` and `finished` of one request, as the model's loop calls them.
//!
//! `held` requests are in flight throughout, so that least_conn sees loads as at work and not an
//! idle group; each iteration ends the oldest and admits one.

use std::collections::VecDeque;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lab::policy::{
    Admission, Algorithm, Attempt, Outcome, PeerConfig, QueueConfig, RequestFacts, RetryConfig,
    Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed};

fn upstream(algorithm: Algorithm, peers: usize) -> Upstream {
    let config = UpstreamConfig {
        algorithm,
        peers: (0..peers).map(|number| PeerConfig::new(number.to_string())).collect(),
        retry: RetryConfig::default(),
        health: None,
        queue: QueueConfig::default(),
    };
    Upstream::new(&config, Seed::new(1, 0))
}

fn admit(upstream: &mut Upstream, id: u64) -> Attempt {
    let facts = RequestFacts { id, key: 0, idempotent: true };
    match upstream.admit(Nanos(id * 1_000_000), facts) {
        Admission::Go(attempt) => attempt,
        other => panic!("an unlimited group takes every request, but: {other:?}"),
    }
}

/// One request in, the oldest out, and the two questions the model's loop asks after each event.
fn turn(upstream: &mut Upstream, held: &mut VecDeque<Attempt>, id: u64) {
    let now = Nanos(id * 1_000_000);
    if let Some(oldest) = held.pop_front() {
        black_box(upstream.finished(now, oldest, Outcome::Responded));
    }
    held.push_back(admit(upstream, id));
    black_box((upstream.next_timeout(), upstream.poll_event()));
}

fn pick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admit_and_finish");
    let algorithms =
        [Algorithm::RoundRobin, Algorithm::LeastConn, Algorithm::Random, Algorithm::RandomTwo];
    for (algorithm, (peers, held_count)) in algorithms
        .into_iter()
        .flat_map(|a| [(4, 1), (4, 3), (4, 13), (64, 100)].map(|size| (a, size)))
    {
        let mut upstream = upstream(algorithm, peers);
        let mut held: VecDeque<Attempt> =
            (0..held_count).map(|id| admit(&mut upstream, id)).collect();
        let mut id = held_count;
        let name =
            BenchmarkId::new(format!("{algorithm:?}"), format!("{peers}_peers_{held_count}_held"));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                id += 1;
                turn(&mut upstream, &mut held, id);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, pick);
criterion_main!(benches);
