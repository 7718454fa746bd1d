//! How the model's cost grows with the number of servers, two random choices over many servers beside
//! a hand-written loop of the same, the event queue alone, and how much memory a hundred million
//! requests take.
//!
//! `cargo bench --no-default-features --bench scale` prints nanoseconds per request with the range of
//! five rounds, each line once it is measured, which takes about a minute for all; then criterion
//! measures the systems of 100 and 10,000 servers and the queue. `-- --memory` runs a hundred million
//! requests with every statistic kept and prints the largest resident set; with every row written
//! too, `lab run scenarios/steady.toml --only sim --set traffic.rate=320/s --set
//! scenario.duration=86.8h` is the same.
#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use lab::compare::{Digest, Layout};
use lab::record::{RequestRow, Sink};
use lab::scenario::Scenario;
use lab::sim::{Options, hold, run};
use lab::units::World;
use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Exp1};

/// The allocator of the program, where the build has it.
#[cfg(feature = "files")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const LOAD: f64 = 0.8;
const SERVICE_S: f64 = 0.010;
const ROUNDS: usize = 5;
const SERVERS: [usize; 3] = [4, 100, 10_000];
/// A run of a case that is slower has fewer requests.
const RUN_NS_MAX: f64 = 5e8;

/// Two random choices by hand: no plan, no policy, no records; departures in a heap, since thousands
/// are in flight. The mean latency in seconds.
fn by_hand(servers: usize, requests: u64, seed: u64) -> f64 {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let gap = SERVICE_S / (servers as f64 * LOAD);
    let mut free = vec![0.0f64; servers];
    let mut in_flight = vec![0u32; servers];
    // The bits of positive numbers are in the order of the numbers.
    let mut departures: BinaryHeap<Reverse<(u64, u32)>> = BinaryHeap::with_capacity(2 * servers);
    let (mut now, mut total) = (0.0, 0.0);
    for _ in 0..requests {
        let exponential: f64 = Exp1.sample(&mut random);
        now += gap * exponential;
        while let Some(Reverse((at, server))) = departures.peek().copied() {
            if f64::from_bits(at) > now {
                break;
            }
            departures.pop();
            in_flight[server as usize] -= 1;
        }
        let mut pick = || below(&mut random, servers);
        let (one, other) = (pick(), pick());
        let server = if in_flight[other] < in_flight[one] { other } else { one };
        let exponential: f64 = Exp1.sample(&mut random);
        let end = free[server].max(now) + SERVICE_S * exponential;
        free[server] = end;
        in_flight[server] += 1;
        departures.push(Reverse((end.to_bits(), server as u32)));
        total += end - now;
    }
    total / requests as f64
}

fn below(random: &mut impl Rng, bound: usize) -> usize {
    random.random_range(0..bound)
}

/// Sums latencies, as the loop does.
#[derive(Default)]
struct Mean {
    total: u64,
    count: u64,
}

impl Sink for Mean {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;
    #[inline]
    fn request(&mut self, row: &RequestRow) {
        self.total += row.latency_ns();
        self.count += 1;
    }
}

fn scenario(servers: usize, algorithm: &str, requests: u64) -> Scenario {
    let rate = servers as f64 * LOAD / SERVICE_S;
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
        algorithm = "{algorithm}"
        [[backend]]
        name = "b"
        count = {servers}
        service = {{ law = "exponential", mean = "{}ms" }}
        "#,
        requests as f64 / rate * 1e3,
        SERVICE_S * 1e3,
    );
    lab::scenario::parse(&text, "bench.toml").unwrap_or_else(|problems| panic!("{problems}"))
}

fn model(scenario: &Scenario) -> Mean {
    let mut sink = Mean::default();
    run(scenario, 0, &Options::default(), &mut sink);
    sink
}

/// Nanoseconds per request of one call.
fn cost(work: impl FnOnce() -> u64) -> f64 {
    let begun = Instant::now();
    let requests = black_box(work());
    begun.elapsed().as_secs_f64() * 1e9 / requests as f64
}

fn median_and_range(mut values: Vec<f64>, digits: usize) -> String {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[0], values[values.len() - 1]);
    format!("{:7.digits$} ({low:.digits$} to {high:.digits$})", values[values.len() / 2])
}

/// The loop by hand, or the model under an algorithm, over so many servers.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    servers: usize,
}

const BY_HAND: &str = "by hand";

impl Case {
    /// Nanoseconds per request of a run.
    fn cost(self, requests: u64, round: u64) -> f64 {
        if self.name == BY_HAND {
            return cost(|| {
                black_box(by_hand(self.servers, requests, round));
                requests
            });
        }
        let scenario = scenario(self.servers, self.name, requests);
        cost(|| model(&scenario).count)
    }

