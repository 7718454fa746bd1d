//! Same scenario, same bytes: over any number of threads, whoever takes the rows, every time.

#[path = "model/rows.rs"]
mod rows;

use lab::record::{RequestRow, Sink};
use lab::scenario::Scenario;
use lab::sim::{Options, replicate, run};
use rows::{Rows, scenario};

/// Everything that can make an order matter: several views, faults, retries, checks, a waiting
/// line, both disciplines.
fn everything() -> Scenario {
    scenario(
        r#"
        [scenario]
        seed = 7
        duration = "12s"
        replications = 6
        [traffic]
        rate = "120/s"
        arrival = { process = "mmpp", burst_ratio = 4, burst = "1s", quiet = "2s" }
        [traffic.client]
        timeout = "800ms"
        connections = 60
        [balancer]
        algorithm = "random_two"
        instances = 2
        workers = 2
        state = "per_worker"
        connect_timeout = "300ms"
        read_timeout = "600ms"
        fail_timeout = "0s"
        [balancer.retry]
        on = ["error", "timeout", "http_500", "http_503"]
        tries = 3
        [balancer.health]
        interval = "500ms"
        timeout = "200ms"
        [balancer.queue]
        length = 20
        timeout = "300ms"
        [[backend]]
        name = "f"
        count = 3
        workers = 2
        max_conns = 3
        queue_limit = 4
        service = { law = "exponential", mean = "25ms" }
        health_failure = "3%"
        [[backend]]
        name = "p"
        workers = 2
        discipline = "ps"
        speed = 1.5
        service = { law = "log_normal", mean = "30ms", sigma = 1.0 }
        [[fault]]
        name = "crash"
        kind = "crash"
        target = "f-1"
        at = "2s"
        for = "2s"
        [[fault]]
        name = "hang"
        kind = "hang"
        target = ["f-2", "p"]
        at = "5s"
        for = "1s"
        [[fault]]
        name = "cut"
        kind = "partition"
        target = "f-3"
        at = "7s"
        for = "2s"
        [[fault]]
        name = "slow"
        kind = "slow"
        factor = 3
        target = "f"
        at = "8s"
        for = "2s"
        "#,
    )
}

/// Instances that come, die, drain and go, at balancers that know only their own requests.
fn scaled() -> Scenario {
    scenario(
        r#"
        [scenario]
        seed = 3
        duration = "30s"
        replications = 4
        [traffic]
        stage = [
            { name = "low", duration = "6s", rate = "60/s" },
            { name = "high", duration = "12s", rate = "260/s" },
            { name = "low-again", duration = "12s", rate = "40/s" },
        ]
        [balancer]
        algorithm = "least_conn"
        instances = 2
        [[backend]]
        name = "api"
        workers = 2
        service = { law = "exponential", mean = "20ms" }
        [[backend]]
        name = "spare"
        backup = true
        discipline = "ps"
        service = { law = "exponential", mean = "20ms" }
        [autoscaler]
        max = 6
        poll = "1s"
        scrape_interval = "500ms"
        rate_window = "2s"
        start_up = "1500ms"
        drain_timeout = "100ms"
        cooldown_up = "1s"
        cooldown_down = "2s"
        [[fault]]
        name = "crash"
        kind = "crash"
        target = "api-1"
        at = "14s"
        for = "5s"
        "#,
    )
}

#[test]
fn a_scaled_group_gives_the_same_bytes_over_any_number_of_threads() {
    let scenario = scaled();
    let first = bytes(&scenario, 1);
    assert!(first[0].contains("start 1"), "the one that died is replaced");
    for threads in [2, 3] {
        assert!(bytes(&scenario, threads) == first, "{threads} threads gave other bytes");
    }
}

fn bytes(scenario: &Scenario, threads: usize) -> Vec<String> {
    let runs = replicate(scenario, &Options::default(), threads, |_| Rows::default());
    runs.into_iter()
        .map(|(rows, ran)| {
            format!(
                "{}\n{}\n{:?}\n{}\n{ran:?}",
                serde_json::to_string(&rows.requests).unwrap(),
                serde_json::to_string(&rows.attempts).unwrap(),
                rows.timeline,
                serde_json::to_string(&rows.events).unwrap(),
            )
        })
        .collect()
}

#[test]
fn the_same_bytes_over_one_and_two_threads_twice() {
    let scenario = everything();
    let first = bytes(&scenario, 1);
    assert_eq!(first.len(), 6);
    for threads in [1, 2, 2, 5] {
        assert!(bytes(&scenario, threads) == first, "{threads} threads gave other bytes");
    }
}

#[test]
fn replications_and_seeds_differ() {
    let mut scenario = everything();
    let first = bytes(&scenario, 2);
    for (place, one) in first.iter().enumerate() {
        assert!(first[..place].iter().all(|other| other != one), "replication {place} repeats one");
    }
    scenario.seed += 1;
    assert_ne!(bytes(&scenario, 2)[0], first[0]);
}

/// Wants requests alone, so that the model leaves out everything else.
#[derive(Default)]
struct RequestsOnly(Vec<RequestRow>);

impl Sink for RequestsOnly {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;
    fn request(&mut self, row: &RequestRow) {
        self.0.push(*row);
    }
}

#[test]
fn who_takes_the_rows_changes_nothing() {
    let scenario = everything();
    let (mut all, mut some) = (Rows::default(), RequestsOnly::default());
    let ran = run(&scenario, 3, &Options::default(), &mut all);
    let other = run(&scenario, 3, &Options::default(), &mut some);
    assert_eq!(all.requests, some.0);
    assert_eq!(ran.counts, other.counts);
}

/// The rows of a fixed scenario never change without a reason: the same on every machine.
#[test]
fn the_rows_are_the_golden_ones() {
    let scenario = everything();
    let mut rows = Rows::default();
    let ran = run(&scenario, 0, &Options::default(), &mut rows);
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in serde_json::to_vec(&(&rows.requests, &rows.attempts)).unwrap() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let seen = (ran.counts.planned, ran.counts.attempts, hash);
    assert_eq!(seen, (1_474, 1_511, 5_918_931_021_848_677_009));
}
