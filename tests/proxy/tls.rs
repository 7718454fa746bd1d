//! TLS with real clients (curl, h2load) and between two proxies.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use lab::scenario::edge::UpstreamProtocol;
use lab::units::Span;

use super::certificates::{Certificates, listen, replace};
use super::client::Wire;
use super::grpc::{Server, all_calls_through};
use super::peer::{Answer, Peer};
use super::setup::{client, eventually, proxy, proxy_at};

/// What curl prints: the version it spoke, then the body.
fn curl(
    address: SocketAddr,
    certificates: &Certificates,
    name: &str,
    more: &[&str],
) -> Result<String, i32> {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--write-out",
            " HTTP/%{http_version}",
        ])
        .arg("--cacert")
        .arg(certificates.ca())
        .args(["--resolve", &format!("{name}:{}:127.0.0.1", address.port())])
        .args(more)
        .arg(format!("https://{name}:{}/", address.port()))
        .output()
        .expect("curl is installed; tests/run sees to it");
    if output.status.success() {
        Ok(String::from_utf8(output.stdout).expect("text"))
    } else {
        Err(output.status.code().unwrap_or(-1))
    }
}

/// Exit code of curl: the certificate is not believed.
const NOT_BELIEVED: i32 = 60;

#[test]
fn curl_agrees_on_a_version_and_is_told_of_as_secure() {
    let certificates = Certificates::new();
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        listen(config, |listener| listener.tls = vec![certificates.issue("a", "shop.test")]);
    });
    let ask = |more: &[&str]| curl(proxy.address(), &certificates, "shop.test", more);
    assert_eq!(ask(&["--http2"]).as_deref(), Ok("a HTTP/2"));
    assert_eq!(ask(&["--http1.1"]).as_deref(), Ok("a HTTP/1.1"));
    assert_eq!(ask(&["--http2", "--tls-max", "1.2"]).as_deref(), Ok("a HTTP/2"));
    let seen = peer.seen();
    assert_eq!(seen.len(), 3);
    for seen in seen {
        assert_eq!(seen.message.field("x-forwarded-proto"), Some("https"));
        let host = format!("shop.test:{}", proxy.address().port());
        assert_eq!(seen.message.field("host"), Some(host.as_str()));
    }
}

#[test]
fn a_listener_without_http2_offers_http_1_alone() {
    let certificates = Certificates::new();
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        listen(config, |listener| {
            listener.tls = vec![certificates.issue("a", "shop.test")];
            listener.http2 = false;
        });
    });
    let answer = curl(proxy.address(), &certificates, "shop.test", &["--http2"]);
    assert_eq!(answer.as_deref(), Ok("a HTTP/1.1"));
}

#[test]
fn each_name_has_its_certificate() {
    let certificates = Certificates::new();
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        listen(config, |listener| {
            listener.tls =
                vec![certificates.issue("a", "one.test"), certificates.issue("b", "*.two.test")];
        });
    });
    let ask = |name: &str| curl(proxy.address(), &certificates, name, &[]).map(drop);
    assert_eq!(ask("one.test"), Ok(()));
    assert_eq!(ask("x.two.test"), Ok(()));
    assert_eq!(ask("three.test"), Err(NOT_BELIEVED), "it gets the first, which is another's");
}

#[test]
fn a_changed_certificate_is_taken_and_a_bad_one_is_not() {
    let certificates = Certificates::new();
    let peer = Peer::good("a");
    let files = certificates.issue("a", "old.test");
    let proxy = proxy(&[&peer], |config| {
        listen(config, |listener| listener.tls = vec![files.clone()]);
    });
    let ask = |name: &str| curl(proxy.address(), &certificates, name, &[]).map(drop);
    assert_eq!(ask("old.test"), Ok(()));
    certificates.issue("a", "new.test");
    eventually("the new one is used", || ask("new.test") == Ok(()));
    assert_eq!(ask("old.test"), Err(NOT_BELIEVED));
    replace(&files.certificate, "no certificate");
    // Longer than it takes to look at the files.
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(ask("new.test"), Ok(()), "the last good one stays");
}

