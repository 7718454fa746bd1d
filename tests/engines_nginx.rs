//! Real NGINX in both worlds, from the command line: a crash that it must notice by itself, and a
//! drain, which is a reload; and nothing of it is left when lab is killed.
#![cfg(feature = "cli")]

mod support;

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use support::{Folder, code, processes_of, stderr, stdout, wait_until};

/// Three backends; one dies for two seconds, another is drained after that. Service takes long, so
/// that what a busy host adds is little beside it.
const DISTURBED: &str = r#"
schema_version = 1

[scenario]
name = "small"
seed = 7
duration = "8s"
warm_up = "500ms"

[traffic]
rate = "60/s"

[traffic.client]
timeout = "2s"

[balancer]
engine = "nginx"
algorithm = "least_conn"
keepalive = 32
fail_timeout = "1s"

[balancer.retry]
on = ["error", "timeout"]

[[backend]]
name = "a"
weight = 2
workers = 16
service = { law = "uniform", low = "50ms", high = "150ms" }

[[backend]]
name = "b"
workers = 16
service = { law = "uniform", low = "50ms", high = "150ms" }

[[backend]]
name = "c"
workers = 16
service = { law = "uniform", low = "50ms", high = "150ms" }

[[fault]]
name = "crash-b"
kind = "crash"
at = "1500ms"
for = "2s"
target = "b"

[[fault]]
name = "drain-c"
kind = "drain"
at = "5s"
for = "2s"
target = "c"
"#;

fn json(path: &std::path::Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn the_model_follows_nginx_through_a_crash_and_a_drain() {
    let folder = Folder::new();
    folder.file("small.toml", DISTURBED);
    let output = folder.run(&["run", "small.toml"]);
    // A busy machine may make the measurement invalid; it says so, and the numbers are there.
    assert!(matches!(code(&output), 0 | 4), "{}\n{}", stdout(&output), stderr(&output));
    let run = folder.runs("small").remove(0);
    let results = json(&run.join("summary.json"));
    let (sim, live) = (&results["worlds"][0], &results["worlds"][1]);
    assert_eq!(sim["requests"], live["requests"], "the same plan");
    assert!(sim["requests"].as_u64().unwrap() > 380);
    for world in [sim, live] {
        let failed = world["failed"].as_u64().unwrap();
        assert!(failed <= 3, "retries and a reload lose next to nothing, but {failed} failed");
    }
    for place in 0..3 {
        let share = |world: &Value| world["shares"][place]["share"].as_f64().unwrap();
        assert!((share(sim) - share(live)).abs() < 0.08, "{} and {}", share(sim), share(live));
    }
    let p50 = |world: &Value| world["latency"]["p50"]["value"].as_f64().unwrap();
    assert!((p50(sim) / p50(live) - 1.0).abs() < 0.35, "{} and {}", p50(sim), p50(live));

    let manifest = json(&run.join("run.json"));
    let (crash, drain) = (&manifest["faults"][0], &manifest["faults"][1]);
    assert_eq!(crash["bit"], true, "{crash}");
    assert_eq!(drain["bit"], true, "{drain}");
    // NGINX shows no view of its servers: the backend itself must have been left alone.
    assert!(drain["during"].as_str().unwrap().contains("requests reached it"), "{drain}");
}

/// A master that gets SIGKILL leaves its workers; lab's death must end both.
#[test]
fn the_death_of_lab_leaves_no_master_and_no_worker() {
    let folder = Folder::new();
    folder.file("small.toml", DISTURBED);
    let is_nginx = |process: &(u32, String)| process.1.starts_with("nginx: ");
    let mut lab = folder
        .lab(&["run", "small.toml", "--only", "live", "--quiet"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let serves = wait_until(Duration::from_secs(20), || {
        processes_of(folder.path()).iter().filter(|it| is_nginx(it)).count() >= 2
    });
    assert!(serves, "a master and a worker: {:?}", processes_of(folder.path()));
    lab.kill().unwrap();
    lab.wait().unwrap();
    let gone = wait_until(Duration::from_secs(5), || processes_of(folder.path()).is_empty());
    assert!(gone, "left: {:?}", processes_of(folder.path()));
    assert!(folder.runs("small").is_empty(), "half a result");
}
