//! The image: small, for nobody in particular, with a health check of its own.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::docker::{Removed, docker, image, source, tool, try_docker};
use crate::support::wait_until;

#[test]
fn the_image_is_small_and_has_no_root() {
    let facts: Value = serde_json::from_str(&docker(&["inspect", image()])).unwrap();
    let facts = &facts[0];
    assert_eq!(facts["Config"]["User"], "65532:65532");
    assert_eq!(facts["Config"]["Entrypoint"], serde_json::json!(["/usr/local/bin/lab"]));
    let size = facts["Size"].as_u64().unwrap();
    let program = std::fs::metadata(env!("CARGO_BIN_EXE_lab")).unwrap().len();
    assert!(size < program + (20 << 20), "{size} bytes for a program of {program}");
    let version = docker(&["run", "--rm", image(), "--version"]);
    assert_eq!(version, format!("lab {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_container_is_healthy_when_its_backend_serves_and_not_when_it_fails() {
    let _removed = Removed::later(&[&["rm", "--force", "lab-test-well", "lab-test-ill"]]);
    // A check each half second: the image's own ten are for real life.
    let run = |name: &str, share: &str| {
        docker(&[
            "run",
            "--detach",
            "--name",
            name,
            "--read-only",
            "--cap-drop",
            "ALL",
            "--health-interval",
            "500ms",
            "--health-retries",
            "2",
            "--health-start-period",
            "1ms",
            image(),
            "backend",
            "--listen",
            "0.0.0.0:8080",
            "--health-failure",
            share,
        ])
    };
    run("lab-test-well", "0%");
    run("lab-test-ill", "100%");
    let health = |name: &str, wanted: &str| {
        let state = || docker(&["inspect", "--format", "{{.State.Health.Status}}", name]);
        assert!(wait_until(Duration::from_secs(20), || state() == wanted), "{name}: {}", state());
    };
    health("lab-test-well", "healthy");
    health("lab-test-ill", "unhealthy");
}

#[test]
fn a_health_check_says_what_it_saw() {
    let output = try_docker(&["run", "--rm", image(), "health", "http://127.0.0.1:9/x"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("cannot connect to 127.0.0.1:9"), "{said}");
}

#[test]
fn the_dockerfile_has_nothing_that_hadolint_knows_better() {
    let hadolint = tool("hadolint", "python/bin/hadolint");
    let output = Command::new(hadolint).arg(source().join("Dockerfile")).output();
    let output = output.expect("hadolint is not installed: see tests/run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
