//! What was recorded from NGINX, done again by lab's proxy: who was tried, and what the client got.

use std::net::SocketAddr;

use lab::policy::{PeerConfig, RetryConditions};
use lab::proxy::{Proxy, ProxyConfig};
use lab::units::Span;
use serde_json::Value;

use super::client::Wire;
use super::peer::{Answer, Peer, nobody};
use super::setup::config;

/// One difference is meant: a head that does not parse is never passed on (NGINX would pass an
/// answer that does not start like HTTP as HTTP/0.9). No recorded case depends on it.
#[test]
fn the_next_upstream_is_the_one_of_nginx() {
    let text = include_str!("../vectors/nginx_next_upstream.json");
    let vectors: Value = serde_json::from_str(text).expect("valid vectors");
    let cases = vectors["cases"].as_array().expect("cases");
    assert!(cases.len() >= 16, "{} cases", cases.len());
    cases.iter().for_each(replay);
}

fn replay(case: &Value) {
    let name = case["case"].as_str().expect("a name");
    let servers = strings(&case["servers"]);
    let refusing = case["refusing"].as_str().expect("a letter or nothing");
    let peers: Vec<Peer> = servers.iter().map(|server| Peer::good(letter(server))).collect();
    let addresses: Vec<SocketAddr> = servers
        .iter()
        .zip(&peers)
        .map(|(server, peer)| if letter(server) == refusing { nobody() } else { peer.address })
        .collect();
    let proxy = Proxy::start(&configured(&addresses, &servers, case)).expect("a proxy");
    for (number, request) in case["requests"].as_array().expect("requests").iter().enumerate() {
        let before: Vec<usize> = peers.iter().map(|peer| peer.seen().len()).collect();
        for (server, peer) in servers.iter().zip(&peers) {
            peer.now(behaviour(&request["behaviour"][letter(server)]));
        }
        let method = request["method"].as_str().expect("a method");
        let mut client = Wire::connect(proxy.address());
        let text = format!(
            "{method} / HTTP/1.1\r\nHost: t\r\nX-Lab-Id: {number}\r\nContent-Length: 2\r\n\r\nhi"
        );
        client.write_all(text.as_bytes()).expect("sent");
        // A cut body is an error behind a good head.
        let Ok(response) = client.try_response(true) else { panic!("{name}: no head") };
        let at = format!("{name}, request {number}");
        assert_eq!(Value::from(response.status()), request["client_status"], "{at}");
        let tried = strings(&request["tried"]);
        let real: Vec<&str> =
            tried.iter().map(String::as_str).filter(|tried| *tried != "no live").collect();
        assert_eq!(response.field("x-lab-attempts"), Some(real.len().to_string().as_str()), "{at}");
        if tried.last().is_some_and(|last| last == "no live") {
            assert_eq!(response.status(), 502, "{at}");
        }
        assert_eq!(response.field("x-lab-upstream"), real.last().copied(), "{at}");
        for ((server, peer), before) in servers.iter().zip(&peers).zip(before) {
            let letter = letter(server);
            let expected =
                if letter == refusing { 0 } else { real.iter().filter(|r| **r == letter).count() };
            assert_eq!(peer.seen().len() - before, expected, "{at}: requests at {letter}");
        }
    }
}

fn letter(server: &str) -> &str {
    server.split(' ').next().unwrap_or(server)
}

fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().expect("a list");
    list.iter().map(|item| item.as_str().expect("a text").to_owned()).collect()
}

fn behaviour(value: &Value) -> Answer {
    if let Some(status) = value.as_u64() {
        return Answer::Status(status as u16);
    }
    match value.as_str() {
        None => Answer::Status(200),
        Some("close") => Answer::Close,
        Some("hang") => Answer::Hang,
        Some("badhdr") => Answer::RawThenClose(b"HTTP/1.1 200 OK\r\nX-Bad: a\0b\r\n\r\n".to_vec()),
        Some("cut") => Answer::RawThenClose(
            b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this".to_vec(),
        ),
        Some(other) => panic!("behaviour {other}"),
    }
}

/// The proxy's configuration from the directives of the case.
fn configured(addresses: &[SocketAddr], servers: &[String], case: &Value) -> ProxyConfig {
    let mut config = config(addresses);
    config.balancer.upstream.peers = servers
        .iter()
        .map(|server| {
            let mut peer = PeerConfig::new(letter(server));
            peer.backup = server.ends_with(" backup");
            peer.down = server.ends_with(" down");
            peer
        })
        .collect();
    let location = case["location"].as_str().expect("directives");
    for directive in location.split(';').map(str::trim).filter(|text| !text.is_empty()) {
        apply(directive, &mut config);
    }
    config
}

fn apply(directive: &str, config: &mut ProxyConfig) {
    let (name, value) = directive.split_once(' ').expect("a directive with a value");
    let retry = &mut config.balancer.upstream.retry;
    let millis = || -> Span {
        Span::from_millis(value.trim_end_matches("ms").parse().expect("milliseconds"))
    };
    match name {
        "proxy_next_upstream" => retry.on = conditions(value),
        "proxy_next_upstream_tries" => retry.tries = value.parse().expect("a number"),
        "proxy_next_upstream_timeout" => retry.timeout = millis(),
        "proxy_read_timeout" => config.balancer.read_timeout = millis(),
        other => panic!("directive {other}"),
    }
}

fn conditions(value: &str) -> RetryConditions {
    let mut on = RetryConditions {
        error: false,
        timeout: false,
        invalid_header: false,
        statuses: Vec::new(),
        non_idempotent: false,
    };
    for word in value.split(' ') {
        match word {
            "off" => {}
            "error" => on.error = true,
            "timeout" => on.timeout = true,
            "invalid_header" => on.invalid_header = true,
            "non_idempotent" => on.non_idempotent = true,
            status => {
                let status = status.strip_prefix("http_").expect("a status");
                on.statuses.push(status.parse().expect("a status"));
            }
        }
    }
    on.statuses.sort_unstable();
    on
}
