//! A scenario's backends as containers: kill, pause, disconnect from the network and CPU limit are
//! its faults, each proved; and the classic failover.

use serde_json::Value;

use crate::docker::{assert_nothing_left, image, source, turn};
use crate::support::{Folder, code, stderr, stdout};

/// One fault of each kind. Backends compute what is asked of them (the path /load), so that a limit
/// of CPU slows them.
const FAULTS: &str = r#"
schema_version = 1

[scenario]
name = "faults"
seed = 7
duration = "14s"
warm_up = "500ms"

[traffic]
rate = "24/s"

[traffic.client]
timeout = "4s"

[[traffic.class]]
name = "compute"
path = "/load"

[balancer]
algorithm = "round_robin"
connect_timeout = "500ms"
read_timeout = "1s"
keepalive = 16

[balancer.retry]
on = ["error", "timeout"]
tries = 3

[balancer.health]
path = "/health"
interval = "500ms"
timeout = "400ms"
rise = 2
fall = 2

[[backend]]
name = "a"
service = { law = "constant", value = "10ms" }

[[backend]]
name = "b"
service = { law = "constant", value = "10ms" }

[[backend]]
name = "c"
service = { law = "constant", value = "10ms" }

[[fault]]
name = "kill"
kind = "crash"
target = "a"
at = "2s"
for = "2s"

[[fault]]
name = "limit"
kind = "slow"
factor = 4
target = "b"
at = "2s"
for = "4s"

[[fault]]
name = "pause"
kind = "hang"
target = "c"
at = "6500ms"
for = "2500ms"

[[fault]]
name = "disconnect"
kind = "partition"
target = "a"
at = "9500ms"
for = "2500ms"
"#;

fn proofs(folder: &Folder, scenario: &str) -> Vec<Value> {
    let run = folder.runs(scenario).pop().expect("no results");
    let text = std::fs::read_to_string(run.join("run.json")).unwrap();
    let run: Value = serde_json::from_str(&text).unwrap();
    run["faults"].as_array().unwrap().clone()
}

#[test]
fn docker_makes_the_faults_and_each_is_proved() {
    let _turn = turn();
    let folder = Folder::new();
    folder.file("faults.toml", FAULTS);
    let output = folder.run(&[
        "run",
        "faults.toml",
        "--only",
        "live",
        "--provider",
        "docker",
        "--image",
        image(),
        "--container-memory",
        "96MiB",
    ]);
    // A busy host may make the measurement invalid; the faults bite all the same.
    assert!([0, 4].contains(&code(&output)), "{} {}", stdout(&output), stderr(&output));
    let proofs = proofs(&folder, "faults");
    assert_eq!(proofs.len(), 4);
    for proof in &proofs {
        assert_eq!(proof["bit"], true, "{proof}");
    }
    let during = |name: &str| {
        let of = |proof: &&Value| proof["fault"].as_str().unwrap().starts_with(name);
        proofs.iter().find(of).unwrap()["during"].as_str().unwrap().to_owned()
    };
    // The sandbox keeps the address, as a pod does: a killed backend refuses at once.
    assert!(during("kill").contains("refused"), "{}", during("kill"));
    assert!(during("pause").contains("container is paused"), "{}", during("pause"));
    assert!(during("disconnect").contains("no answer"), "{}", during("disconnect"));
    assert!(during("limit").contains("times the time asked for"), "{}", during("limit"));
    assert_nothing_left();
}

#[test]
fn failover_runs_with_containers() {
    let _turn = turn();
    let folder = Folder::new();
    // The scenario itself, shortened.
    let text = std::fs::read_to_string(source().join("scenarios/failover.toml")).unwrap();
    let short = [
        ("duration = \"40s\"", "duration = \"16s\""),
        ("warm_up = \"3s\"", "warm_up = \"2s\""),
        ("at = \"15s\"", "at = \"5s\""),
        ("for = \"10s\"", "for = \"5s\""),
    ];
    let text = short.iter().fold(text, |text, (long, short)| {
        assert!(text.contains(long), "{long}");
        text.replace(long, short)
    });
    folder.file("failover.toml", &text);
    let output = folder.run(&["run", "failover.toml", "--provider", "docker", "--image", image()]);
    let said = stdout(&output);
    assert!([0, 3, 4].contains(&code(&output)), "{said} {}", stderr(&output));
    assert_eq!(proofs(&folder, "failover")[0]["bit"], true);
    let run = folder.runs("failover").pop().unwrap();
    let text = std::fs::read_to_string(run.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&text).unwrap();
    // What a busy host cannot change: hardly any request is lost, and another server answered.
    let checks = summary["checks"].as_array().unwrap();
    let held = |that: &str| {
        let of_live = |check: &&Value| {
            check["text"].as_str().unwrap().starts_with(that) && check["world"] != "sim"
        };
        checks.iter().find(of_live).unwrap_or_else(|| panic!("{checks:?}"))["verdict"].clone()
    };
    assert_eq!(held("errors < 0.5%"), "held", "{said}");
    assert_eq!(held("spread(spare) < 1%"), "held", "{said}");
    assert_nothing_left();
}
