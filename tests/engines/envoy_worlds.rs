//! Envoy in both worlds: its checks and retries hide a crash, and a drain is a file of endpoints.

use crate::worlds::{Worlds, checked, killed};

const BALANCER: &str = r#"
engine = "envoy"
algorithm = "round_robin"

[balancer.retry]
on = ["error", "timeout", "http_503"]
"#;

#[test]
fn the_model_follows_envoy_through_a_crash_and_a_drain() {
    let worlds = Worlds::disturbed(&checked(BALANCER));
    let engine = &worlds.manifest["engine"];
    assert_eq!(engine["name"], "envoy");
    assert!(engine["version"].as_str().unwrap().starts_with("1."), "{engine}");
    assert!(worlds.statistic("cluster.backends.upstream_rq_retry") > 0, "{engine}");
    let sent = worlds.statistic("cluster.backends.upstream_rq_total");
    assert!(sent >= worlds.requests(), "{engine}");
    worlds.peers_changed("envoy");
}

#[test]
fn a_killed_lab_leaves_no_envoy_behind() {
    killed(&checked(BALANCER), |processes| {
        processes.iter().any(|process| process.1.contains("--concurrency"))
    });
}
