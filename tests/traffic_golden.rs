//! The exact nanoseconds of some arrivals and demands of every process and law.
//!
//! They must come out of every build, on every machine: a change here changes every result that
//! anyone has published with a seed. So a failing line is a fault of the change, not of the line.

use lab::traffic::arrival::{ArrivalConfig, TraceEntry};
use lab::traffic::service::demand_word;
use lab::traffic::{
    ClassConfig, ClientConfig, KeyConfig, Law, Plan, Request, Source, Stage, TrafficConfig,
};
use lab::units::{Bytes, Nanos, Purpose, Rate, Ratio, Seed, Span};

const SEED: (u64, u32) = (20_260_101, 3);

fn seed() -> Seed {
    Seed::new(SEED.0, SEED.1)
}

fn stage(from: u64, until: u64, rate_from: f64, rate_until: f64) -> Stage {
    let second = 1_000_000_000;
    Stage {
        name: String::new(),
        from: Nanos(from * second),
        until: Nanos(until * second),
        rate_from: Rate(rate_from),
        rate_until: Rate(rate_until),
    }
}

fn class(name: &str, share: f64) -> ClassConfig {
    let (path, method) = ("/".to_owned(), "GET".to_owned());
    ClassConfig { name: name.to_owned(), path, method, share: Ratio(share), body: Bytes(0) }
}

fn plan(source: Source) -> Plan {
    let config = TrafficConfig {
        source,
        classes: vec![class("a", 0.7), class("b", 0.3)],
        keys: Some(KeyConfig { count: 1_000_000, exponent: 0.9 }),
        client: ClientConfig {
            connections: 0,
            requests_per_connection: 0,
            timeout: Span::from_secs(60),
            in_flight_cap: 0,
        },
    };
    Plan::new(&config, seed(), Nanos(60_000_000_000))
}

/// Arrivals 0, 1, 2, 999 and 9,999, in nanoseconds, through a ramp, a pause and a step.
fn arrivals(arrival: ArrivalConfig) -> [u64; 5] {
    let stages =
        vec![stage(0, 10, 0.0, 800.0), stage(10, 20, 0.0, 0.0), stage(20, 60, 333.0, 333.0)];
    let plan = plan(Source::Open { arrival, stages });
    let all: Vec<Request> = plan.arrivals().collect();
    [0, 1, 2, 999, 9_999].map(|i: usize| all[i].at.0)
}

/// Demands of requests 0, 1, 2 and 3, and of the second attempt of request 0, in nanoseconds.
fn demands(law: &Law) -> [u64; 5] {
    [(0, 1), (1, 1), (2, 1), (3, 1), (0, 2)]
        .map(|(id, attempt)| law.sample(demand_word(seed(), id, attempt)).0)
}

#[test]
fn arrivals_are_the_published_ones() {
    let (burst, quiet) = (Span::from_millis(100), Span::from_millis(400));
    assert_eq!(
        arrivals(ArrivalConfig::Poisson),
        [34_370_003, 147_189_134, 160_428_769, 4_956_465_957, 38_033_875_453]
    );
    assert_eq!(
        arrivals(ArrivalConfig::Uniform),
        [0, 158_113_883, 223_606_798, 4_997_499_375, 38_015_015_015]
    );
    let bursts = ArrivalConfig::Mmpp { burst_ratio: 8.0, burst, quiet };
    assert_eq!(
        arrivals(bursts),
        [53_245_780, 228_024_426, 248_535_180, 5_623_955_586, 36_441_430_070]
    );
    assert_eq!(
        arrivals(ArrivalConfig::Pareto { alpha: 1.9 }),
        [110_183_048, 174_261_423, 208_012_780, 4_948_589_951, 37_408_922_811]
    );
}