#[test]
fn who_does_not_shake_hands_is_let_go_and_others_are_served() {
    let certificates = Certificates::new();
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        listen(config, |listener| listener.tls = vec![certificates.issue("a", "shop.test")]);
        config.balancer.edge.client.header_timeout = Span::from_millis(500);
    });
    let mut silent: Vec<Wire> = (0..50).map(|_| client(&proxy)).collect();
    let mut plain = client(&proxy);
    plain.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n").expect("sent");
    assert_eq!(curl(proxy.address(), &certificates, "shop.test", &[]).map(drop), Ok(()));
    assert!(silent.iter_mut().all(Wire::drained));
    assert!(plain.drained());
}

#[test]
fn many_requests_of_h2load_all_succeed() {
    let certificates = Certificates::new();
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        listen(config, |listener| listener.tls = vec![certificates.issue("a", "shop.test")]);
        config.balancer.keepalive = 64;
        config.balancer.edge.client.requests_per_connection = 100_000;
    });
    let output = Command::new("h2load")
        .args(["-n", "2000", "-c", "4", "-m", "32"])
        .arg(format!("https://127.0.0.1:{}/", proxy.address().port()))
        .output()
        .expect("h2load is installed; tests/run sees to it");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
    assert!(text.contains("Application protocol: h2"), "{text}");
}

/// A proxy that speaks TLS is the peer of another: by HTTP/1.1 and by HTTP/2.
#[test]
fn peers_are_spoken_to_under_tls_and_verified() {
    let certificates = Certificates::new();
    let peer = Peer::good("a");
    let inner = proxy(&[&peer], |config| {
        listen(config, |listener| listener.tls = vec![certificates.issue("a", "inner.test")]);
    });
    for protocol in [UpstreamProtocol::Http1, UpstreamProtocol::H2] {
        let outer = |name: &str, verify: bool| {
            let mut facts = certificates.peer(name);
            facts.verify = verify;
            let outer = proxy_at(&[inner.address()], |config| {
                config.balancer.keepalive = 4;
                config.balancer.edge.upstream.protocol = protocol;
                config.balancer.edge.upstream.tls = Some(facts);
            });
            let mut client = client(&outer);
            [client.get(), client.get()].map(|answer| answer.status())
        };
        assert_eq!(outer("inner.test", true), [200, 200], "{protocol:?}");
        assert_eq!(outer("other.test", true), [502, 502], "{protocol:?}: not whom it should be");
        assert_eq!(outer("other.test", false), [200, 200], "{protocol:?}: believed all the same");
    }
    assert_eq!(peer.seen().len(), 8);
}

#[test]
fn a_peer_that_speaks_no_tls_is_a_failed_connection() {
    let certificates = Certificates::new();
    let peer = Peer::always("a", Answer::Status(200));
    let proxy = proxy(&[&peer], |config| {
        config.balancer.edge.upstream.tls = Some(certificates.peer("a.test"));
    });
    assert_eq!(client(&proxy).get().status(), 502);
}

/// The client's proxy speaks TLS with one that is in front of the server.
#[test]
fn every_kind_of_call_passes_two_proxies_with_tls_between() {
    let certificates = Certificates::new();
    let server = Server::start();
    let inner = proxy_at(&[server.address], |config| {
        config.balancer.keepalive = 4;
        config.balancer.edge.upstream.protocol = UpstreamProtocol::H2;
        listen(config, |listener| listener.tls = vec![certificates.issue("a", "inner.test")]);
    });
    let outer = proxy_at(&[inner.address()], |config| {
        config.balancer.keepalive = 4;
        config.balancer.edge.upstream.protocol = UpstreamProtocol::H2;
        config.balancer.edge.upstream.tls = Some(certificates.peer("inner.test"));
    });
    all_calls_through(outer.address().port());
}

#[test]
fn without_http2_its_preface_is_a_bad_request() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        listen(config, |listener| listener.http2 = false);
    });
    let mut client = client(&proxy);
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
    assert!((400..=505).contains(&client.response(false).status()));
}
