//! Envoy's rules one by one; decisions recorded from Envoy itself are in `tests/vectors`.

use super::*;

fn at(millis: u64) -> Nanos {
    Nanos::ZERO + Span::from_millis(millis)
}

fn detector(peers: u32, change: impl FnOnce(&mut OutlierConfig)) -> Detector {
    let mut config = OutlierConfig {
        interval: Span::from_secs(1),
        base_ejection_time: Span::from_secs(2),
        max_ejection_time: Span::from_secs(5),
        max_ejection_percent: Ratio(1.0),
        ..OutlierConfig::default()
    };
    change(&mut config);
    let mut detector = Detector::new(config, Seed::new(1, 0));
    (0..peers).for_each(|id| detector.join(PeerId(id)));
    assert_eq!(detector.tick(at(0)), Changes::default(), "the first call starts the ticks");
    detector
}

fn status(detector: &mut Detector, now: u64, peer: u32, status: u16) -> Option<OutlierKind> {
    detector.observe(at(now), PeerId(peer), Observation::Status(status))
}

fn fives(detector: &mut Detector, now: u64, peer: u32, count: u32) -> Option<OutlierKind> {
    (0..count).filter_map(|_| status(detector, now, peer, 500)).last()
}

/// The seconds of ticks in `seconds` at which a peer returns.
fn returns(detector: &mut Detector, seconds: std::ops::RangeInclusive<u64>) -> Vec<u64> {
    seconds.filter(|second| !detector.tick(at(second * 1000)).returned.is_empty()).collect()
}

#[test]
fn five_errors_in_a_row_eject_and_a_good_answer_starts_the_count_anew() {
    let mut detector = detector(3, |_| {});
    assert_eq!(fives(&mut detector, 1, 0, 4), None);
    assert_eq!(status(&mut detector, 1, 0, 404), None);
    assert_eq!(fives(&mut detector, 1, 0, 4), None);
    assert_eq!(status(&mut detector, 1, 0, 500), Some(OutlierKind::Consecutive5xx));
    assert_eq!(fives(&mut detector, 1, 0, 20), None, "it is out");
    assert_eq!(detector.counts().enforced, 1);
}

#[test]
fn ejections_end_at_ticks_get_longer_and_are_forgiven() {
    let mut detector = detector(3, |_| {});
    fives(&mut detector, 500, 0, 5);
    assert_eq!(returns(&mut detector, 1..=3), [3], "2 s after 0.5 s, at the tick");
    fives(&mut detector, 3500, 0, 5);
    assert_eq!(returns(&mut detector, 4..=8), [8], "4 s");
    fives(&mut detector, 8500, 0, 5);
    assert_eq!(returns(&mut detector, 9..=16), [14], "6 s are cut to 5 s");
    (17..=40).for_each(|second| drop(detector.tick(at(second * 1000))));
    fives(&mut detector, 40_100, 0, 5);
    let back = returns(&mut detector, 41..=49);
    assert_eq!(back, [43], "after quiet intervals it is as if it had never been out");
}

#[test]
fn no_more_than_the_allowed_share_is_out() {
    let mut ten = detector(10, |config| config.max_ejection_percent = Ratio(0.2));
    let out: Vec<bool> = (0..4).map(|peer| fives(&mut ten, 1, peer, 5).is_some()).collect();
    assert_eq!(out, [true, true, false, false]);
    assert_eq!(ten.counts().overflow, 2);
    ten.leave(PeerId(0));
    assert!(fives(&mut ten, 1, 2, 5).is_none(), "two of nine are more than a fifth");

    let mut nine = detector(9, |config| config.max_ejection_percent = Ratio(0.1));
    assert!(fives(&mut nine, 1, 0, 5).is_none(), "Envoy's default ejects nobody of nine");
    let always = |config: &mut OutlierConfig| {
        (config.max_ejection_percent, config.always_eject_one) = (Ratio(0.1), true);
    };
    let mut nine = detector(9, always);
    assert!(fives(&mut nine, 1, 0, 5).is_some() && fives(&mut nine, 1, 1, 5).is_none());
}

#[test]
fn gateway_failures_are_counted_apart() {
    let mut detector = detector(3, |config| {
        config.consecutive_gateway_failure = Consecutive { threshold: 3, enforcing: Ratio(1.0) };
    });
    let found = [502, 503, 500, 504, 502].map(|code| status(&mut detector, 1, 0, code));
    assert_eq!(found, [None, None, None, None, Some(OutlierKind::Consecutive5xx)]);
    let found = [503, 503, 503].map(|code| status(&mut detector, 1, 1, code));
    assert_eq!(found, [None, None, Some(OutlierKind::ConsecutiveGatewayFailure)]);
}

