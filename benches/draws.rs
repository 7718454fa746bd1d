//! What a draw costs: one block of random words, the logarithm, each law, and the whole plan.
//!
//! `cargo bench --no-default-features --bench draws` first compares our logarithm with libm's and
//! the platform's, all in turn, five rounds, as a request's two exponentials from one block;
//! then criterion measures each law and the plan.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, and the platform's logarithm is a peer"
)]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, Criterion};
use lab::traffic::arrival::ArrivalConfig;
use lab::traffic::logarithm::ln;
use lab::traffic::{ClassConfig, ClientConfig, Law, Plan, Source, Stage, TrafficConfig};
use lab::units::draw::unit_open;
use lab::units::{Bytes, Nanos, Purpose, Rate, Ratio, Seed, Span};

/// Draws per iteration; figures are for all of them.
const DRAWS: u64 = 1000;

const ROUNDS: usize = 5;
/// Batches of a round; a round's figure is its fastest batch, which no neighbour disturbed.
const BATCHES: usize = 500;

/// Nanoseconds per block for `DRAWS` blocks, each turned into a number by `draw`.
#[inline(always)]
fn batch(draw: impl Fn([u64; 2]) -> f64) -> f64 {
    let seed = Seed::new(1, 0);
    let begun = Instant::now();
    let sum: f64 = (0..DRAWS).map(|i| draw(seed.words(Purpose::Request, black_box(i)))).sum();
    black_box(sum);
    begun.elapsed().as_nanos() as f64 / DRAWS as f64
}

/// Block alone, and with two exponentials by our logarithm, libm's, and the platform's.
fn round() -> [f64; 4] {
    let mut best = [f64::MAX; 4];
    for _ in 0..BATCHES {
        let times = [
            batch(|[a, b]| (a ^ b) as f64),
            batch(|[a, b]| -ln(unit_open(!a)) - ln(unit_open(!b))),
            batch(|[a, b]| -libm::log(unit_open(!a)) - libm::log(unit_open(!b))),
            batch(|[a, b]| -unit_open(!a).ln() - unit_open(!b).ln()),
        ];
        best.iter_mut().zip(times).for_each(|(best, time)| *best = best.min(time));
    }
    best
}

fn logarithms_in_turn() {
    let rounds: Vec<[f64; 4]> = (0..ROUNDS).map(|_| round()).collect();
    let shown = |what: &str, unit: &str, value: &dyn Fn(&[f64; 4]) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let (low, median, high) = (values[0], values[ROUNDS / 2], values[ROUNDS - 1]);
        println!("{what:<44} {median:6.2} {unit} ({low:.2} to {high:.2})");
    };
    println!("{ROUNDS} rounds in turn; median (range)");
    shown("one block of two words", "ns", &|r| r[0]);
    shown("and two exponentials by our logarithm", "ns", &|r| r[1]);
    shown("and two exponentials by libm's", "ns", &|r| r[2]);
    shown("and two exponentials by the platform's", "ns", &|r| r[3]);
    shown("a logarithm, ours over libm's", "  ", &|r| (r[1] - r[0]) / (r[2] - r[0]));
}

fn over_draws(c: &mut Criterion, name: &str, draw: impl Fn([u64; 2]) -> f64) {
    let seed = Seed::new(1, 0);
    c.bench_function(name, |b| {
        b.iter(|| {
            (0..DRAWS).map(|i| draw(seed.words(Purpose::Request, black_box(i)))).sum::<f64>()
        });
    });
}

fn laws(c: &mut Criterion) {
    let mean = Span::from_millis(10);
    let (low, high) = (Span::from_millis(5), Span::from_millis(15));
    let values: Vec<Span> = (0..1000).map(Span).collect();
    for (name, law) in [
        ("constant", Law::Constant(mean)),
        ("uniform", Law::Uniform { low, high }),
        ("exponential", Law::Exponential { mean }),
        ("log-normal", Law::LogNormal { mean, sigma: 1.0 }),
        ("Pareto", Law::Pareto { mean, alpha: 2.5 }),
        ("bimodal", Law::Bimodal { fast: low, slow: high, slow_share: 0.1 }),
        ("empirical", Law::Empirical { sorted: values.into() }),
    ] {
        let law = black_box(law);
        over_draws(c, &format!("1000 demands, {name}"), |[_, word]| law.sample(word).0 as f64);
    }
}

fn plan(c: &mut Criterion) {
    let stage = Stage {
        name: String::new(),
        from: Nanos::ZERO,
        until: Nanos::MAX,
        rate_from: Rate(800.0),
        rate_until: Rate(800.0),
    };
    let class = ClassConfig {
        name: "all".to_owned(),
        path: "/".to_owned(),
        method: "GET".to_owned(),
        share: Ratio(1.0),
        body: Bytes(0),
    };
    let config = TrafficConfig {
        source: Source::Open { arrival: ArrivalConfig::Poisson, stages: vec![stage] },
        classes: vec![class],
        keys: None,
        client: ClientConfig {
            connections: 0,
            requests_per_connection: 0,
            timeout: Span::from_secs(60),
            in_flight_cap: 0,
        },
    };
    let plan = Plan::new(&config, Seed::new(1, 0), Nanos::MAX);
    c.bench_function("1000 requests of a Poisson plan", |b| {
        b.iter_batched(
            || plan.arrivals(),
            |arrivals| {
                arrivals
                    .take(DRAWS as usize)
                    .map(|r| r.at.0 ^ r.demand_word)
                    .fold(0, u64::wrapping_add)
            },
            BatchSize::SmallInput,
        );
    });
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if std::env::args().any(|argument| argument == "--bench") {
        logarithms_in_turn();
    }
    let mut criterion = Criterion::default().configure_from_args();
    laws(&mut criterion);
    plan(&mut criterion);
    criterion.final_summary();
}
