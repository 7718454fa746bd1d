//! A scenario's backends as containers: kill, pause, disconnect from the network and CPU limit are
//! its faults, each proved; and the classic failover.

use serde_json::Value;

use crate::docker::source;
use crate::run::{ContainerRun, turn};

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

#[test]
fn docker_makes_the_faults_and_each_is_proved() {
    let _turn = turn();
    let run = ContainerRun::new("faults", FAULTS).live().with(&["--container-memory", "96MiB"]);
    let run = run.finish().measured();
    let proofs = run.proofs();
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
    run.left.is_nothing();
}

#[test]
fn failover_runs_with_containers() {
    let _turn = turn();
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
    let run = ContainerRun::new("failover", &text).finish().ended_with(&[0, 3, 4]);
    assert_eq!(run.proofs()[0]["bit"], true);
    // What a busy host cannot change: hardly any request is lost, and another server answered.
    let checks = run.summary()["checks"].as_array().unwrap().clone();
    let held = |that: &str| {
        let of_live = |check: &&Value| {
            check["text"].as_str().unwrap().starts_with(that) && check["world"] != "sim"
        };
        checks.iter().find(of_live).unwrap_or_else(|| panic!("{checks:?}"))["verdict"].clone()
    };
    assert_eq!(held("errors < 0.5%"), "held", "{}", run.said());
    assert_eq!(held("spread(spare) < 1%"), "held", "{}", run.said());
    run.left.is_nothing();
}