#[test]
fn local_errors_count_as_statuses_unless_they_are_split() {
    let refused = Observation::of(Outcome::ConnectFailed).unwrap();
    let mut joined = detector(3, |_| {});
    (0..4).for_each(|_| assert_eq!(joined.observe(at(1), PeerId(0), refused), None));
    assert_eq!(status(&mut joined, 1, 0, 500), Some(OutlierKind::Consecutive5xx));

    let mut split = detector(3, |config| config.split_local_origin_errors = true);
    (0..4).for_each(|_| assert_eq!(split.observe(at(1), PeerId(0), refused), None));
    assert_eq!(status(&mut split, 1, 0, 500), None, "a connection stood: counted anew");
    (0..4).for_each(|_| assert_eq!(split.observe(at(1), PeerId(0), refused), None));
    let kind = Some(OutlierKind::ConsecutiveLocalOriginFailure);
    assert_eq!(split.observe(at(1), PeerId(0), refused), kind);
    assert_eq!(Observation::of(Outcome::ClientGone), None);
}

/// Peer 0 fails `failures` of 100, four others none.
fn a_full_interval(detector: &mut Detector, failures: u32) -> Vec<(PeerId, OutlierKind)> {
    for n in 0..100 {
        // Never five in a row.
        let fails = if failures <= 50 { n % 2 == 0 && n / 2 < failures } else { n % 5 != 0 };
        let _ = status(detector, 10, 0, if fails { 500 } else { 200 });
        (1..5).for_each(|peer| assert_eq!(status(detector, 10, peer, 200), None));
    }
    let found = detector.tick(at(1000)).ejected;
    assert_eq!(detector.tick(at(2000)).ejected, [], "an interval without requests");
    found
}

/// Rates 50, 100, 100, 100, 100: the threshold is 52.
#[test]
fn a_success_rate_far_below_the_others_ejects() {
    let found = a_full_interval(&mut detector(5, |_| {}), 50);
    assert_eq!(found, [(PeerId(0), OutlierKind::SuccessRate)]);
    let found =
        a_full_interval(&mut detector(5, |config| config.success_rate.stdev_factor = 2.1), 50);
    assert_eq!(found, [], "48 is not below 48");
    let found =
        a_full_interval(&mut detector(5, |config| config.success_rate.request_volume = 101), 50);
    assert_eq!(found, [], "too few requests");
    let found =
        a_full_interval(&mut detector(5, |config| config.success_rate.minimum_hosts = 6), 50);
    assert_eq!(found, [], "too few peers");
}

#[test]
fn a_failure_percentage_ejects_where_it_is_enforced() {
    let enforced = |threshold| {
        detector(5, move |config| {
            config.success_rate.enforcing = Ratio(0.0);
            config.failure_percentage.enforcing = Ratio(1.0);
            config.failure_percentage.threshold = Ratio(threshold);
        })
    };
    let found = a_full_interval(&mut enforced(0.8), 80);
    assert_eq!(found, [(PeerId(0), OutlierKind::FailurePercentage)]);
    assert_eq!(a_full_interval(&mut enforced(0.81), 80), []);
    let mut lax = detector(5, |config| config.success_rate.enforcing = Ratio(0.0));
    lax.config.failure_percentage.threshold = Ratio(0.5);
    assert_eq!(a_full_interval(&mut lax, 80), [], "Envoy does not enforce it by default");
    assert_eq!(lax.counts().detected.get(&OutlierKind::FailurePercentage), Some(&1));
}

#[test]
fn a_passed_health_check_returns_a_peer_at_once() {
    let mut detector = detector(3, |_| {});
    fives(&mut detector, 1, 0, 5);
    assert!(detector.check_passed(at(2), PeerId(0)) && !detector.check_passed(at(3), PeerId(0)));
    assert_eq!(fives(&mut detector, 4, 0, 5), Some(OutlierKind::Consecutive5xx));
}

#[test]
fn jitter_makes_ejections_longer_and_enforcement_is_a_draw() {
    let mut detector = detector(400, |config| {
        config.max_ejection_time_jitter = Span::from_secs(4);
        config.consecutive_5xx.enforcing = Ratio(0.5);
    });
    let out = (0..400).filter(|peer| fives(&mut detector, 1, *peer, 5).is_some()).count();
    assert!((150..250).contains(&out), "{out}");
    let back: Vec<usize> =
        (1..=8).map(|tick| detector.tick(at(tick * 1000)).returned.len()).collect();
    assert_eq!(back.iter().sum::<usize>(), out);
    assert!(back[..2] == [0, 0] && back[2..7].iter().filter(|n| **n > 20).count() >= 4, "{back:?}");
}
