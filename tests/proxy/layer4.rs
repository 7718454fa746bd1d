//! Listeners that pass on connections as they are.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use lab::proxy::{Proxy, ProxyConfig};
use lab::scenario::edge::{ListenMode, Listener, ProxyProtocol};
use lab::units::Span;

use super::peer::nobody;
use super::setup::{config, eventually};

/// A server that reads all, then says its name and what it has read.
fn server(name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut all = Vec::new();
                drop(stream.read_to_end(&mut all));
                drop(stream.write_all(name.as_bytes()));
                drop(stream.write_all(&all));
            });
        }
    });
    address
}

fn layer4(addresses: &[SocketAddr], change: impl FnOnce(&mut ProxyConfig)) -> Proxy {
    let mut config = config(addresses);
    let any = ([127, 0, 0, 1], 0).into();
    config.balancer.edge.listeners =
        vec![Listener { mode: ListenMode::Tcp, ..Listener::http(any) }, Listener::http(any)];
    change(&mut config);
    Proxy::start(&config).expect("a proxy")
}

fn exchange(at: SocketAddr, say: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).expect("a connection");
    stream.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("a time-out");
    stream.write_all(say).expect("sent");
    // The end of one direction is passed on, and the other goes on.
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("heard");
    heard
}

#[test]
fn connections_are_balanced_and_half_closes_passed_on() {
    let proxy = layer4(&[server("a"), server("b")], |_| {});
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    for name in [b"a", b"b", b"a"] {
        let heard = exchange(proxy.address(), &large);
        assert_eq!(&heard[..1], name);
        assert!(heard[1..] == large[..], "{} bytes came back", heard.len());
    }
}

#[test]
fn a_peer_that_cannot_be_reached_is_followed_by_the_next() {
    let proxy = layer4(&[nobody(), server("b")], |_| {});
    (0..3).for_each(|_| assert_eq!(exchange(proxy.address(), b"x"), b"bx"));
    let none = layer4(&[nobody(), nobody()], |_| {});
    let mut stream = TcpStream::connect(none.address()).expect("a connection");
    let mut heard = Vec::new();
    drop(stream.read_to_end(&mut heard));
    assert!(heard.is_empty(), "nobody is there to say anything");
}

#[test]
fn peers_are_told_who_the_client_is() {
    let proxy = layer4(&[server("a")], |config| {
        config.balancer.edge.upstream.send_proxy_protocol = Some(ProxyProtocol::V1);
    });
    let heard = String::from_utf8(exchange(proxy.address(), b"hello")).expect("text");
    let port = proxy.address().port();
    assert!(heard.starts_with("aPROXY TCP4 127.0.0.1 127.0.0.1 "), "{heard}");
    assert!(heard.ends_with(&format!(" {port}\r\nhello")), "{heard}");
}

#[test]
fn silence_ends_a_connection_and_gives_its_place_back() {
    let proxy = layer4(&[server("a")], |config| {
        config.balancer.edge.client.idle_timeout = Span::from_millis(100);
        config.balancer.upstream.peers[0].max_conns = 1;
    });
    let mut quiet = TcpStream::connect(proxy.address()).expect("a connection");
    quiet.set_read_timeout(Some(std::time::Duration::from_secs(10))).expect("a time-out");
    let mut heard = Vec::new();
    drop(quiet.read_to_end(&mut heard));
    eventually("its place is free", || exchange(proxy.address(), b"x") == b"ax");
}

#[test]
fn a_connection_counts_and_is_logged() {
    let path = std::env::temp_dir().join(format!("lab-layer4-{}.log", std::process::id()));
    let proxy = layer4(&[server("a")], |config| {
        config.balancer.edge.log = Some(lab::scenario::edge::LogFacts {
            path: path.clone(),
            sample: lab::units::Ratio(1.0),
            queue: 100,
        });
    });
    assert_eq!(exchange(proxy.address(), b"12345"), b"a12345");
    let text = || std::fs::read_to_string(&path).expect("the log");
    eventually("the line is written", || !text().is_empty());
    let line: serde_json::Value = serde_json::from_str(&text()).expect("JSON");
    assert_eq!((&line["protocol"], &line["upstream"]), (&"tcp".into(), &"a".into()));
    assert_eq!((&line["bytes_in"], &line["bytes_out"]), (&5.into(), &6.into()));
    assert_eq!(line["complete"], true);
    assert!(line["connect_ms"].is_number());
    drop(proxy);
    std::fs::remove_file(&path).expect("removed");
}
