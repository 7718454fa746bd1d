//! What the model says about numbers that mislead.

use lab::sim::Warning;

use crate::rows::{rows, scenario};

fn loaded(rate: &str, law: &str) -> Vec<Warning> {
    let (_, ran) = rows(&scenario(&format!(
        r#"
        [scenario]
        duration = "60s"
        [traffic]
        rate = "{rate}"
        [traffic.client]
        timeout = "1h"
        [[backend]]
        name = "b"
        count = 2
        service = {law}
        "#
    )));
    ran.warnings
}

const EXPONENTIAL: &str = "{ law = \"exponential\", mean = \"10ms\" }";

#[test]
fn a_stable_system_is_no_cause_for_warnings() {
    for rate in ["20/s", "100/s", "160/s", "180/s"] {
        assert_eq!(loaded(rate, EXPONENTIAL), [], "{rate}");
    }
}

#[test]
fn too_much_load_is_foreseen_and_seen() {
    let warnings = loaded("220/s", EXPONENTIAL);
    assert!(matches!(&warnings[0], Warning::Overloaded { load, .. } if (load - 1.1).abs() < 1e-9));
    let Warning::GrowingQueue { first, last, .. } = &warnings[1] else { panic!("{warnings:?}") };
    assert!(last > &(3.0 * first));
    assert!(warnings[0].to_string().contains("110 %"), "{}", warnings[0]);
}

#[test]
fn a_law_without_third_moment_is_named() {
    let warnings = loaded("50/s", "{ law = \"pareto\", mean = \"10ms\", alpha = 2.5 }");
    assert_eq!(warnings, [Warning::NoThirdMoment { group: "b".into() }]);
}
