//! The admin interface.

use lab::proxy::{Proxy, ProxyError};
use lab::scenario::edge::{AdminAddress, TokenSource};
use serde_json::{Value, json};

use super::client::{Message, Wire};
use super::peer::Peer;
use super::setup::{client, config, eventually, proxy};

fn with_admin(peers: &[&Peer]) -> Proxy {
    proxy(peers, |config| config.admin_at(([127, 0, 0, 1], 0).into()))
}

pub(crate) fn order(proxy: &Proxy, method: &str, path: &str, body: &str) -> Message {
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
               "backup": false, "in_flight": 0, "fails": 0, "forced": null, "max_conns": 0})
    );
}

/// A slot that is used again is another server: no connection to the old one serves it, although
/// that one is still there.
#[test]
fn a_peer_that_comes_back_under_its_name_is_reached_at_its_new_address() {
    let (a, b, again) = (Peer::good("a"), Peer::good("b"), Peer::good("c"));
    let proxy = proxy(&[&a, &b], |config| {
        config.balancer.keepalive = 4;
        config.admin_at(([127, 0, 0, 1], 0).into());
    });
    let mut client = client(&proxy);
    let mut texts = |count| (0..count).map(|_| client.get().text()).collect::<String>();
    assert_eq!(texts(4).matches('a').count(), 2);
    for _ in 0..3 {
        assert_eq!(order(&proxy, "DELETE", "/upstreams/a", "").status(), 200);
        let wanted = json!({"name": "a", "address": again.address}).to_string();
        assert_eq!(order(&proxy, "POST", "/upstreams", &wanted).status(), 201);
        let four = texts(4);
        assert_eq!((four.matches('b').count(), four.matches('c').count()), (2, 2), "{four}");
    }
    let names: Vec<Value> =
        upstreams(&proxy).as_array().unwrap().iter().map(|peer| peer["name"].clone()).collect();
    assert_eq!(names, ["a", "b"], "in its own place");
}

