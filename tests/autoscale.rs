//! A group of backends that grows and shrinks under load, with real balancers in front of it.
#![cfg(feature = "cli")]

mod support;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use lab::record::read;
use lab::record::{EventKind, EventRow};
use serde_json::Value;
use support::{Folder, code, stderr, stdout};

/// Worlds in real time do not share the cores with one another.
static ALONE: Mutex<()> = Mutex::new(());

/// One instance does 50 requests a second: 30/s keep one busy, 220/s need five, 20/s one.
const GROUP: &str = r#"
schema_version = 1

[scenario]
seed = 3
duration = "22s"

[[traffic.stage]]
name = "low"
duration = "3s"
rate = "20/s"

[[traffic.stage]]
name = "high"
duration = "9s"
rate = "220/s"

[[traffic.stage]]
name = "after"
rate = "15/s"

[balancer]
algorithm = "least_conn"
keepalive = 16

[[backend]]
name = "api"
workers = 2
service = { law = "constant", value = "40ms" }

[autoscaler]
min = 1
max = 6
poll = "1s"
scrape_interval = "500ms"
rate_window = "1s"
start_up = "300ms"

[autoscaler.threshold]
up = "60%"
down = "30%"
step = 2
"#;

fn only_run(folder: &Folder, scenario: &str) -> PathBuf {
    let runs = folder.runs(scenario);
    assert_eq!(runs.len(), 1, "{runs:?}");
    runs[0].clone()
}

fn results(run: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(run.join("summary.json")).unwrap()).unwrap()
}

/// What became of the group, in order.
fn scaled(run: &Path) -> Vec<EventRow> {
    let mut events = Vec::new();
    read::events(&run.join("events.parquet"), |row| {
        if row.kind == EventKind::Scaled && row.subject.starts_with("api") {
            events.push(row.clone());
        }
    })
    .unwrap();
    events.sort_by_key(|row| row.at_ns);
    events
}

/// The sizes that were decided upon.
fn sizes(events: &[EventRow]) -> Vec<u32> {
    let decided = events.iter().filter(|row| row.subject == "api");
    let after = decided.filter_map(|row| row.reason.split_once(" → ")?.1.split(' ').next());
    after.map(|size| size.parse().unwrap()).collect()
}

/// From one instance to six and back, and no request is lost.
fn grows_and_shrinks(engine: &str) {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    let folder = Folder::new();
    folder.file("group.toml", GROUP);
    let output = folder.run(&["run", "group.toml", "--only", "live", "--engine", engine]);
    // A busy machine may make the measurement invalid; what happened is there all the same.
    assert!(matches!(code(&output), 0 | 4), "{}\n{}", stdout(&output), stderr(&output));
    let run = only_run(&folder, "group");
    let events = scaled(&run);
    let words: Vec<_> =
        events.iter().map(|row| format!("{} {}", row.subject, row.reason)).collect();
    assert_eq!(sizes(&events), [3, 5, 6, 4, 2, 1], "{words:#?}");
    let count = |word: &str| events.iter().filter(|row| row.reason.contains(word)).count();
    assert_eq!(count("is ready and serves"), 5, "{words:#?}");
    assert_eq!(count("was drained and stopped"), 5, "{words:#?}");

    let live = &results(&run)["worlds"][0];
    assert!(live["requests"].as_u64().unwrap() > 2000);
    assert_eq!(live["failed"], 0, "{words:#?}\n{}", live["failures"]);
    let shares = live["shares"].as_array().unwrap();
    assert_eq!(shares.len(), 6);
    assert!(shares.iter().all(|one| one["share"].as_f64().unwrap() > 0.02), "{shares:?}");
}

#[test]
fn a_group_grows_to_six_and_back_to_one_behind_labs_proxy() {
    grows_and_shrinks("own");
}

#[test]
fn a_group_grows_to_six_and_back_to_one_behind_nginx() {
    grows_and_shrinks("nginx");
}

#[test]
fn a_group_grows_to_six_and_back_to_one_behind_haproxy() {
    grows_and_shrinks("haproxy");
}

#[test]
fn a_group_grows_to_six_and_back_to_one_behind_envoy() {
    grows_and_shrinks("envoy");
}

/// The autoscaler puts another one in the place of an instance that a fault kills, at once: the
/// next decision by the metric is a minute away.
#[test]
fn an_instance_that_is_killed_is_replaced_at_once() {
    let _alone = ALONE.lock().unwrap_or_else(|error| error.into_inner());
    let folder = Folder::new();
    let text = GROUP
        .replace("\"22s\"", "\"10s\"")
        .replace("\"9s\"", "\"4s\"")
        .replace("220/s", "60/s")
        .replace("min = 1", "min = 2")
        .replace("poll = \"1s\"", "poll = \"60s\"")
        + "\n[[fault]]\nname = \"kill\"\nkind = \"crash\"\ntarget = \"api-1\"\nat = \"3s\"\n\
           for = \"3s\"\n";
    folder.file("killed.toml", &text);
    let output = folder.run(&["run", "killed.toml", "--only", "live"]);
    assert!(matches!(code(&output), 0 | 4), "{}\n{}", stdout(&output), stderr(&output));
    let run = only_run(&folder, "killed");
    let events = scaled(&run);
    let words: Vec<_> =
        events.iter().map(|row| format!("{} {}", row.subject, row.reason)).collect();
    let at = |word: &str| {
        let found = events.iter().find(|row| row.reason.contains(word));
        found.unwrap_or_else(|| panic!("{word}: {words:#?}")).at_ns as f64 / 1e9
    };
    assert!((3.0..3.5).contains(&at("ended (")), "{words:#?}");
    assert!(at("(start 1)") - at("ended (") < 0.3, "{words:#?}");
    assert!(at("is ready and serves") < 5.0, "{words:#?}");
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    assert_eq!(manifest["faults"][0]["bit"], true, "{}", manifest["faults"]);
}
