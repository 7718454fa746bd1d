//! What is written for HAProxy passes its own check, and the gaps are named.

use std::path::Path;
use std::process::Command;

use lab::engine::{self, Wiring};
use lab::scenario::{self, Engine, Scenario};

use super::settings::shipped;

/// What `haproxy -c` says of the configuration for `scenario`.
fn check(scenario: &Scenario, name: &str) {
    let wiring = Wiring::example(scenario.backends.len());
    let configuration = engine::configuration(scenario, &Engine::Haproxy, &wiring).unwrap();
    let file = std::env::temp_dir().join(format!("lab-haproxy-{}-{name}.cfg", std::process::id()));
    std::fs::write(&file, &configuration.files[0].text).unwrap();
    let output = Command::new("haproxy").arg("-c").arg("-f").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}\n{}", configuration.files[0].text);
    std::fs::remove_file(&file).unwrap();
}

fn with(balancer: &str) -> Scenario {
    let text = format!(
        "schema_version = 1\n[scenario]\nduration = \"5s\"\n[traffic]\nrate = \"10/s\"\n\
         [balancer]\n{balancer}\n[[backend]]\nname = \"a\"\nmax_conns = 3\n\
         service = {{ law = \"uniform\", low = \"1ms\", high = \"2ms\" }}\n"
    );
    scenario::parse(&text, Path::new("some.toml")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn haproxy_accepts_what_is_written_for_every_shipped_scenario() {
    for scenario in shipped() {
        check(&scenario, &scenario.name);
    }
}

#[test]
fn haproxy_accepts_every_algorithm() {
    for (algorithm, balance) in [
        ("algorithm = \"round_robin\"", "balance roundrobin"),
        ("algorithm = \"least_conn\"", "balance leastconn"),
        ("algorithm = \"random\"", "balance random(1)"),
        ("algorithm = \"random_two\"", "balance random(2)"),
        ("algorithm = \"ip_hash\"", "balance source"),
        ("algorithm = \"hash\"\nhash_key = \"uri\"", "balance hash pathq"),
        ("algorithm = \"consistent_hash\"\nhash_key = \"cookie:s\"", "hash-type consistent"),
        ("algorithm = \"maglev\"\nhash_key = \"host\"", "hash-type consistent"),
        ("algorithm = \"least_request\"", "balance random(2)"),
        ("algorithm = \"peak_ewma\"", "balance leastconn"),
    ] {
        let scenario = with(algorithm);
        let wiring = Wiring::example(1);
        let configuration = engine::configuration(&scenario, &Engine::Haproxy, &wiring).unwrap();
        assert!(configuration.files[0].text.contains(balance), "{algorithm}");
        check(&scenario, balance.split(' ').next_back().unwrap());
    }
}

#[test]
fn what_haproxy_cannot_do_is_named() {
    let scenario = with("panic = \"50%\"\nstate = \"per_worker\"\nworkers = 2");
    let gaps = engine::gaps(&scenario, &Engine::Haproxy);
    let keys: Vec<&str> = gaps.iter().map(|gap| gap.key.as_str()).collect();
    let wanted = ["balancer.state", "balancer.max_fails", "backend.max_conns", "balancer.panic"];
    assert_eq!(keys, wanted);
}
