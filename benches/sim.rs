//! The model beside a hand-written loop over an array of departures of the same system: four
//! servers, least connections, Poisson arrivals, exponential service, load 0.8, one core.
//!
//! `cargo bench --no-default-features --bench sim` first runs all of them in turn, five rounds,
//! and prints requests per second and the share of the loop's speed, with the range of the rounds;
//! with `--features files` also with the rows written to Parquet files; also a model whose servers
//! share themselves among their requests, which the loop does not. Then criterion measures each.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use hdrhistogram::Histogram;
use lab::record::{Discard, RequestRow, Sink};
use lab::scenario::Scenario;
use lab::sim::{Options, run};
use lab::units::Span;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution, Exp1};

/// The allocator of the program, where the build has it.
#[cfg(feature = "files")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVERS: usize = 4;
const LOAD: f64 = 0.8;
const SERVICE_S: f64 = 0.010;
const ROUNDS: usize = 5;

/// Takes every latency, or none.
trait Latencies {
    fn take(&mut self, nanos: u64);
}

impl Latencies for () {
    #[inline]
    fn take(&mut self, _: u64) {}
}

impl Latencies for Histogram<u64> {
    #[inline]
    fn take(&mut self, nanos: u64) {
        self.saturating_record(nanos);
    }
}

/// The bound: no plan, no policy, no records, and a sequential generator. An array holds the
/// departures of everything in flight; ties go to the server after the last one.
fn hand_loop(requests: u64, seed: u64, latencies: &mut impl Latencies) -> f64 {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let gap = SERVICE_S / (SERVERS as f64 * LOAD);
    let mut free = [0.0f64; SERVERS];
    let mut in_flight = [0u32; SERVERS];
    let mut departures: Vec<(f64, usize)> = Vec::with_capacity(1024);
    let (mut now, mut total, mut last) = (0.0, 0.0, 0);
    for _ in 0..requests {
        let exponential: f64 = Exp1.sample(&mut random);
        now += gap * exponential;
        let mut place = 0;
        while place < departures.len() {
            if departures[place].0 <= now {
                in_flight[departures[place].1] -= 1;
                departures.swap_remove(place);
            } else {
                place += 1;
            }
        }
        let mut server = (last + 1) % SERVERS;
        for step in 2..=SERVERS {
            let other = (last + step) % SERVERS;
            if in_flight[other] < in_flight[server] {
                server = other;
            }
        }
        last = server;
        let exponential: f64 = Exp1.sample(&mut random);
        let end = free[server].max(now) + SERVICE_S * exponential;
        free[server] = end;
        in_flight[server] += 1;
        departures.push((end, server));
        total += end - now;
        latencies.take(((end - now) * 1e9) as u64);
    }
    total / requests as f64
}

/// Sums latencies, as the loop does.
#[derive(Default)]
struct Mean<L> {
    total: u64,
    count: u64,
    latencies: L,
}

impl<L: Latencies> Sink for Mean<L> {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;
    #[inline]
    fn request(&mut self, row: &RequestRow) {
        self.total += row.latency_ns();
        self.count += 1;
        self.latencies.take(row.latency_ns());
    }
}

fn scenario(requests: u64, discipline: &str) -> Scenario {
    let rate = SERVERS as f64 * LOAD / SERVICE_S;
    let text = format!(
        r#"
        schema_version = 1
        [scenario]
        name = "bench"
        seed = 1
        duration = "{}ms"
        [traffic]
        rate = "{rate}/s"
        [traffic.client]
        timeout = "60s"
        [balancer]
        algorithm = "least_conn"
        [[backend]]
        name = "b"
        count = {SERVERS}
        discipline = "{discipline}"
        service = {{ law = "exponential", mean = "{}ms" }}
        "#,
        requests as f64 / rate * 1e3,
        SERVICE_S * 1e3,
    );
    lab::scenario::parse(&text, "bench.toml").unwrap_or_else(|problems| panic!("{problems}"))
}

fn model<L: Latencies>(scenario: &Scenario, latencies: L) -> Mean<L> {
    let mut sink = Mean { total: 0, count: 0, latencies };
    run(scenario, 0, &Options::default(), &mut sink);
    sink
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, Span::from_secs(60).0, 3).expect("the bounds are in order")
}

/// Requests per second of one call, in millions.
fn speed(work: impl FnOnce() -> u64) -> f64 {
    let begun = Instant::now();
    let requests = black_box(work());
    requests as f64 / begun.elapsed().as_secs_f64() / 1e6
}

fn median_and_range(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[0], values[values.len() - 1]);
    format!("{:6.2} ({low:.2} to {high:.2})", values[values.len() / 2])
}

/// The model with its rows written to Parquet files.
#[cfg(feature = "files")]
mod recorded {
    use std::fs;
    use std::path::{Path, PathBuf};

