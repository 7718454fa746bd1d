use proptest::prelude::*;

use super::*;
use crate::traffic::{ClassConfig, ClientConfig, KeyConfig, Law, Stage};
use crate::units::time::NANOS_PER_SECOND;
use crate::units::{Bytes, Rate, Ratio};

fn stage(from: u64, until: u64, rate_from: f64, rate_until: f64) -> Stage {
    Stage {
        name: String::new(),
        from: Nanos(from * NANOS_PER_SECOND),
        until: Nanos(until * NANOS_PER_SECOND),
        rate_from: Rate(rate_from),
        rate_until: Rate(rate_until),
    }
}

fn class(name: &str, share: f64) -> ClassConfig {
    ClassConfig {
        name: name.to_owned(),
        path: "/".to_owned(),
        method: "GET".to_owned(),
        share: Ratio(share),
        body: Bytes(0),
    }
}

fn traffic(source: Source) -> TrafficConfig {
    TrafficConfig {
        source,
        classes: vec![class("all", 1.0)],
        keys: None,
        client: ClientConfig {
            connections: 0,
            requests_per_connection: 0,
            timeout: Span::from_secs(60),
            in_flight_cap: 0,
        },
    }
}

fn open(arrival: ArrivalConfig, stages: Vec<Stage>) -> Plan {
    let end = stages.last().unwrap().until;
    Plan::new(&traffic(Source::Open { arrival, stages }), Seed::new(1, 0), end)
}

fn processes() -> Vec<ArrivalConfig> {
    let (burst, quiet) = (Span::from_millis(100), Span::from_millis(400));
    vec![
        ArrivalConfig::Poisson,
        ArrivalConfig::Uniform,
        ArrivalConfig::Mmpp { burst_ratio: 8.0, burst, quiet },
        ArrivalConfig::Pareto { alpha: 2.5 },
    ]
}

#[test]
fn uniform_arrivals_do_not_drift() {
    let plan = open(ArrivalConfig::Uniform, vec![stage(0, 30_000, 3.0, 3.0)]);
    assert_eq!(plan.arrivals().count(), 90_000);
    for request in plan.arrivals() {
        let exact = (u128::from(request.id) * 2_000_000_000 + 3) / 6;
        assert_eq!(u128::from(request.at.0), exact, "request {}", request.id);
    }
}

#[test]
fn a_ramp_integrates_to_the_right_count() {
    // 0 to 2000/s over 10 s, a pause, then down again: 10,000 + 0 + 10,000.
    let stages =
        vec![stage(0, 10, 0.0, 2000.0), stage(10, 15, 0.0, 0.0), stage(15, 25, 2000.0, 0.0)];
    let plan = open(ArrivalConfig::Uniform, stages.clone());
    assert_eq!(plan.arrivals().count(), 20_000);
    let until =
        |seconds: u64| plan.arrivals().filter(|r| r.at.0 < seconds * NANOS_PER_SECOND).count();
    // A quarter of the area lies under the first half of a ramp.
    assert_eq!([until(5), until(10), until(15)], [2500, 10_000, 10_000]);
    let poisson = open(ArrivalConfig::Poisson, stages).arrivals().count() as f64;
    assert!((poisson - 20_000.0).abs() < 5.0 * 20_000_f64.sqrt(), "{poisson}");
}

#[test]
fn every_process_keeps_the_mean_rate_of_its_stages() {
    for arrival in processes() {
        let stages = vec![stage(0, 200, 500.0, 500.0), stage(200, 300, 0.0, 2000.0)];
        let count = open(arrival.clone(), stages).arrivals().count() as f64;
        // Five standard deviations: 450 for Poisson; for the modulated process with its factors
        // 0.42 and 3.33 and a relaxation time of 80 ms it is 6300.
        let allowed = match arrival {
            ArrivalConfig::Mmpp { .. } => 31_500.0,
            _ => 2250.0,
        };
        assert!((count - 200_000.0).abs() < allowed, "{arrival:?}: {count}");
    }
}