#[test]
fn demands_are_the_published_ones() {
    let mean = Span::from_millis(10);
    let (low, high) = (Span::from_millis(100), Span::from_millis(500));
    let values = [3, 5, 8, 13, 21, 34].map(Span::from_millis);
    assert_eq!(demands(&Law::Constant(mean)), [10_000_000; 5]);
    assert_eq!(
        demands(&Law::Uniform { low, high }),
        [325_264_948, 260_495_663, 155_076_398, 201_803_894, 448_110_072]
    );
    assert_eq!(
        demands(&Law::Exponential { mean }),
        [8_281_937, 5_128_930, 1_481_416, 2_937_132, 20_423_398]
    );
    assert_eq!(
        demands(&Law::LogNormal { mean, sigma: 1.5 }),
        [4_120_906, 2_230_830, 632_204, 1_205_672, 17_621_583]
    );
    assert_eq!(
        demands(&Law::Pareto { mean, alpha: 2.2 }),
        [7_947_846, 6_886_634, 5_834_487, 6_233_608, 13_801_615]
    );
    assert_eq!(
        demands(&Law::Bimodal { fast: low, slow: high, slow_share: 0.4 }),
        [100_000_000, 100_000_000, 100_000_000, 100_000_000, 500_000_000]
    );
    assert_eq!(
        demands(&Law::Empirical { sorted: values.as_slice().into() }),
        [12_079_059, 8_030_979, 4_376_910, 5_817_646, 25_567_887]
    );
}

#[test]
fn classes_keys_and_turns_are_the_published_ones() {
    let stages = vec![stage(0, 60, 100.0, 100.0)];
    let open = plan(Source::Open { arrival: ArrivalConfig::Uniform, stages });
    let facts: Vec<_> = open.arrivals().take(9).map(|r| (r.class, r.key)).collect();
    assert_eq!(
        facts,
        [
            (0, 139),
            (0, 228_078),
            (0, 122_127),
            (0, 2),
            (0, 317),
            (0, 512_841),
            (1, 156_142),
            (0, 29_808),
            (0, 549_466)
        ]
    );
    let think = Law::Exponential { mean: Span::from_secs(1) };
    let closed = plan(Source::Closed { users: 5, think });
    let turns = [(0, 0), (4, 0), (4, 1)].map(|(user, turn)| closed.turn(user, turn));
    assert_eq!(
        turns.map(|r| (r.id, r.at.0, r.demand_word)),
        [
            (0, 1_002_286_645, 10_388_512_092_944_091_088),
            (17_179_869_184, 532_061_144, 10_795_817_772_450_941_461),
            (17_179_869_185, 3_160_493_710, 7_297_536_963_135_814_346)
        ]
    );
}

#[test]
fn a_trace_is_played_as_recorded() {
    let entries: Vec<TraceEntry> = [0, 3, 1_000_000_007]
        .map(|at| TraceEntry { at: Nanos(at), demand: None, class: None })
        .into();
    let arrival = ArrivalConfig::Trace { entries: entries.into(), speed: 0.5 };
    let trace = plan(Source::Open { arrival, stages: vec![stage(0, 60, 0.0, 0.0)] });
    assert_eq!(trace.arrivals().map(|r| r.at.0).collect::<Vec<_>>(), [0, 6, 2_000_000_014]);
}

/// The extremes of the words: the shortest and the longest demand that a law can give.
#[test]
fn the_ends_of_the_laws_are_the_published_ones() {
    let mean = Span::from_millis(10);
    let ends = |law: Law| [0, 1 << 63, u64::MAX].map(|word| law.sample(word).0);
    assert_eq!(ends(Law::Exponential { mean }), [0, 6_931_472, 367_368_006]);
    assert_eq!(ends(Law::LogNormal { mean, sigma: 1.0 }), [1_650, 6_065_307, 22_295_078_647]);
    assert_eq!(ends(Law::Pareto { mean, alpha: 2.0 }), [5_000_000, 7_071_068, 474_531_328_121_258]);
    assert_eq!(
        seed().words(Purpose::Request, 0),
        [851_370_576_467_286_268, 10_388_512_092_944_091_088]
    );
}
