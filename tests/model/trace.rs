//! Decisions in words.

use lab::sim::{Options, trace};

use crate::rows::scenario;

fn told(algorithm: &str, requests: usize) -> String {
    let scenario = scenario(&format!(
        r#"
        [scenario]
        seed = 3
        duration = "8s"
        [traffic]
        rate = "10/s"
        arrival = {{ process = "uniform" }}
        [traffic.client]
        timeout = "5s"
        [balancer]
        algorithm = "{algorithm}"
        [[backend]]
        name = "b1"
        weight = 5
        service = {{ law = "constant", value = "230ms" }}
        [[backend]]
        name = "b2"
        weight = 3
        service = {{ law = "constant", value = "180ms" }}
        [[backend]]
        name = "spare"
        backup = true
        service = {{ law = "constant", value = "100ms" }}
        [[fault]]
        name = "crash-b1"
        kind = "crash"
        target = "b1"
        at = "550ms"
        for = "2s"
        "#
    ));
    let steps = trace(&scenario, &Options::default(), requests);
    steps.iter().map(|step| format!("{step}\n")).collect()
}

#[test]
fn least_conn_says_loads_and_ties() {
    insta::assert_snapshot!(told("least_conn", 7));
}

#[test]
fn round_robin_says_scores() {
    insta::assert_snapshot!(told("round_robin", 4));
}

#[test]
fn the_random_ones_say_among_whom_they_drew() {
    let random = told("random", 4);
    assert!(random.contains("drawn by weight among b1 5, b2 3"), "{random}");
    let two = told("random_two", 4);
    assert!(two.contains("in flight by weight; of two drawn by weight"), "{two}");
}

#[test]
fn nothing_is_told_of_no_requests() {
    assert_eq!(told("random", 0), "");
}
