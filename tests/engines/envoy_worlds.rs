//! Envoy as the balancer of a run: the model follows it through a crash and a drain, and nothing of
//! it stays behind.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Folder, code, processes_of, stderr, stdout, wait_until};

/// A crash, which retries hide, and a drain, which nobody notices.
const FAULTS: &str = r#"
schema_version = 1

[scenario]
name = "faults"
seed = 11
duration = "8s"
warm_up = "1s"

[traffic]
rate = "120/s"

[traffic.client]
timeout = "2s"

[balancer]
algorithm = "round_robin"

[balancer.retry]
on = ["error", "timeout", "http_503"]

[balancer.health]
path = "/health"
interval = "500ms"
timeout = "250ms"
rise = 2
fall = 2

[[backend]]
name = "a"
count = 3
workers = 16
service = { law = "uniform", low = "10ms", high = "50ms" }

[[fault]]
name = "crash-a-2"
kind = "crash"
target = "a-2"
at = "2s"
for = "2s"

[[fault]]
name = "drain-a-3"
kind = "drain"
target = "a-3"
at = "5s"
for = "2s"
"#;

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The number under `name` in Envoy's statistics; 0 if it is not there.
fn count(manifest: &Value, name: &str) -> u64 {
    let statistics = manifest["engine"]["statistics"].as_array().unwrap();
    let found = statistics.iter().find(|pair| pair[0].as_str() == Some(name));
    found.map_or(0, |pair| pair[1].as_str().unwrap().parse().unwrap())
}

#[test]
fn the_model_follows_envoy_through_a_crash_and_a_drain() {
    let folder = Folder::new();
    folder.file("faults.toml", FAULTS);
    let output = folder.run(&["run", "faults.toml", "--engine", "envoy", "--rounds", "1"]);
    // A busy machine may make the measurement invalid; it says so, and the numbers are there.
    assert!(matches!(code(&output), 0 | 4), "{}\n{}", stdout(&output), stderr(&output));
    let run = folder.runs("faults").remove(0);
    let results = json(&run.join("summary.json"));
    let (sim, live) = (&results["worlds"][0], &results["worlds"][1]);
    assert_eq!(sim["requests"], live["requests"], "the same plan");
    let requests = live["requests"].as_u64().unwrap();
    assert!(requests > 700, "{requests}");
    let p50 = |world: &Value| world["latency"]["p50"]["value"].as_f64().unwrap();
    assert!((p50(sim) / p50(live) - 1.0).abs() < 0.35, "{} and {}", p50(sim), p50(live));
    for backend in 0..3 {
        let share = |world: &Value| world["shares"][backend]["share"].as_f64().unwrap();
        let (model, real) = (share(sim), share(live));
        assert!((model - real).abs() < 0.05, "backend {backend}: {model} and {real}");
        assert!((0.15..0.55).contains(&real), "backend {backend}: {real}");
    }
    for world in [sim, live] {
        let failed = world["failed"].as_u64().unwrap();
        assert!(failed * 100 <= requests, "retries hide the crash: {failed} failed");
        assert!(world["retried"].as_u64().unwrap() > 0, "who met the crash went elsewhere");
    }

    let manifest = json(&run.join("run.json"));
    for fault in manifest["faults"].as_array().unwrap() {
        assert_eq!(fault["bit"], true, "{fault}");
    }
    let engine = &manifest["engine"];
    assert_eq!(engine["name"], "envoy");
    assert!(engine["version"].as_str().unwrap().starts_with("1."), "{engine}");
    assert!(count(&manifest, "cluster.backends.upstream_rq_retry") > 0, "{engine}");
    assert!(count(&manifest, "cluster.backends.upstream_rq_total") >= requests, "{engine}");
    assert!(wait_until(Duration::from_secs(2), || processes_of(folder.path()).is_empty()));
}

#[test]
fn a_killed_lab_leaves_no_envoy_behind() {
    let folder = Folder::new();
    folder.file("faults.toml", FAULTS);
    let arguments = ["run", "faults.toml", "--engine", "envoy", "--only", "live", "--quiet"];
    let mut lab = folder.lab(&arguments).spawn().unwrap();
    let is_up =
        || processes_of(folder.path()).iter().any(|(_, line)| line.contains("--concurrency"));
    assert!(wait_until(Duration::from_secs(20), is_up), "{:?}", processes_of(folder.path()));
    let told = Command::new("kill").args(["-KILL", &lab.id().to_string()]).status().unwrap();
    assert!(told.success());
    lab.wait().unwrap();
    let all_gone = || processes_of(folder.path()).is_empty();
    assert!(wait_until(Duration::from_secs(5), all_gone), "{:?}", processes_of(folder.path()));
}
