//! What is written for NGINX from a scenario, and what it cannot do.

use std::path::{Path, PathBuf};
use std::process::Command;

use lab::engine::{self, ConfigFile, Wiring};
use lab::policy::balance::Algorithm;
use lab::scenario::{self, Engine, Scenario};
use lab::units::Span;

use super::settings::shipped;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lab-nginx-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn wiring(scenario: &Scenario, folder: &Folder) -> Wiring {
    Wiring { folder: folder.0.clone(), ..Wiring::example(scenario.backends.len()) }
}

/// What `nginx -t` says; the text is in the message if it refuses it.
fn check(file: &ConfigFile, folder: &Folder, what: &str) {
    let path = folder.0.join(&file.name);
    std::fs::write(&path, &file.text).expect("written");
    let log = folder.0.join("error.log");
    let checked = Command::new("nginx")
        .args([Path::new("-t"), Path::new("-p"), &folder.0, Path::new("-c"), &path])
        .args([Path::new("-e"), &log])
        .output()
        .expect("nginx is installed");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{what}: {said}\n{}", file.text);
}

fn text(scenario: &Scenario, wiring: &Wiring) -> ConfigFile {
    engine::configuration(scenario, &Engine::Nginx, wiring).expect("a file").files.remove(0)
}

#[test]
fn nginx_accepts_every_shipped_scenario() {
    let folder = Folder::new("shipped");
    for scenario in shipped() {
        check(&text(&scenario, &wiring(&scenario, &folder)), &folder, &scenario.name);
    }
}

fn failover(changes: &str) -> Scenario {
    let lines = changes.split('\n').filter(|line| !line.is_empty());
    let overrides: Vec<_> = lines
        .map(|line| {
            let (key, value) = line.split_once(" = ").expect("key = value");
            (key.to_owned(), value.to_owned())
        })
        .collect();
    scenario::load_with("scenarios/failover.toml", &overrides).expect("a valid scenario")
}

#[test]
fn nginx_accepts_every_algorithm_key_and_limit() {
    let folder = Folder::new("algorithms");
    let keys = ["client", "uri", "path", "host", "header:x_user-id", "cookie:my.session*"];
    for algorithm in Algorithm::NAMES {
        for state in ["shared", "per_worker"] {
            for backup in ["true", "false"] {
                let hashes =
                    matches!(algorithm, "hash" | "consistent_hash" | "maglev" | "haproxy_hash");
                for key in &keys[..if hashes { keys.len() } else { 1 }] {
                    let mut changes = format!(
                        "balancer.algorithm = {algorithm}\nbalancer.state = {state}\n\
                         balancer.workers = 2\nbackend.spare.backup = {backup}"
                    );
                    if hashes {
                        changes.push_str(&format!("\nbalancer.hash_key = {key}"));
                    }
                    let scenario = failover(&changes);
                    check(&text(&scenario, &wiring(&scenario, &folder)), &folder, &changes);
                }
            }
        }
    }
    let all = "balancer.keepalive = 0\nbalancer.retry.on = []\nbalancer.retry.timeout = 1500ms\n\
               balancer.client.body_max = 1MiB\nbalancer.client.header_max = 8KiB\n\
               balancer.forward.trusted = [\"10.0.0.0/8\", \"::1/128\"]\nbalancer.forward.via = true\n\
               balancer.log.path = /tmp/lab-nginx-access.log\nbalancer.log.sample = 10%\n\
               backend.b1.max_conns = 5\nbackend.b2.down = true\nbackend.b3.fail_timeout = 1500ms";
    let scenario = failover(all);
    let file = text(&scenario, &wiring(&scenario, &folder));
    check(&file, &folder, all);
    for expected in [
        "max_conns=5",
        " down;",
        "fail_timeout=1s;",
        "proxy_next_upstream off;",
        "proxy_next_upstream_timeout 1500ms;",
        "client_max_body_size 1048576;",
        "large_client_header_buffers 4 8192;",
        "10.00% 1;",
        "\"\" close;",
        "Via \"1.1 nginx\"",
    ] {
        assert!(file.text.contains(expected), "{expected} in\n{}", file.text);
    }
}

