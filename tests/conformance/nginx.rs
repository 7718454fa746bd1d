//! NGINX's methods, limits, failures and retries, against the core.

use lab::host::clock;
use lab::policy::{Algorithm, ConsistentHashConfig, RetryConfig, UpstreamConfig};

use super::core::Core;
use super::play::{compare, play};
use super::real::{Real, done, stage};
use super::script::{
    Server, Step, addresses, concurrent, failing, keyed, keys, sequential, weights,
};
use crate::engines::nginx::{Nginx, Settings, tried};
use crate::engines::stage::{Seen, Stage};

const RING: Algorithm = Algorithm::ConsistentHash(ConsistentHashConfig {
    ring: lab::policy::Ring::Ketama,
    bounded_load: None,
});

/// The core's configuration for these servers at the stage.
pub(crate) fn config(algorithm: Algorithm, servers: &[Server], stage: &Stage) -> UpstreamConfig {
    let named = servers.iter().zip(stage.addresses());
    let peers = named.map(|(server, address)| server.peer(address.to_string()));
    UpstreamConfig::new(algorithm, peers.collect())
}

fn settings(method: &str, servers: &[Server]) -> Settings {
    let line = |server: &Server| {
        let Server { weight, backup, max_conns, max_fails, fail_timeout_s, .. } = server;
        let backup = if *backup { " backup" } else { "" };
        format!(
            "weight={weight} max_conns={max_conns} max_fails={max_fails} \
             fail_timeout={fail_timeout_s}s{backup}"
        )
    };
    let servers = servers.iter().map(line).collect();
    Settings { method: method.to_owned(), servers, ..Settings::default() }
}

/// One script on both; how many requests were compared.
fn same(method: &str, algorithm: Algorithm, servers: &[Server], script: &[Step]) -> usize {
    let mut stage = stage(servers);
    let nginx = done(Nginx::start(&settings(method, servers), &mut stage));
    let mut core = Core::new(&config(algorithm, servers, &stage), 1);
    let engine = play(&mut Real::new(nginx, stage), script, None);
    let core = play(&mut core, script, Some(&engine.seconds));
    compare(&format!("nginx {method} {servers:?}"), script, &engine, &core)
}

const ROUND_ROBIN: (&str, Algorithm) = ("", Algorithm::RoundRobin);
const LEAST_CONN: (&str, Algorithm) = ("least_conn;", Algorithm::LeastConn);

#[test]
fn round_robin_by_weight() {
    let many = [13, 1, 7, 7, 2, 40, 5, 3, 1, 11, 6, 9];
    let groups: [&[u32]; 5] = [&[5, 5, 3], &[5, 1, 1], &[1, 1, 1, 1, 1], &[100, 99, 1], &many];
    let (method, algorithm) = ROUND_ROBIN;
    let compared: usize = groups
        .iter()
        .map(|group| same(method, algorithm, &weights(group), &sequential(1_200)))
        .sum();
    assert!(compared >= 5_000, "{compared}");
}

#[test]
fn least_conn_with_requests_in_flight() {
    let groups: [&[u32]; 4] = [&[5, 5, 3], &[1, 1, 1], &[5, 1, 1], &[1, 2, 3, 4, 9, 9]];
    let (method, algorithm) = LEAST_CONN;
    let compared: usize = (0..)
        .zip(groups)
        .map(|(seed, group)| same(method, algorithm, &weights(group), &concurrent(1_600, 40, seed)))
        .sum();
    assert!(compared >= 5_000, "{compared}");
    assert_eq!(same(method, algorithm, &weights(&[5, 5, 3]), &sequential(600)), 600);
}

#[test]
fn limits_and_backups() {
    let mut servers = weights(&[3, 2, 1, 2, 1]);
    for (server, limit) in servers.iter_mut().zip([3, 2, 1, 2, 1]) {
        server.max_conns = limit;
    }
    servers[3].backup = true;
    servers[4].backup = true;
    for (seed, (method, algorithm)) in (7..).zip([ROUND_ROBIN, LEAST_CONN]) {
        let compared = same(method, algorithm, &servers, &concurrent(1_500, 12, seed));
        assert_eq!(compared, 1_500);
    }
}

#[test]
fn addresses_are_hashed_to_the_same_servers() {
    let script = keyed(addresses(5_000, 3));
    let compared = same("ip_hash;", Algorithm::IpHash, &weights(&[5, 5, 3, 1]), &script);
    assert_eq!(compared, 5_000);
}

#[test]
fn keys_are_hashed_to_the_same_servers() {
    let script = keyed(keys(5_000));
    let servers = weights(&[5, 5, 3, 1]);
    assert_eq!(same("hash $http_x_key;", Algorithm::Hash, &servers, &script), 5_000);
    assert_eq!(same("hash $http_x_key consistent;", RING, &servers, &script), 5_000);
}

/// Failures, retries and returns, over many whole seconds of NGINX's clock. One server refuses
/// all the time, one counts no failures.
#[test]
fn failures_retries_and_returns() {
    let mut servers = weights(&[5, 3, 2, 2, 1]);
    for (server, (max_fails, timeout)) in
        servers.iter_mut().zip([(3, 1), (1, 2), (2, 1), (0, 10), (1, 3)])
    {
        server.max_fails = max_fails;
        server.fail_timeout_s = timeout;
    }
    servers[2].refuses = true;
    let mut compared = 0;
    for (seed, (method, algorithm)) in (11..).zip([ROUND_ROBIN, LEAST_CONN]) {
        let script = failing(2_600, servers.len(), [0, 0, 5, 50], 10, seed);
        compared += same_failing(method, algorithm, &servers, &script);
    }
    assert!(compared >= 5_000, "{compared}");
}

fn same_failing(method: &str, algorithm: Algorithm, servers: &[Server], script: &[Step]) -> usize {
    let script = &script_of(servers, script);
    let mut stage = stage(servers);
    let mut settings = settings(method, servers);
    settings.location = "proxy_next_upstream error timeout http_503 http_404; \
                         proxy_next_upstream_tries 3;"
        .to_owned();
    let nginx = done(Nginx::start(&settings, &mut stage));
    let mut config = config(algorithm, servers, &stage);
    config.retry = RetryConfig { tries: 3, ..RetryConfig::default() };
    config.retry.on.statuses = vec![404, 503];
    let mut real = Real::new(nginx, stage);
    real.tried = |seen: &Seen, stage: &Stage| tried(seen, stage).0.into_iter().flatten().collect();
    // The core begins in second 0 of a clock that has run for a while, as the engine does.
    real.first_second = Some(clock::wall().0 / 1_000_000_000 - 1_000);
    let engine = play(&mut real, script, None);
    let core = play(&mut Core::new(&config, 1), script, Some(&engine.seconds));
    compare(&format!("nginx {method} failing"), script, &engine, &core)
}

/// The script, with servers that refuse doing so whatever their mood.
fn script_of(servers: &[Server], script: &[Step]) -> Vec<Step> {
    let mut script = script.to_vec();
    for step in &mut script {
        let Step::Ask { behaviours, .. } = step else { continue };
        for (server, behaviour) in servers.iter().zip(behaviours) {
            if server.refuses {
                *behaviour = crate::engines::stage::Behaviour::Refuse;
            }
        }
    }
    script
}
