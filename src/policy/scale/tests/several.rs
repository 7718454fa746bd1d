//! Several metrics: SEMANTICS of `computeReplicasForMetrics`.

use proptest::prelude::*;

use super::*;

const FIVE: u32 = 5;

/// CPU, requests at the balancer for each instance, and the length of a queue as a whole.
fn metrics() -> Vec<Metric> {
    let tasks =
        External { name: "tasks".to_owned(), query: None, series: vec![(Nanos::ZERO, 1.0)] };
    vec![
        Metric::Instances(ScaleMetric::Cpu),
        Metric::Balancer(ScaleMetric::Requests),
        Metric::External(tasks),
    ]
}

fn values() -> Vec<TargetValue> {
    vec![TargetValue::Average(0.5), TargetValue::Average(50.0), TargetValue::Whole(100.0)]
}

/// Goes by those of the metrics that are named.
fn scaler(which: &[usize]) -> Scaler {
    let of = |place: &usize| (metrics()[*place].clone(), values()[*place]);
    let (metrics, values) = which.iter().map(of).unzip();
    let target = TargetConfig {
        values,
        behavior: Some(Behavior {
            down: ScalingRules { stabilization: Some(Span::ZERO), ..ScalingRules::down() },
            ..Behavior::default()
        }),
        ..TargetConfig::new(1.0)
    };
    let config = ScaleConfig {
        metrics,
        rule: ScaleRule::Target(target),
        initial: FIVE,
        ..ScaleConfig::new(1, 100)
    };
    Scaler::new(config, Seed::new(SEED, 0))
}

/// What was measured of the three; `None` is a failure.
fn readings(
    instances: &[InstanceSample],
    now: Nanos,
    (cpu, requests, tasks): (Option<f64>, Option<f64>, Option<f64>),
) -> Vec<Result<Reading, MetricsError>> {
    let lost = || MetricsError("connection refused".to_owned());
    let whole = |value: Option<f64>| value.map(Reading::Whole).ok_or_else(lost);
    let cpu = cpu.map(|cpu| everywhere(instances, now, Some(cpu))).ok_or_else(lost);
    vec![cpu, whole(requests), whole(tasks)]
}

/// The first poll of five old instances by the metrics `which`.
fn poll(
    which: &[usize],
    measured: (Option<f64>, Option<f64>, Option<f64>),
) -> (Scaler, ScaleDecision) {
    let mut scaler = scaler(which);
    let now = secs(900);
    let instances: Vec<_> = (0..FIVE).map(|slot| ready(slot, Nanos::ZERO)).collect();
    let all = readings(&instances, now, measured);
    let known: Vec<_> = which.iter().map(|place| all[*place].clone()).collect();
    let decision = scaler.poll(now, Ok((&instances, &known)));
    (scaler, decision)
}

#[test]
fn the_metric_that_wants_most_wins_and_the_others_are_told() {
    let (_, decision) = poll(&[0, 1, 2], (Some(0.6), Some(330.0), Some(50.0)));
    assert_eq!(decision.desired, 7);
    assert_eq!(
        decision.to_string(),
        "5 → 7 (start 6, 7): request rate at the balancer 330/s beside a target of 50/s per \
         instance takes 7, the most of 3 (beside it: mean CPU use 60 % of 5 ready instances beside \
         a target of 50 % takes 6; tasks 50 beside a target of 100 takes 3)"
    );
}

#[test]
fn with_some_metrics_lost_it_grows_and_does_not_shrink() {
    let (_, grows) = poll(&[0, 1, 2], (Some(0.8), None, Some(50.0)));
    assert_eq!(grows.desired, 8, "{grows}");
    let (scaler, stays) = poll(&[0, 1, 2], (Some(0.1), None, None));
    assert_eq!((stays.desired, stays.change.clone()), (5, Change::None));
    let words = stays.to_string();
    let expected = ", but request rate at the balancer is not known (no metrics: connection \
                    refused), nor 1 more, so it may not shrink";
    assert!(words.ends_with(expected), "{words}");
    assert_eq!(scaler.next_poll(), secs(915), "one that is known is asked at the next poll");
}

#[test]
fn with_all_metrics_lost_nothing_changes_and_it_backs_off() {
    let (mut scaler, decision) = poll(&[0, 1, 2], (None, None, None));
    assert_eq!((decision.desired, decision.change), (5, Change::None));
    let mut longest = Span::ZERO;
    for _ in 0..10 {
        let now = scaler.next_poll();
        let lost = readings(&[], now, (None, None, None));
        let instances: Vec<_> = (0..FIVE).map(|slot| ready(slot, Nanos::ZERO)).collect();
        assert_eq!(scaler.poll(now, Ok((&instances, &lost))).desired, 5);
        longest = longest.max(scaler.next_poll().since(now));
    }
    assert!(longest > Span::from_secs(60), "{longest}");
}

proptest! {
    /// Together they want what the one wants that wants most; without one of them the group never
    /// shrinks, and never grows beyond that.
    #[test]
    fn several_metrics_are_the_largest_of_each(
        (cpu, requests, tasks) in (0.0..1.5f64, 0.0..800.0f64, 0.0..300.0f64),
        lost in 0..3usize,
    ) {
        let measured = (Some(cpu), Some(requests), Some(tasks));
        let alone = |place: usize| poll(&[place], measured).1.desired;
        let together = poll(&[0, 1, 2], measured).1.desired;
        prop_assert_eq!(together, (0..3).map(alone).max().unwrap());
        let without = [
            (None, measured.1, measured.2),
            (measured.0, None, measured.2),
            (measured.0, measured.1, None),
        ][lost];
        let found = poll(&[0, 1, 2], without).1.desired;
        let known = (0..3).filter(|place| *place != lost).map(alone).max().unwrap();
        prop_assert_eq!(found, known.max(FIVE));
    }
}
