//! HAProxy in both worlds: its checks and retries hide a crash, and a drain is an order at its
//! stats socket.

use crate::worlds::{Worlds, checked, killed};

const BALANCER: &str = r#"
engine = "haproxy"
algorithm = "least_conn"

[balancer.retry]
on = ["error", "timeout"]
"#;

#[test]
fn the_model_follows_haproxy_through_a_crash_and_a_drain() {
    let worlds = Worlds::disturbed(&checked(BALANCER));
    let engine = &worlds.manifest["engine"];
    assert_eq!(engine["name"], "haproxy");
    assert!(worlds.statistic("b.chkdown") > 0, "its checks found the crash: {engine}");
    assert!(worlds.statistic("BACKEND.wredis") > 0, "who met it went elsewhere: {engine}");
    assert!(worlds.statistic("BACKEND.stot") >= worlds.requests(), "{engine}");
    worlds.peers_changed("haproxy");
    let drain = &worlds.manifest["faults"][1];
    assert!(drain["during"].as_str().unwrap().contains("draining in the eyes"), "{drain}");
}

#[test]
fn a_killed_lab_leaves_no_haproxy_behind() {
    killed(&checked(BALANCER), |processes| {
        processes.iter().any(|process| process.1.contains("haproxy.cfg"))
    });
}
