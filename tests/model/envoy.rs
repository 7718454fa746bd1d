//! The model under Envoy's rules: each rule's effect on the traffic of a run.

use lab::policy::health::outlier::OutlierConfig;
use lab::policy::rules::{EnvoyRetry, EnvoyRules, RetryOn};
use lab::policy::{Algorithm, Rules};
use lab::record::{EventKind, PickedBecause};
use lab::scenario::Scenario;
use lab::units::{Ratio, Span};

use crate::rows::{Rows, rows, scenario};

/// Backends b-1, b-2, … under 1000 requests a second, and errors of those named from 2 s on.
fn envoy(backends: u32, backups: u32, failing: &[&str], rules: EnvoyRules) -> Scenario {
    let service = "workers = 50\nservice = { law = \"constant\", value = \"5ms\" }\n";
    let mut text = format!(
        "[scenario]\nduration = \"13s\"\n[traffic]\nrate = \"1000/s\"\narrival = {{ process = \"uniform\" }}\n\
         [balancer]\n[[backend]]\nname = \"b\"\ncount = {backends}\n{service}"
    );
    if backups > 0 {
        text += &format!("[[backend]]\nname = \"s\"\ncount = {backups}\nbackup = true\n{service}");
    }
    for (place, name) in failing.iter().enumerate() {
        text += &format!(
            "[[fault]]\nname = \"e{place}\"\nkind = \"error_rate\"\nrate = \"100%\"\n\
             target = \"{name}\"\nat = \"{}ms\"\nfor = \"10s\"\n",
            2_000 + 200 * place
        );
    }
    let mut scenario = scenario(&text);
    let upstream = &mut scenario.balancer.upstream;
    upstream.algorithm = Algorithm::RoundRobinEdf;
    upstream.rules = Rules::Envoy(rules);
    upstream.resilience.panic = Ratio(0.5);
    upstream.resilience.outlier =
        Some(OutlierConfig { max_ejection_percent: Ratio(1.0), ..OutlierConfig::default() });
    scenario
}

fn run(scenario: &Scenario) -> Rows {
    rows(scenario).0
}

#[test]
fn the_second_ejected_host_keeps_its_traffic_up_to_a_second() {
    let rows = run(&envoy(10, 0, &["b-1", "b-2"], EnvoyRules::default()));
    let ejected = rows.times_of(EventKind::Ejected);
    assert_eq!(ejected.len(), 2, "{ejected:?}");
    assert_eq!(rows.begun(0, ejected[0] + 1..6_000), 0, "the first is out at once");
    let kept = rows.begun(1, ejected[1] + 1..ejected[1] + 1_000);
    assert!((105..118).contains(&kept), "its ninth of a second's requests: {kept}");
    assert_eq!(rows.begun(1, ejected[1] + 1_001..6_000), 0);
    let mut at_once = envoy(10, 0, &["b-1", "b-2"], EnvoyRules::default());
    at_once.balancer.upstream.rules =
        Rules::Envoy(EnvoyRules { update_merge_window: Span::ZERO, ..EnvoyRules::default() });
    let (rows, second) = (run(&at_once), ejected[1]);
    assert_eq!(rows.begun(1, second + 20..6_000), 0);
}

#[test]
fn backups_take_what_the_primaries_are_not_trusted_with() {
    let rows = run(&envoy(4, 2, &["b-1", "b-2"], EnvoyRules::default()));
    let share = |range: std::ops::Range<u64>| {
        let of = |peers: std::ops::Range<u32>| -> usize {
            peers.map(|peer| rows.begun(peer, range.clone())).sum()
        };
        of(4..6) as f64 / of(0..6) as f64
    };
    assert_eq!(share(0..2_000), 0.0);
    let one_out = rows.times_of(EventKind::Ejected)[0] + 1;
    assert_eq!(share(one_out..2_200), 0.0, "three of four carry 105 %");
    let spilled = share(3_500..6_000);
    assert!((spilled - 0.3).abs() < 0.04, "two of four carry 70 %: {spilled}");
}

#[test]
fn retries_pause_and_few_hosts_are_never_ejected_by_default() {
    let retry = EnvoyRetry {
        on: RetryOn { server_error: true, ..RetryOn::default() },
        ..EnvoyRetry::default()
    };
    let rules = EnvoyRules { retry: Some(retry), ..EnvoyRules::default() };
    let mut scenario = envoy(9, 0, &["b-1"], rules);
    scenario.balancer.upstream.resilience.outlier = Some(OutlierConfig::default());
    let rows = run(&scenario);
    assert!(rows.times_of(EventKind::Ejected).is_empty(), "a ninth is more than 10 %");
    assert!(rows.begun(0, 2_000..6_000) > 400);
    let mut pauses = Vec::new();
    for retry in rows.attempts.iter().filter(|row| row.number == 2) {
        assert!(matches!(retry.because, PickedBecause::Turn | PickedBecause::Retry));
        let mut firsts = rows.attempts.iter().filter(|row| row.id == retry.id && row.number == 1);
        pauses.push((retry.start_ns - firsts.next().unwrap().end_ns) as f64 / 1e6);
    }
    assert!(pauses.len() > 200, "{}", pauses.len());
    assert!(pauses.iter().all(|pause| (0.0..25.0).contains(pause)));
    let mean = pauses.iter().sum::<f64>() / pauses.len() as f64;
    assert!((mean - 12.5).abs() < 2.0, "uniform below 25 ms, three at once at most: {mean}");
}

#[test]
fn the_route_timeout_ends_a_request_that_a_backend_holds() {
    let rules = EnvoyRules { route_timeout: Span::from_millis(3), ..EnvoyRules::default() };
    let rows = run(&envoy(3, 0, &[], rules));
    assert_eq!(rows.with_status(504), rows.requests.len());
    assert!(rows.requests.iter().all(|row| row.latency_ns() == 3_000_000));
}
