//! What a draw costs: one block of random words, the logarithm, each law, and the whole plan.
//!
//! The bound is a request's two exponentials from one block, about 17 ns on the machine this was
//! designed for; libm's logarithm runs beside ours, so the ratio holds on any machine.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use lab::traffic::arrival::ArrivalConfig;
use lab::traffic::logarithm::ln;
use lab::traffic::{ClassConfig, ClientConfig, Law, Plan, Source, Stage, TrafficConfig};
use lab::units::draw::unit_open;
use lab::units::{Bytes, Nanos, Purpose, Rate, Ratio, Seed, Span};

/// Draws per iteration; figures are for all of them.
const DRAWS: u64 = 1000;

fn over_draws(c: &mut Criterion, name: &str, draw: impl Fn([u64; 2]) -> f64) {
    let seed = Seed::new(1, 0);
    c.bench_function(name, |b| {
        b.iter(|| {
            (0..DRAWS).map(|i| draw(seed.words(Purpose::Request, black_box(i)))).sum::<f64>()
        });
    });
}

fn blocks(c: &mut Criterion) {
    over_draws(c, "1000 blocks of two words", |[a, b]| (a ^ b) as f64);
    over_draws(c, "1000 blocks, two exponentials, our logarithm", |[a, b]| {
        -ln(unit_open(!a)) - ln(unit_open(!b))
    });
    over_draws(c, "1000 blocks, two exponentials, libm's logarithm", |[a, b]| {
        -libm::log(unit_open(!a)) - libm::log(unit_open(!b))
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

criterion_group!(benches, blocks, laws, plan);
criterion_main!(benches);
