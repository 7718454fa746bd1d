//! lab's own proxy under NGINX's rules: the same scripts, through real sockets.

use std::net::SocketAddr;

use lab::policy::{Algorithm, UpstreamConfig};
use lab::proxy::{Proxy, ProxyConfig};
use lab::scenario::{BalancerFacts, EdgeFacts, Engine, StateSharing};
use lab::units::Span;

use super::core::Core;
use super::nginx::config;
use super::play::{compare, play};
use super::real::{Real, done, stage};
use super::script::{Server, Step, concurrent, sequential, weights};
use crate::engines::stage::Stage;

fn proxy(upstream: UpstreamConfig, addresses: Vec<SocketAddr>) -> Proxy {
    let balancer = BalancerFacts {
        engine: Engine::Own,
        instances: 1,
        hash_key: None,
        workers: 1,
        state: StateSharing::Shared,
        upstream,
        connect_timeout: Span::from_secs(1),
        read_timeout: Span::from_secs(20),
        keepalive: 0,
        keepalive_timeout: Span::from_secs(60),
        edge: EdgeFacts::default(),
    };
    let mut config = ProxyConfig::new(balancer, addresses);
    config.admin_at(([127, 0, 0, 1], 0).into());
    Proxy::start(&config).expect("a proxy")
}

/// Waits until the admin interface counts as many in flight.
fn settle(proxy: &Proxy, in_flight: usize) {
    let address = proxy.admin_address().expect("an admin interface");
    for _ in 0..2_000 {
        if counted(address) == in_flight {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{in_flight} requests are in flight, but the proxy counts {}", counted(address));
}

fn counted(address: SocketAddr) -> usize {
    let mut wire = done(crate::engines::wire::Wire::connect(address));
    let request = b"GET /upstreams HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    done(wire.write(request));
    let text = String::from_utf8_lossy(&done(wire.whole_response())).into_owned();
    let counts = text.split("\"in_flight\":").skip(1);
    let number = |rest: &str| {
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<usize>().expect("a number in flight")
    };
    counts.map(number).sum()
}

fn same(algorithm: Algorithm, servers: &[Server], script: &[Step]) -> usize {
    let mut stage: Stage = stage(servers);
    let config = config(algorithm, servers, &stage);
    let proxy = proxy(config.clone(), stage.addresses());
    stage.drive(proxy.address());
    let mut real = Real::new(proxy, stage);
    real.settle = settle;
    let engine = play(&mut real, script, None);
    let core = play(&mut Core::new(&config, 1), script, None);
    compare(&format!("own {algorithm} {servers:?}"), script, &engine, &core)
}

#[test]
fn own_proxy_picks_as_the_core() {
    let of = |group: &[u32]| weights(group);
    assert_eq!(same(Algorithm::RoundRobin, &of(&[5, 5, 3]), &sequential(600)), 600);
    assert_eq!(same(Algorithm::LeastConn, &of(&[5, 5, 3]), &concurrent(600, 20, 1)), 600);
    let mut limited = of(&[3, 2, 1]);
    limited.iter_mut().for_each(|server| server.max_conns = 2);
    limited[2].backup = true;
    assert_eq!(same(Algorithm::LeastConn, &limited, &concurrent(600, 8, 2)), 600);
}
