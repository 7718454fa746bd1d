//! Autoscalers at the command line: Kubernetes' manifests in and out, and what a rule would have
//! done about a recorded load.
#![cfg(feature = "cli")]

mod support;

use support::{Folder, code, stderr, stdout};

/// What it prints, if it ends well.
fn printed(folder: &Folder, arguments: &[&str]) -> String {
    let output = folder.run(arguments);
    assert_eq!(code(&output), 0, "lab {}: {}", arguments.join(" "), stderr(&output));
    stdout(&output)
}

const MANIFEST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/hpa/php-apache.yaml");

#[test]
fn a_manifest_becomes_a_scenario_and_a_manifest_again() {
    let folder = Folder::new();
    let said = printed(&folder, &["new", "--from", MANIFEST]);
    assert!(said.contains("the group php-apache with an autoscaler from 1 to 10"), "{said}");
    assert!(
        said.contains("php-apache.yaml:20: spec.metrics.type: External: a metric of type External"),
        "{said}"
    );
    printed(&folder, &["check", "php-apache.toml"]);
    let manifest = printed(&folder, &["config", "hpa", "php-apache.toml"]);
    folder.file("again.yaml", &manifest);
    printed(&folder, &["new", "--from", "again.yaml", "again"]);
    let autoscaler = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).unwrap();
        let table: toml::Table = text.parse().unwrap();
        table["autoscaler"].clone()
    };
    assert_eq!(autoscaler("php-apache.toml"), autoscaler("again.toml"));
}

/// A day in short: quiet, a rush, quiet.
fn series() -> String {
    let mut text = "time,api-1,api-2,api-3\n".to_owned();
    for second in (0..=3600).step_by(15) {
        let share = if (900..2100).contains(&second) { 0.85 } else { 0.15 };
        text.push_str(&format!("{second},{share},{share},{share}\n"));
    }
    text
}

const SCENARIO: &str = r#"
schema_version = 1
[scenario]
seed = 1
duration = "60s"
[traffic]
rate = "10/s"
[[backend]]
name = "api"
workers = 4
service = { law = "log_normal", mean = "10ms", sigma = 0.8 }
[autoscaler]
max = 8
"#;

#[test]
fn a_recorded_series_is_replayed_to_several_rules() {
    let folder = Folder::new();
    folder.file("load.csv", &series());
    folder.file("site.toml", SCENARIO);
    let said = printed(
        &folder,
        &["autoscale", "site.toml", "--dry-run", "--series", "load.csv", "--also", MANIFEST],
    );
    assert!(
        said.contains("(stop 3): mean utilization 15 % of 3 ready instances is below 30 %"),
        "{said}"
    );
    assert!(said.contains("mean CPU use"), "the manifest follows CPU: {said}");
    assert!(said.contains("flaps/h") && said.contains("recorded"), "{said}");
    let again = printed(
        &folder,
        &["autoscale", "site.toml", "--dry-run", "--series", "load.csv", "--also", MANIFEST],
    );
    assert_eq!(said, again);
}

#[test]
fn a_series_that_is_wrong_is_said_with_its_line() {
    let folder = Folder::new();
    folder.file("load.csv", "time,api-1\n0,0.5\n1,lots\n");
    folder.file("site.toml", SCENARIO);
    let output = folder.run(&["autoscale", "site.toml", "--dry-run", "--series", "load.csv"]);
    let said = stderr(&output);
    assert_eq!(code(&output), 2, "{said}");
    assert!(said.contains("load.csv:3: expected a number of 0 or more, found \"lots\""), "{said}");
}

/// The timeline that a run of the model leaves is such a series too.
#[test]
fn the_timeline_of_a_run_is_replayed() {
    let folder = Folder::new();
    folder.file("site.toml", SCENARIO);
    printed(&folder, &["run", "site.toml", "--only", "sim"]);
    let timeline = folder.runs("site")[0].join("timeline.parquet");
    let timeline = timeline.display().to_string();
    let said = printed(&folder, &["autoscale", "site.toml", "--dry-run", "--series", &timeline]);
    assert!(said.contains("instance-hours"), "{said}");
}