    use lab::record::{AttemptRow, Names, RecordError, Recorder, RequestRow, Sink};
    use lab::scenario::Scenario;
    use lab::sim::{Options, run};

    /// Leaves the attempts out, so that the model need not make them either.
    struct Requests(Recorder);

    impl Sink for Requests {
        const ATTEMPTS: bool = false;
        const TIMELINE: bool = false;
        #[inline]
        fn request(&mut self, row: &RequestRow) {
            self.0.request(row);
        }
    }

    struct All(Recorder);

    impl Sink for All {
        const TIMELINE: bool = false;
        #[inline]
        fn request(&mut self, row: &RequestRow) {
            self.0.request(row);
        }
        #[inline]
        fn attempt(&mut self, row: &AttemptRow) {
            self.0.attempt(row);
        }
    }

    type Begin = fn(&Path, &str, &Names) -> Result<Recorder, RecordError>;

    /// Requests alone and with their attempts, each in this thread and with a second one.
    pub(super) fn speeds(scenario: &Scenario) -> [f64; 4] {
        [
            written(Recorder::create, Requests, |sink| sink.0, scenario),
            written(Recorder::threaded, Requests, |sink| sink.0, scenario),
            written(Recorder::create, All, |sink| sink.0, scenario),
            written(Recorder::threaded, All, |sink| sink.0, scenario),
        ]
    }

    fn written<S: Sink>(
        begin: Begin,
        wrap: fn(Recorder) -> S,
        unwrap: fn(S) -> Recorder,
        scenario: &Scenario,
    ) -> f64 {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-sim");
        fs::create_dir_all(&folder).expect("the target folder takes folders");
        let names = Names::new(scenario.backends.iter().map(|b| b.name.clone()), ["all"]);
        let speed = super::speed(|| {
            let recorder = begin(&folder, "bench", &names).expect("the folder takes files");
            let mut sink = wrap(recorder);
            let finished = run(scenario, 0, &Options::default(), &mut sink).counts.finished;
            unwrap(sink).finish().expect("the disk has room");
            finished
        });
        fs::remove_dir_all(&folder).expect("the folder was just made");
        speed
    }
}

fn compare(requests: u64) {
    let (sharing, scenario) = (scenario(requests, "ps"), scenario(requests, "fifo"));
    let mut discard = Discard;
    let mut rounds: Vec<Vec<f64>> = Vec::new();
    for round in 0..ROUNDS as u64 {
        #[cfg_attr(not(feature = "files"), expect(unused_mut, reason = "files add to it"))]
        let mut speeds = vec![
            speed(|| {
                black_box(hand_loop(requests, round, &mut ()));
                requests
            }),
            speed(|| {
                black_box(hand_loop(requests, round, &mut histogram()));
                requests
            }),
            speed(|| run(&scenario, 0, &Options::default(), &mut discard).counts.finished),
            speed(|| model(&scenario, ()).count),
            speed(|| model(&scenario, histogram()).count),
            speed(|| model(&sharing, ()).count),
        ];
        #[cfg(feature = "files")]
        speeds.extend(recorded::speeds(&scenario));
        rounds.push(speeds);
    }
    let mut names = vec![
        "hand loop (L)",
        "L, histogram",
        "model",
        "model, mean",
        "model, histogram",
        "sharing",
    ];
    if cfg!(feature = "files") {
        names.extend(["requests written", "…, 2nd thread", "attempts too", "…, 2nd thread"]);
    }
    println!("{requests} requests, {ROUNDS} rounds in turn; median (range)");
    for (column, name) in names.iter().enumerate() {
        let speeds = rounds.iter().map(|round| round[column]).collect();
        let shares = rounds.iter().map(|round| round[column] / round[0]).collect();
        println!(
            "{name:18} {} M requests/s, share of L {}",
            median_and_range(speeds),
            median_and_range(shares)
        );
    }
    let by_hand = hand_loop(requests, 1, &mut ()) * 1e3;
    let sink = model(&scenario, ());
    println!(
        "mean latency: {by_hand:.3} ms by hand, {:.3} ms by the model",
        sink.total as f64 / sink.count as f64 / 1e6
    );
}

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    let one_alone = std::env::args().skip(1).any(|argument| !argument.starts_with('-'));
    if !one_alone {
        compare(if test { 20_000 } else { 3_000_000 });
    }
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let requests = if test { 20_000 } else { 1_000_000 };
    let mut group = criterion.benchmark_group("four_servers");
    group.throughput(Throughput::Elements(requests));
    let scenario = scenario(requests, "fifo");
    group.bench_function("hand_loop", |bench| bench.iter(|| hand_loop(requests, 1, &mut ())));
    group.bench_function("model", |bench| bench.iter(|| model(&scenario, ()).total));
    group.bench_function("model_histogram", |bench| {
        bench.iter(|| model(&scenario, histogram()).total);
    });
    group.finish();
    criterion.final_summary();
}
