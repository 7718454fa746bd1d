//! The tables of numbers of Kubernetes' own tests.

use serde::Deserialize;

use super::limits::{Bounds, History};
use super::replicas::{Goal, Pod, Tolerances, replicas};
use super::*;
use crate::policy::scale::reason::Limit;
use crate::units::Span;

#[derive(Deserialize)]
struct Vectors {
    replicas: Vec<Replicas>,
    wholes: Vec<WholeVector>,
    rates: Vec<Rate>,
    stabilized: Vec<Stabilized>,
    plain: Vec<Plain>,
}

#[derive(Deserialize)]
struct Replicas {
    name: String,
    current: i64,
    utilization: Option<i64>,
    average: Option<i64>,
    tolerances: [f64; 2],
    pods: Vec<PodVector>,
    replicas: i64,
    usage: i64,
}

/// An object or external metric.
#[derive(Deserialize)]
struct WholeVector {
    name: String,
    current: i64,
    ready: i64,
    usage: i64,
    value: Option<i64>,
    average: Option<i64>,
    replicas: i64,
}

#[derive(Deserialize)]
struct PodVector {
    usage: Option<i64>,
    kind: String,
    request: i64,
}

#[derive(Deserialize)]
struct Rate {
    name: String,
    min: i64,
    max: i64,
    current: i64,
    wanted: i64,
    up: Option<[u32; 5]>,
    down: Option<[u32; 5]>,
    added: Vec<i64>,
    removed: Vec<i64>,
    period: u64,
    expected: i64,
    limit: String,
}

#[derive(Deserialize)]
struct Stabilized {
    name: String,
    recommended: Vec<[i64; 2]>,
    current: i64,
    wanted: i64,
    up: u64,
    down: u64,
    expected: i64,
}

#[derive(Deserialize)]
struct Plain {
    name: String,
    recommended: Vec<[i64; 2]>,
    current: i64,
    wanted: i64,
    min: i64,
    max: i64,
    expected: i64,
}

const NOW: Nanos = Nanos(100_000_000_000_000);

fn vectors() -> Vectors {
    serde_json::from_str(include_str!("../../../../tests/vectors/hpa.json")).unwrap()
}

fn ago(seconds: u64) -> Nanos {
    NOW - Span::from_secs(seconds)
}

/// A pod of a vector as an instance: those of old have been there from the zero of the run.
fn instance(pod: &PodVector) -> Measured {
    let (phase, since) = match pod.kind.as_str() {
        "ready" => (Phase::Ready, Nanos::ZERO),
        "unready" => (Phase::Unready, Nanos::ZERO),
        "hot" => (Phase::Ready, ago(10)),
        "pending" => (Phase::Starting, ago(10)),
        "failed" => (Phase::Dead, Nanos::ZERO),
        "deleted" => (Phase::Draining, Nanos::ZERO),
        other => panic!("{other}"),
    };
    let usage = |value: i64| Usage { value: value as f64 / 1000.0, from: ago(65), until: ago(5) };
    let instance =
        InstanceSample { slot: 0, phase, started_at: since, readiness_changed_at: since };
    Measured { instance, usage: pod.usage.map(usage) }
}

#[test]
fn replicas_are_those_of_kubernetes() {
    let config = TargetConfig {
        initialization: Span::from_secs(120),
        initial_readiness_delay: Span::from_secs(10),
        ..TargetConfig::new(1.0)
    };
    let target = Target::new(config);
    for case in vectors().replicas {
        let (goal, metric) = match (case.utilization, case.average) {
            (Some(percent), None) => (Goal::Utilization(percent), ScaleMetric::Cpu),
            (None, Some(goal)) => (Goal::Average(goal), ScaleMetric::Requests),
            _ => panic!("{}", case.name),
        };
        let pods: Vec<Pod> = case
            .pods
            .iter()
            .filter_map(|pod| {
                let standing = target.standing(NOW, metric, &instance(pod))?;
                Some(Pod { standing, request: pod.request })
            })
            .collect();
        let [down, up] = case.tolerances;
        let found = replicas(&pods, goal, Tolerances { down, up }, case.current).unwrap();
        assert_eq!((found.replicas, found.usage), (case.replicas, case.usage), "{}", case.name);
    }
}