/// Index of dispersion of the counts in windows of one second: 1 for Poisson, 0 for uniform,
/// above 1 where arrivals cluster.
#[test]
fn the_processes_differ_in_burstiness_as_they_should() {
    let dispersion = |arrival: ArrivalConfig| {
        let plan = open(arrival, vec![stage(0, 1000, 100.0, 100.0)]);
        let mut counts = vec![0.0_f64; 1000];
        for request in plan.arrivals() {
            counts[request.at.whole_seconds() as usize] += 1.0;
        }
        let mean = counts.iter().sum::<f64>() / 1000.0;
        counts.iter().map(|c| (c - mean) * (c - mean)).sum::<f64>() / 999.0 / mean
    };
    let [poisson, uniform, mmpp, pareto] = processes().try_into().unwrap();
    let poisson = dispersion(poisson);
    assert!((poisson - 1.0).abs() < 0.25, "{poisson}");
    assert!(dispersion(uniform) < 1e-9);
    assert!(dispersion(mmpp) > 5.0);
    // Asymptotically the squared coefficient of variation of a gap, 1 / (2.5 * 0.5) = 0.8.
    let pareto = dispersion(pareto);
    assert!((pareto - 0.8).abs() < 0.35, "{pareto}");
}

#[test]
fn a_million_requests_stream_and_a_clone_is_a_checkpoint() {
    let plan = open(ArrivalConfig::Poisson, vec![stage(0, 10_000, 1000.0, 1000.0)]);
    let mut arrivals = plan.arrivals();
    let far = arrivals.nth(999_999).unwrap();
    assert_eq!(far.id, 999_999);
    let checkpoint = arrivals.clone();
    let ahead: Vec<Request> = arrivals.take(1000).collect();
    assert_eq!(checkpoint.take(1000).collect::<Vec<_>>(), ahead);
}