    /// So many requests that a run takes no longer than [`RUN_NS_MAX`].
    fn affordable(self, most: u64) -> u64 {
        let short = most.div_ceil(20);
        let cost = self.cost(short, 0);
        most.min((RUN_NS_MAX / cost) as u64).max(short)
    }
}

/// Each line is measured by itself, and printed at once: the case and the same over the fewest servers
/// in turn, and for two choices the loop by hand over as many.
fn compare(requests: u64) {
    println!("{ROUNDS} rounds in turn; ns per request, median (range)");
    println!("growth: cost over that with 4 servers; log n / log 4 is 3.3 for 100, 6.6 for 10,000");
    for name in [BY_HAND, "random_two", "least_conn", "round_robin"] {
        for servers in SERVERS {
            println!("{}", line(Case { name, servers }, requests));
        }
    }
    let servers = 100;
    let sink = model(&scenario(servers, "random_two", requests));
    println!(
        "mean latency of two choices over {servers}: {:.3} ms by hand, {:.3} ms by the model",
        by_hand(servers, requests, 1) * 1e3,
        sink.total as f64 / sink.count as f64 / 1e6
    );
}

fn line(case: Case, requests: u64) -> String {
    let few = Case { servers: SERVERS[0], ..case };
    let mut cases = vec![case, few];
    if case.name == "random_two" {
        cases.push(Case { name: BY_HAND, ..case });
    }
    let cases = cases.into_iter().map(|case| (case, case.affordable(requests)));
    let cases: Vec<(Case, u64)> = cases.collect();
    let round = |round| cases.iter().map(|(case, requests)| case.cost(*requests, round)).collect();
    let rounds: Vec<Vec<f64>> = (0..ROUNDS as u64).map(round).collect();
    let over = |of: usize, to: usize| {
        median_and_range(rounds.iter().map(|costs| costs[of] / costs[to]).collect(), 2)
    };
    let costs = median_and_range(rounds.iter().map(|costs| costs[0]).collect(), 1);
    let (Case { name, servers }, growth) = (case, over(0, 1));
    let mut line = format!("{name:11} {servers:6} {costs}, growth {growth}");
    if cases.len() > 2 {
        line.push_str(&format!(", speed over that by hand {}", over(2, 0)));
    }
    line
}

/// The largest resident set so far, in MiB.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}

fn memory(requests: u64) {
    let scenario = scenario(4, "least_conn", requests);
    let mut digest = Digest::new(&Layout::new(&scenario), World::Sim);
    let begun = Instant::now();
    run(&scenario, 0, &Options::default(), &mut digest);
    let summary = digest.summary();
    let took = begun.elapsed().as_secs_f64();
    let peak = peak_mib().expect("a system that tells");
    println!("{} requests: {took:.1} s, at most {peak:.0} MiB resident", summary.requests);
    assert!(peak < 500.0, "the goal is 500 MiB");
}

fn main() {
    let has = |flag: &str| std::env::args().any(|argument| argument == flag);
    let test = has("--test");
    if has("--memory") {
        return memory(if test { 200_000 } else { 100_000_000 });
    }
    let one_alone = std::env::args().skip(1).any(|argument| !argument.starts_with('-'));
    if !one_alone {
        compare(if test { 2_000 } else { 1_000_000 });
    }
    let mut criterion = Criterion::default().configure_from_args().sample_size(10);
    let requests = if test { 2_000 } else { 500_000 };
    for servers in &SERVERS[1..] {
        let mut group = criterion.benchmark_group(format!("{servers}_servers"));
        group.throughput(Throughput::Elements(requests));
        let two = scenario(*servers, "random_two", requests);
        group.bench_function("by_hand", |bench| bench.iter(|| by_hand(*servers, requests, 1)));
        group.bench_function("random_two", |bench| bench.iter(|| model(&two).total));
        group.finish();
    }
    event_queue(&mut criterion, if test { 1_000 } else { 100_000 });
    criterion.final_summary();
}

/// One event taken and one added, with so many in the queue.
fn event_queue(criterion: &mut Criterion, times: u64) {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let gap = |exponential: f64| (exponential * 1e7) as u64;
    let gaps: Vec<u64> = (0..65_536).map(|_| gap(Exp1.sample(&mut random))).collect();
    let mut group = criterion.benchmark_group("event_queue_hold");
    group.throughput(Throughput::Elements(times));
    for events in [4, 30, 100, 10_000] {
        group.bench_function(events.to_string(), |bench| {
            bench.iter(|| hold(events, times, &gaps));
        });
    }
    group.finish();
}
