//! The admin interface.

use lab::proxy::{Proxy, ProxyError};
use serde_json::{Value, json};

use super::client::{Message, Wire};
use super::peer::Peer;
use super::setup::{client, config, eventually, proxy};

fn with_admin(peers: &[&Peer]) -> Proxy {
    proxy(peers, |config| config.admin = Some(([127, 0, 0, 1], 0).into()))
}

fn order(proxy: &Proxy, method: &str, path: &str, body: &str) -> Message {
    let address = proxy.admin_address().expect("an admin interface");
    Wire::connect(address).ask(&format!(
        "{method} {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn upstreams(proxy: &Proxy) -> Value {
    serde_json::from_slice(&order(proxy, "GET", "/upstreams", "").body).expect("JSON")
}

#[test]
fn peers_come_drain_and_go_under_traffic() {
    let (a, b) = (Peer::good("a"), Peer::good("b"));
    let proxy = with_admin(&[&a]);
    let mut client = client(&proxy);
    let mut texts = |count| (0..count).map(|_| client.get().text()).collect::<String>();
    assert_eq!(texts(2), "aa");
    let wanted = json!({"name": "new", "address": b.address, "weight": 2}).to_string();
    assert_eq!(order(&proxy, "POST", "/upstreams", &wanted).status(), 201);
    let six = texts(6);
    assert_eq!((six.matches('a').count(), six.matches('b').count()), (2, 4));
    assert_eq!(order(&proxy, "POST", "/upstreams/a/drain", "").status(), 200);
    assert_eq!(texts(3), "bbb");
    assert_eq!(upstreams(&proxy)[0]["state"], "draining");
    assert_eq!(order(&proxy, "POST", "/upstreams/a/resume", "").status(), 200);
    assert!(texts(6).contains('a'));
    assert_eq!(order(&proxy, "DELETE", "/upstreams/a", "").status(), 200);
    assert_eq!(texts(3), "bbb");
    let left = upstreams(&proxy);
    assert_eq!(left.as_array().map(Vec::len), Some(1));
    assert_eq!(
        left[0],
        json!({"name": "new", "address": b.address, "view": 0, "state": "up", "weight": 2,
               "backup": false, "in_flight": 0, "fails": 0})
    );
}

#[test]
fn a_removed_peer_loses_its_idle_connections() {
    let (a, b) = (Peer::good("a"), Peer::good("b"));
    let proxy = proxy(&[&a, &b], |config| {
        config.balancer.keepalive = 4;
        config.admin = Some(([127, 0, 0, 1], 0).into());
    });
    let mut client = client(&proxy);
    (0..2).for_each(|_| assert_eq!(client.get().status(), 200));
    assert_eq!(order(&proxy, "DELETE", "/upstreams/a", "").status(), 200);
    eventually("the idle connection is closed", || a.left() == 1);
    assert_eq!(b.left(), 0);
}

#[test]
fn wrong_orders_are_refused_in_words() {
    let a = Peer::good("a");
    let proxy = with_admin(&[&a]);
    for (method, path, body, status) in [
        ("GET", "/", "", 404),
        ("PUT", "/upstreams", "", 405),
        ("DELETE", "/upstreams/nobody", "", 404),
        ("POST", "/upstreams/nobody/drain", "", 404),
        ("POST", "/upstreams", "{", 400),
        ("POST", "/upstreams", r#"{"name":"x","address":"127.0.0.1:1","wait":2}"#, 400),
        ("POST", "/upstreams", r#"{"name":"x","address":"somewhere"}"#, 400),
        ("POST", "/upstreams", r#"{"name":"x","address":"127.0.0.1:1","weight":0}"#, 400),
        ("POST", "/upstreams", r#"{"name":"a","address":"127.0.0.1:1"}"#, 409),
    ] {
        let response = order(&proxy, method, path, body);
        assert_eq!(response.status(), status, "{method} {path} {body}");
        assert!(response.body.len() > 5, "{method} {path} {body}");
    }
}

#[test]
fn metrics_count_what_happened() {
    let a = Peer::good("a");
    let proxy = with_admin(&[&a]);
    let mut client = client(&proxy);
    (0..3).for_each(|_| assert_eq!(client.get().status(), 200));
    let text = order(&proxy, "GET", "/metrics", "").text();
    for line in [
        "lab_proxy_requests_total 3",
        "lab_proxy_attempts_total{upstream=\"a\",outcome=\"passed\"} 3",
        "lab_proxy_request_duration_seconds_count 3",
        "lab_proxy_request_duration_seconds_bucket{le=\"+Inf\"} 3",
        "lab_proxy_in_flight{upstream=\"a\",view=\"0\"} 0",
        "lab_proxy_upstream_state{upstream=\"a\",view=\"0\",state=\"up\"} 1",
        "lab_proxy_refused_total{reason=\"queue_full\"} 0",
        "# TYPE lab_proxy_request_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}

#[test]
fn it_listens_at_loopback_only() {
    let mut config = config(&[]);
    config.admin = Some(([0, 0, 0, 0], 0).into());
    assert!(matches!(Proxy::start(&config), Err(ProxyError::AdminNotLoopback(_))));
}

#[test]
fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut config = config(&[]);
    config.listen = taken.local_addr().expect("an address");
    let error = Proxy::start(&config).expect_err("the port is in use").to_string();
    assert!(error.contains(&config.listen.to_string()), "{error}");
}