#[test]
fn ten_million_requests_keep_their_rate() {
    // What iterates holds no list: its size is fixed, and nothing behind it grows.
    assert!(size_of::<Arrivals<'_>>() < 1_000);
    let plan = open(ArrivalConfig::Poisson, vec![stage(0, 1000, 10_000.0, 10_000.0)]);
    let (mut count, mut last) = (0_u64, Nanos::ZERO);
    for request in plan.arrivals() {
        assert!(request.at >= last);
        last = request.at;
        count += 1;
    }
    assert!((count as f64 - 1e7).abs() < 5.0 * 1e7_f64.sqrt(), "{count}");
}

#[test]
fn a_trace_is_played_at_its_speed_and_ends_with_the_run() {
    let entry = |seconds, demand, class| TraceEntry {
        at: Nanos(seconds * NANOS_PER_SECOND),
        demand,
        class,
    };
    let entries = [
        entry(0, Some(Span(5)), Some(1)),
        entry(2, None, None),
        entry(2, None, Some(1)),
        entry(40, None, None),
    ];
    let arrival = ArrivalConfig::Trace { entries: entries.as_slice().into(), speed: 2.0 };
    let stages = vec![stage(0, 10, 0.0, 0.0)];
    let mut config = traffic(Source::Open { arrival, stages });
    config.classes = vec![class("a", 1.0), class("b", 0.0)];
    let plan = Plan::new(&config, Seed::new(1, 0), Nanos(10 * NANOS_PER_SECOND));
    let seen: Vec<_> = plan.arrivals().map(|r| (r.at.as_secs_f64(), r.demand, r.class)).collect();
    assert_eq!(seen, [(0.0, Some(Span(5)), 1), (1.0, None, 0), (1.0, None, 1)]);
}

#[test]
fn a_closed_loop_has_turns_and_no_arrivals() {
    let think = Law::Exponential { mean: Span::from_millis(100) };
    let config = traffic(Source::Closed { users: 3, think: think.clone() });
    let plan = Plan::new(&config, Seed::new(1, 0), Nanos(1));
    assert_eq!(plan.arrivals().next(), None);
    let turn = plan.turn(2, 7);
    assert_eq!(turn.id, 2 << 32 | 7);
    assert_eq!(turn, plan.turn(2, 7));
    assert_ne!(turn.at, plan.turn(1, 7).at);
    let mean = (0..20_000).map(|i| plan.turn(0, i).at.0 as f64).sum::<f64>() / 20_000.0;
    assert!((mean / 1e8 - 1.0).abs() < 0.04, "{mean}");
    assert!(plan.turn(0, 0).at > Nanos::ZERO, "the first turn thinks too");
}

#[test]
fn classes_and_keys_do_not_disturb_arrivals_and_demands() {
    let source =
        Source::Open { arrival: ArrivalConfig::Poisson, stages: vec![stage(0, 10, 100.0, 100.0)] };
    let mut config = traffic(source);
    let end = Nanos(10 * NANOS_PER_SECOND);
    let plain = Plan::new(&config, Seed::new(1, 0), end);
    config.classes = vec![class("a", 0.5), class("b", 0.5)];
    config.keys = Some(KeyConfig { count: 100, exponent: 1.0 });
    let rich = Plan::new(&config, Seed::new(1, 0), end);
    for (a, b) in plain.arrivals().zip(rich.arrivals()) {
        assert_eq!((a.id, a.at, a.demand_word), (b.id, b.at, b.demand_word));
        assert_eq!((a.class, a.key), (0, 0));
        assert!((1..=100).contains(&b.key));
    }
    assert!(rich.arrivals().any(|r| r.class == 0) && rich.arrivals().any(|r| r.class == 1));
}

#[test]
fn replications_and_seeds_differ() {
    let config = traffic(Source::Open {
        arrival: ArrivalConfig::Poisson,
        stages: vec![stage(0, 1, 9.0, 9.0)],
    });
    let first = |seed, replication| {
        Plan::new(&config, Seed::new(seed, replication), Nanos::MAX).arrivals().next().unwrap().at
    };
    assert_ne!(first(1, 0), first(1, 1));
    assert_ne!(first(1, 0), first(2, 0));
    assert_eq!(first(1, 0), first(1, 0));
}

proptest! {
    #[test]
    fn arrivals_are_in_order_and_within_the_run(
        seed: u64,
        rates in prop::collection::vec((0.0..3000.0_f64, 0.0..3000.0_f64), 1..5),
    ) {
        let stages: Vec<Stage> = rates
            .iter()
            .zip(0..)
            .map(|((from, until), second)| stage(second, second + 1, *from, *until))
            .collect();
        let end = stages.last().unwrap().until;
        for arrival in processes() {
            let source = Source::Open { arrival, stages: stages.clone() };
            let plan = Plan::new(&traffic(source), Seed::new(seed, 0), end);
            let mut last = Nanos::ZERO;
            for (request, id) in plan.arrivals().zip(0..) {
                prop_assert_eq!(request.id, id);
                prop_assert!(request.at >= last && request.at < end);
                last = request.at;
            }
        }
    }
}

#[test]
fn a_request_can_be_asked_for_again() {
    let stages = || vec![stage(0, 20, 50.0, 50.0)];
    let classes = vec![class("a", 0.3), class("b", 0.7)];
    let keys = Some(KeyConfig { count: 100, exponent: 1.0 });
    let seed = Seed::new(4, 0);
    for arrival in processes() {
        let source = Source::Open { arrival, stages: stages() };
        let config = TrafficConfig { classes: classes.clone(), keys, ..traffic(source) };
        let plan = Plan::new(&config, seed, Nanos(20 * NANOS_PER_SECOND));
        assert!(plan.arrivals().count() > 500);
        assert!(plan.arrivals().all(|request| plan.again(request.id, request.at) == request));
    }
    let think = Law::Exponential { mean: Span::from_millis(10) };
    let config = TrafficConfig { classes, keys, ..traffic(Source::Closed { users: 3, think }) };
    let plan = Plan::new(&config, seed, Nanos(20 * NANOS_PER_SECOND));
    for (user, turn) in [(0, 0), (2, 7)] {
        let request = plan.turn(user, turn);
        assert_eq!(plan.again(request.id, Nanos(99)), request);
    }
}

#[test]
fn a_request_of_a_trace_can_be_asked_for_again() {
    let entry = |at, demand, class| TraceEntry { at: Nanos(at), demand, class };
    let entries = [entry(0, Some(Span(7)), Some(1)), entry(5, None, None), entry(9, None, Some(0))];
    let arrival = ArrivalConfig::Trace { entries: entries.into(), speed: 2.0 };
    let config = TrafficConfig {
        classes: vec![class("a", 0.3), class("b", 0.7)],
        ..traffic(Source::Open { arrival, stages: Vec::new() })
    };
    let plan = Plan::new(&config, Seed::new(4, 0), Nanos(NANOS_PER_SECOND));
    assert_eq!(plan.arrivals().count(), 3);
    assert!(plan.arrivals().all(|request| plan.again(request.id, request.at) == request));
}
