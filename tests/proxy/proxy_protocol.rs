//! The PROXY protocol, from clients (curl) and to peers (nginx), and what is not let through.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use lab::proxy::proxy_protocol::{Version, write};
use lab::proxy::{Proxy, ProxyConfig};
use lab::scenario::edge::{Network, ProxyProtocol};
use lab::units::Span;

use super::certificates::{Certificates, listen};
use super::client::Wire;
use super::peer::Peer;
use super::setup::{client, eventually, proxy, proxy_at};

fn headed(trusted: &str) -> impl FnOnce(&mut ProxyConfig) {
    let network = Network { address: trusted.parse().expect("an address"), prefix: 8 };
    move |config| {
        listen(config, |listener| listener.proxy_protocol = true);
        config.balancer.edge.forward.trusted = vec![network];
        config.balancer.edge.client.header_timeout = Span::from_millis(500);
    }
}

fn ask(proxy: &Proxy, header: &[u8]) -> Option<u16> {
    let mut wire = client(proxy);
    wire.write_all(&[header, b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"].concat()).ok()?;
    wire.try_response(false).ok().map(|response| response.status())
}

#[test]
fn the_client_is_who_the_header_says() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], headed("127.0.0.0"));
    let to: SocketAddr = "198.51.100.2:443".parse().expect("an address");
    for (version, from) in [
        (Version::V1, "192.0.2.7:4711"),
        (Version::V2, "192.0.2.7:4711"),
        (Version::V1, "[2001:db8::7]:4711"),
        (Version::V2, "[2001:db8::7]:4711"),
    ] {
        let from: SocketAddr = from.parse().expect("an address");
        let mut header = Vec::new();
        write(version, from, to, &mut header);
        assert_eq!(ask(&proxy, &header), Some(200));
        let seen = peer.seen().pop().expect("seen").message;
        let ip = from.ip().to_string();
        assert_eq!(seen.field("x-forwarded-for"), Some(ip.as_str()), "{version:?}");
    }
    assert_eq!(ask(&proxy, b"PROXY UNKNOWN\r\n"), Some(200));
    let seen = peer.seen().pop().expect("seen").message;
    assert_eq!(seen.field("x-forwarded-for"), Some("127.0.0.1"), "the connection's own");
}

#[test]
fn curl_sends_one_before_tls_and_http2() {
    let certificates = Certificates::new();
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        headed("127.0.0.0")(config);
        config.balancer.edge.listeners[0].tls = vec![certificates.issue("a", "shop.test")];
    });
    let port = proxy.address().port();
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--http2", "--haproxy-protocol", "--cacert"])
        .arg(certificates.ca())
        .args(["--resolve", &format!("shop.test:{port}:127.0.0.1")])
        .arg(format!("https://shop.test:{port}/"))
        .output()
        .expect("curl is installed; tests/run sees to it");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "a");
}

#[test]
fn no_header_no_service() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], headed("127.0.0.0"));
    assert_eq!(ask(&proxy, b""), None, "none");
    assert_eq!(ask(&proxy, b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), None, "malformed");
    assert_eq!(ask(&proxy, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n"), None, "a bare line feed");
    let mut silent = client(&proxy);
    silent.write_all(b"PROXY TCP4 192.0.2.1 ").expect("sent");
    assert!(silent.drained(), "late");
    assert!(peer.seen().is_empty());
}

#[test]
fn a_header_of_somebody_not_trusted_is_not_read() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], headed("10.0.0.0"));
    assert_eq!(ask(&proxy, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), None);
    assert!(peer.seen().is_empty());
}

#[test]
fn without_being_asked_for_a_header_is_a_bad_request() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |_| {});
    assert_eq!(ask(&proxy, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), Some(400));
    assert!(peer.seen().is_empty());
}

/// An nginx that wants a header and answers with what it says.
struct Nginx {
    process: Child,
    folder: std::path::PathBuf,
    address: SocketAddr,
}

impl Nginx {
    fn start() -> Self {
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|at| at.local_addr()).expect("a port");
        let folder = std::env::temp_dir().join(format!("lab-nginx-{}", address.port()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let text = format!(
            "daemon off; pid {0}/pid; error_log {0}/error; events {{}} http {{ access_log off;
             client_body_temp_path {0}/b; proxy_temp_path {0}/p; fastcgi_temp_path {0}/f;
             uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;
             server {{ listen {address} proxy_protocol;
             location / {{ return 200 $proxy_protocol_addr,$proxy_protocol_port; }} }} }}",
            folder.display(),
        );
        std::fs::write(folder.join("conf"), text).expect("written");
        let process = Command::new("nginx")
            .arg("-e")
            .arg(folder.join("error"))
            .arg("-c")
            .arg(folder.join("conf"))
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed; tests/run sees to it");
        eventually("nginx listens", || std::net::TcpStream::connect(address).is_ok());
        Self { process, folder, address }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It stops its worker at SIGTERM, not at SIGKILL.
        if let Some(pid) = rustix::process::Pid::from_raw(self.process.id() as i32) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        drop(self.process.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[test]
fn nginx_reads_the_headers_that_peers_get() {
    let nginx = Nginx::start();
    for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
        let proxy = proxy_at(&[nginx.address], |config| {
            config.balancer.edge.upstream.send_proxy_protocol = Some(version);
            config.balancer.keepalive = 8;
        });
        // Two clients: neither may be taken for the other by a kept connection.
        for _ in 0..2 {
            let stream = std::net::TcpStream::connect(proxy.address()).expect("connected");
            let mine = stream.local_addr().expect("an address");
            let mut wire = Wire::new(stream);
            for _ in 0..2 {
                let text = wire.get().text();
                assert_eq!(text, format!("{},{}", mine.ip(), mine.port()), "{version:?}");
            }
        }
    }
}

#[test]
fn a_peer_gets_the_header_first() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    let reading = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accepted");
        let mut got = Vec::new();
        let mut byte = [0];
        while !got.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("more");
            got.push(byte[0]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").expect("sent");
        String::from_utf8(got).expect("text")
    });
    let outer = proxy_at(&[address], |config| {
        headed("127.0.0.0")(config);
        config.balancer.edge.upstream.send_proxy_protocol = Some(ProxyProtocol::V1);
    });
    assert_eq!(ask(&outer, b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), Some(200));
    let got = reading.join().expect("read");
    assert!(got.starts_with("PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n"), "{got}");
}
