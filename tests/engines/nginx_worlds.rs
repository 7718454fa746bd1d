//! NGINX in both worlds: it must notice a crash by itself, and a drain is a reload.

use crate::support::{Folder, ran, stderr};
use crate::worlds::{Worlds, alone, json, killed, quiet};

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

/// What NGINX shows while it runs is kept, and the configuration of each instance.
#[test]
fn every_instance_keeps_its_configuration() {
    let _alone = alone();
    let folder = Folder::new();
    let balancer = format!("instances = 2{BALANCER}");
    folder.file("disturbed.toml", &quiet(&balancer));
    let output = folder.run(&["run", "disturbed.toml", "--only", "live", "--quiet"]);
    assert!(ran(&output), "{}", stderr(&output));
    let run = folder.runs("disturbed").remove(0);
    let read = |name: &str| std::fs::read_to_string(run.join("engine").join(name)).unwrap();
    let (first, second) = (read("nginx.conf"), read("instance-2/nginx.conf"));
    assert_ne!(first, second, "each listens at its own address");
    let statistics = json(&run.join("run.json"))["engine"]["statistics"].to_string();
    assert!(statistics.contains("client connections, most in a second"), "{statistics}");
}
