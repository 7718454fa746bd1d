//! NGINX in both worlds: it must notice a crash by itself, and a drain is a reload.

use crate::worlds::{Worlds, killed};

const BALANCER: &str = r#"
engine = "nginx"
algorithm = "least_conn"
keepalive = 32
fail_timeout = "1s"

[balancer.retry]
on = ["error", "timeout"]
"#;

#[test]
fn the_model_follows_nginx_through_a_crash_and_a_drain() {
    let worlds = Worlds::disturbed(BALANCER);
    assert_eq!(worlds.manifest["engine"]["name"], "nginx");
    // NGINX shows no view of its servers: the backend itself must have been left alone.
    let drain = &worlds.manifest["faults"][1];
    assert!(drain["during"].as_str().unwrap().contains("requests reached it"), "{drain}");
}

/// A master that gets SIGKILL leaves its workers; lab's death must end both.
#[test]
fn a_killed_lab_leaves_no_master_and_no_worker() {
    killed(BALANCER, |processes| {
        processes.iter().filter(|process| process.1.starts_with("nginx: ")).count() >= 2
    });
}