#[test]
fn replicas_by_what_is_not_of_pods_are_those_of_kubernetes() {
    let tolerances = Tolerances { down: 0.1, up: 0.1 };
    for case in vectors().wholes {
        let (whole, goal) = match (case.value, case.average) {
            (Some(goal), None) => (Whole::Total { ready: case.ready }, goal),
            (None, Some(goal)) => (Whole::Each, goal),
            _ => panic!("{}", case.name),
        };
        let found = whole.replicas((case.usage, goal), tolerances, case.current);
        assert_eq!(found, case.replicas, "{}", case.name);
    }
}

fn behavior(rate: &Rate) -> Behavior {
    let of = |rules: Option<[u32; 5]>, default: ScalingRules| {
        let Some([pods, pods_period, percent, percent_period, stabilization]) = rules else {
            return default;
        };
        let policy = |kind, value, period: u32| ScalingPolicy {
            kind,
            value,
            period: Span::from_secs(period.into()),
        };
        let policies = [
            policy(PolicyKind::Pods, pods, pods_period),
            policy(PolicyKind::Percent, percent, percent_period),
        ];
        ScalingRules {
            policies: policies.into_iter().filter(|policy| policy.value > 0).collect(),
            stabilization: Some(Span::from_secs(stabilization.into())),
            ..default
        }
    };
    Behavior { up: of(rate.up, ScalingRules::up()), down: of(rate.down, ScalingRules::down()) }
}

/// In the middle of equal parts of the period.
fn spread(events: &[i64], period: u64) -> Vec<(Nanos, i64)> {
    let part = period * 1000 / events.len().max(1) as u64;
    let at = |place: usize| NOW - Span::from_millis(part * place as u64 + part / 2);
    events.iter().enumerate().map(|(place, count)| (at(place), *count)).collect()
}

#[test]
fn rates_are_limited_as_in_kubernetes() {
    for case in vectors().rates {
        let history = History {
            recommended: Vec::new(),
            added: spread(&case.added, case.period),
            removed: spread(&case.removed, case.period),
        };
        let bounds = Bounds { min: case.min, max: case.max };
        let (sizes, mut limits) = ((case.current, case.wanted), Vec::new());
        let allowed = history.limited(NOW, sizes, &behavior(&case), bounds, &mut limits);
        assert_eq!(allowed, case.expected, "{}", case.name);
        let limit = match limits.as_slice() {
            [] => "none",
            [Limit::RateUp(_)] => "rate_up",
            [Limit::RateDown(_)] => "rate_down",
            [Limit::Max(_)] => "max",
            [Limit::Min(_)] => "min",
            other => panic!("{}: {other:?}", case.name),
        };
        assert_eq!(limit, case.limit, "{}", case.name);
    }
}

fn recommended(aged: &[[i64; 2]]) -> History {
    let at = |[replicas, age]: &[i64; 2]| (ago(age.unsigned_abs()), *replicas);
    History { recommended: aged.iter().map(at).collect(), ..History::default() }
}

#[test]
fn recommendations_are_stabilized_as_in_kubernetes() {
    for case in vectors().stabilized {
        let mut history = recommended(&case.recommended);
        let [up, down] = [case.up, case.down].map(Span::from_secs);
        let stable = history.stabilized(NOW, (case.current, case.wanted), up, down);
        assert_eq!(stable, case.expected, "{}", case.name);
        assert_eq!(history.recommended.last(), Some(&(NOW, case.wanted)), "{}", case.name);
    }
    for case in vectors().plain {
        let mut history = recommended(&case.recommended);
        let bounds = Bounds { min: case.min, max: case.max };
        let (sizes, mut limits) = ((case.current, case.wanted), Vec::new());
        let stable = history.plain(NOW, sizes, Span::from_secs(300), bounds, &mut limits);
        assert_eq!(stable, case.expected, "{}", case.name);
    }
}

/// Without a behavior a group grows to twice its size or 4, and to its bounds.
#[test]
fn without_a_behavior_growth_is_limited_to_twice() {
    let bounds = Bounds { min: 1, max: 9 };
    for (current, expected) in [(1, 4), (2, 4), (3, 6), (4, 8), (5, 9)] {
        let mut limits = Vec::new();
        let mut history = History::default();
        let window = Span::from_secs(300);
        assert_eq!(history.plain(NOW, (current, 100), window, bounds, &mut limits), expected);
        assert_eq!(limits.len(), 1);
    }
}