/// The text that people read.
#[test]
fn the_configuration_of_failover_is_as_committed() {
    let scenario = failover("");
    insta::assert_snapshot!(text(&scenario, &Wiring::example(4)).text);
}

#[test]
fn every_gap_is_named_with_what_is_done_instead() {
    let gaps = |changes: &str| -> Vec<String> {
        let scenario = failover(changes);
        engine::gaps(&scenario, &Engine::Nginx).iter().map(ToString::to_string).collect()
    };
    let health = "balancer.health: open-source NGINX has no active health checks";
    assert!(gaps("")[0].starts_with(health), "{:?}", gaps(""));
    assert_eq!(gaps("").len(), 1);
    for (changes, key, part) in [
        ("balancer.algorithm = least_request", "balancer.algorithm", "`least_conn`"),
        (
            "balancer.algorithm = least_request\nbackend.spare.backup = false",
            "balancer.algorithm",
            "`random two least_conn`",
        ),
        ("balancer.algorithm = peak_ewma", "balancer.algorithm", "no peak_ewma"),
        ("balancer.algorithm = prequal", "balancer.algorithm", "`least_conn`"),
        ("balancer.algorithm = round_robin_edf", "balancer.algorithm", "weighted round robin"),
        (
            "balancer.algorithm = maglev\nbalancer.hash_key = uri",
            "balancer.algorithm",
            "`hash … consistent`",
        ),
        ("balancer.algorithm = random", "balancer.algorithm", "refuses backups beside `random`"),
        ("balancer.algorithm = ip_hash", "backend.spare.backup", "left out"),
        (
            "balancer.algorithm = hash\nbalancer.hash_key = header:x.y",
            "balancer.hash_key",
            "round robin",
        ),
        (
            "balancer.algorithm = consistent_hash\nbalancer.hash_key = uri\nbalancer.bounded_load = 125%",
            "balancer.bounded_load",
            "bounds no load",
        ),
        ("balancer.queue.length = 5", "balancer.queue", "no queue"),
        ("balancer.slow_start = 5s", "balancer.slow_start", "no slow start"),
        ("balancer.panic = 50%", "balancer.panic", "no panic threshold"),
        ("balancer.outlier.interval = 5s", "balancer.outlier", "max_fails"),
        ("balancer.retry.backoff.base = 25ms", "balancer.retry.backoff", "no pause before retries"),
        ("balancer.hedge.delay = 100ms", "balancer.hedge", "no hedged requests"),
        (
            "balancer.client.request_timeout = 9s",
            "balancer.client.request_timeout",
            "limits no whole",
        ),
        ("backend.b1.fail_timeout = 1500ms", "backend.b1.fail_timeout", "instead: 1s"),
    ] {
        let found = gaps(changes);
        let one =
            found.iter().find(|gap| gap.starts_with(&format!("{key}: ")) && gap.contains(part));
        assert!(one.is_some(), "{changes}: {found:#?}");
    }
}

#[test]
fn the_model_follows_what_the_configuration_says() {
    let scenario = failover(
        "balancer.algorithm = ip_hash\nbalancer.panic = 50%\n\
         balancer.read_timeout = 1999.6ms\nbackend.b1.fail_timeout = 2900ms",
    );
    let adapted = engine::adapted(&scenario, &Engine::Nginx);
    let upstream = &adapted.balancer.upstream;
    assert_eq!(upstream.algorithm, Algorithm::IpHash);
    assert_eq!(adapted.balancer.read_timeout, Span::from_secs(2));
    assert_eq!(upstream.peers[0].fail_timeout, Span::from_secs(2));
    assert!(upstream.health.is_none() && upstream.resilience.panic.0 == 0.0);
    assert!(upstream.peers.iter().all(|peer| peer.slow_start == Span::ZERO));
    let down: Vec<bool> = upstream.peers.iter().map(|peer| peer.down).collect();
    assert_eq!(down, [false, false, false, true], "the backup that ip_hash cannot have");
}
