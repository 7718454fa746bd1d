//! HAProxy's methods against the core. Its queues and retries are held by the recordings.

use lab::policy::balance::haproxy::{HaproxyAlgorithm, HaproxyHash};
use lab::policy::rules::HaproxyRules;
use lab::policy::{Algorithm, Rules};

use super::core::Core;
use super::nginx::config;
use super::real::{Real, done, stage};
use super::script::{
    Server, Step, addresses, compare, concurrent, keyed, play, sequential, weights,
};
use crate::engines::haproxy::{Haproxy, Settings};

/// One script on both; how many requests were compared.
fn same(
    balance: &str,
    backend: &str,
    algorithm: HaproxyAlgorithm,
    servers: &[Server],
    script: &[Step],
) -> usize {
    let mut stage = stage(servers);
    let line = |server: &Server| {
        format!("weight {}{}", server.weight, if server.backup { " backup" } else { "" })
    };
    let settings = Settings {
        balance: balance.to_owned(),
        backend: backend.to_owned(),
        servers: servers.iter().map(line).collect(),
    };
    let haproxy = done(Haproxy::start(&settings, &mut stage));
    let mut config = config(Algorithm::Haproxy(algorithm), servers, &stage);
    config.rules = Rules::Haproxy(HaproxyRules::default());
    let engine = play(&mut Real::new(haproxy, stage), script, None);
    let core = play(&mut Core::new(&config, 1), script, None);
    compare(&format!("haproxy {balance} {servers:?}"), script, &engine, &core)
}

#[test]
fn roundrobin_by_weight() {
    let groups: [&[u32]; 4] = [&[5, 5, 3], &[5, 1, 1], &[100, 99, 1], &[13, 1, 7, 7, 2, 40, 5, 3]];
    let turns = |group: &&[u32]| {
        same("roundrobin", "", HaproxyAlgorithm::RoundRobin, &weights(group), &sequential(1_300))
    };
    let compared: usize = groups.iter().map(turns).sum();
    assert!(compared >= 5_000, "{compared}");
}

#[test]
fn leastconn_with_requests_in_flight() {
    let groups: [&[u32]; 4] = [&[5, 5, 3], &[1, 1, 1], &[5, 1, 1], &[1, 2, 3, 4, 9, 9]];
    let compared: usize = (31..)
        .zip(groups)
        .map(|(seed, group)| {
            let script = concurrent(1_300, 40, seed);
            same("leastconn", "", HaproxyAlgorithm::LeastConn, &weights(group), &script)
        })
        .sum();
    assert!(compared >= 5_000, "{compared}");
}

#[test]
fn sources_are_hashed_to_the_same_servers() {
    let script = keyed(addresses(5_000, 4));
    let servers = weights(&[5, 5, 3, 1]);
    let map = HaproxyAlgorithm::Source(HaproxyHash::MapBased);
    assert_eq!(same("source", "", map, &servers, &script), 5_000);
    let ring = HaproxyAlgorithm::Source(HaproxyHash::CONSISTENT);
    assert_eq!(same("source", "hash-type consistent", ring, &servers, &script), 5_000);
}

#[test]
fn idle_backups_get_nothing() {
    let mut servers = weights(&[3, 2, 1]);
    servers[1].backup = true;
    let script = sequential(300);
    assert_eq!(same("roundrobin", "", HaproxyAlgorithm::RoundRobin, &servers, &script), 300);
}