#[test]
fn a_removed_peer_loses_its_idle_connections() {
    let (a, b) = (Peer::good("a"), Peer::good("b"));
    let proxy = proxy(&[&a, &b], |config| {
        config.balancer.keepalive = 4;
        config.admin_at(([127, 0, 0, 1], 0).into());
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
        ("POST", "/upstreams", r#"{"name":"a/b","address":"127.0.0.1:1"}"#, 400),
        ("POST", "/upstreams", r#"{"name":"a","address":"127.0.0.1:1"}"#, 409),
        ("PUT", "/upstreams/a/weight", r#"{"weight":0}"#, 400),
        ("PUT", "/upstreams/a/weight", r#"{"wait":1}"#, 400),
        ("PUT", "/upstreams/a/health", r#"{"state":"sick"}"#, 400),
        ("PUT", "/upstreams/nobody/weight", r#"{"weight":1}"#, 404),
        ("GET", "/upstreams/nobody", "", 404),
        ("POST", "/upstreams/a", "", 405),
        ("POST", "/upstreams/a/kill", "", 404),
        ("GET", "/reload", "", 405),
        ("POST", "/reload", "", 422),
    ] {
        let response = order(&proxy, method, path, body);
        assert_eq!(response.status(), status, "{method} {path} {body}");
        assert!(response.body.len() > 5, "{method} {path} {body}");
    }
}

#[test]
fn an_operators_word_on_health_and_weight_counts() {
    let (a, b) = (Peer::good("a"), Peer::good("b"));
    let proxy = with_admin(&[&a, &b]);
    let mut client = client(&proxy);
    let mut texts = |count| (0..count).map(|_| client.get().text()).collect::<String>();
    let put = |path: &str, body: &str| order(&proxy, "PUT", path, body).status();
    assert_eq!(put("/upstreams/a/health", r#"{"state":"down"}"#), 200);
    assert_eq!(texts(4), "bbbb");
    let shown: Value =
        serde_json::from_slice(&order(&proxy, "GET", "/upstreams/a/health", "").body)
            .expect("JSON");
    assert_eq!((&shown[0]["state"], &shown[0]["forced"]), (&json!("down"), &json!("down")));
    assert_eq!(put("/upstreams/a/health", r#"{"state":"auto"}"#), 200);
    assert_eq!(put("/upstreams/a/weight", r#"{"weight":3}"#), 200);
    let eight = texts(8);
    assert_eq!((eight.matches('a').count(), eight.matches('b').count()), (6, 2));
    // A peer that failures have taken out is brought back by the word.
    drop(a);
    assert_eq!(texts(8), "bbbbbbbb");
    assert_eq!(upstreams(&proxy)[0]["state"], "failed");
    assert_eq!(put("/upstreams/a/health", r#"{"state":"up"}"#), 200);
    assert_eq!(upstreams(&proxy)[0]["state"], "up");
}

#[test]
fn readiness_follows_the_upstreams_and_life_does_not() {
    let a = Peer::good("a");
    let proxy = with_admin(&[&a]);
    let status = |path: &str| order(&proxy, "GET", path, "").status();
    assert_eq!((status("/live"), status("/ready")), (200, 200));
    assert_eq!(order(&proxy, "POST", "/upstreams/a/drain", "").status(), 200);
    assert_eq!((status("/live"), status("/ready")), (200, 503));
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let a = Peer::good("a");
    let path = std::env::temp_dir().join(format!("lab-admin-token-{}", std::process::id()));
    std::fs::write(&path, "a-long-enough-token\n").expect("written");
    let proxy = proxy(&[&a], |config| {
        config.admin_at(([127, 0, 0, 1], 0).into());
        config.balancer.edge.admin.token = Some(TokenSource::File(path.clone()));
    });
    std::fs::remove_file(&path).expect("removed");
    let ask = |field: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\n{field}\r\n");
        Wire::connect(proxy.admin_address().expect("an address")).ask(&request)
    };
    let refused = ask("", "/upstreams");
    assert_eq!(refused.status(), 401);
    assert!(refused.field("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
    assert_eq!(ask("Authorization: Bearer a-long-enough-tokem\r\n", "/metrics").status(), 401);
    assert_eq!(ask("Authorization: Bearer a-long-enough-token\r\n", "/upstreams").status(), 200);
    assert_eq!(ask("", "/live").status(), 200);
}

#[test]
fn web_pages_give_no_orders() {
    let a = Peer::good("a");
    let proxy = with_admin(&[&a]);
    let address = proxy.admin_address().expect("an address");
    let request = "POST /upstreams/a/drain HTTP/1.1\r\nHost: t\r\n\
                   Origin: http://evil.example\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(Wire::connect(address).ask(request).status(), 403);
    assert_eq!(upstreams(&proxy)[0]["state"], "up");
}

#[test]
fn a_unix_socket_is_for_its_owner() {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;
    let a = Peer::good("a");
    let path = std::env::temp_dir().join(format!("lab-admin-{}.sock", std::process::id()));
    let proxy = proxy(&[&a], |config| {
        config.balancer.edge.admin.listen = Some(AdminAddress::Unix(path.clone()));
    });
    assert_eq!(path.metadata().expect("a socket").permissions().mode() & 0o777, 0o600);
    let mut stream = std::os::unix::net::UnixStream::connect(&path).expect("a connection");
    stream
        .write_all(b"GET /upstreams HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        .expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("\"name\": \"a\""), "{text}");
    assert_eq!(proxy.admin_place(), Some(format!("unix:{}", path.display())));
    drop(proxy);
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn beyond_loopback_it_does_not_start_without_a_token() {
    let mut config = config(&[]);
    config.admin_at(([0, 0, 0, 0], 0).into());
    assert!(matches!(Proxy::start(&config), Err(ProxyError::AdminWithoutToken(_))));
}

#[test]
fn a_taken_address_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let mut config = config(&[]);
    config.listen = taken.local_addr().expect("an address");
    let error = Proxy::start(&config).expect_err("the port is in use").to_string();
    assert!(error.contains(&config.listen.to_string()), "{error}");
}
