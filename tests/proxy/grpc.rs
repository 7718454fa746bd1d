//! gRPC by its own library on both sides: every kind of call, statuses in trailers, cancelling.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use lab::scenario::edge::UpstreamProtocol;

use super::setup::proxy_at;

/// A Python that has grpcio: that of the folder which `tests/run` makes beside the build, or the
/// system's.
fn python() -> PathBuf {
    let program = std::env::current_exe().expect("this program");
    let build = program.ancestors().nth(3).expect("the build's folder");
    let candidates = [build.join("python/bin/python"), PathBuf::from("python3")];
    let found = candidates.into_iter().find(|python| {
        let imported = Command::new(python).args(["-c", "import grpc"]).output();
        imported.is_ok_and(|output| output.status.success())
    });
    found.expect("no Python with grpcio; `sh tests/run` makes one")
}

fn script() -> Command {
    let mut command = Command::new(python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/grpc_echo.py"));
    // Nothing on the way but what is tested.
    command.env_remove("http_proxy").env_remove("grpc_proxy").env_remove("https_proxy");
    command
}

pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut process = script()
            .arg("server")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let mut line = String::new();
        let output = process.stdout.as_mut().expect("piped");
        BufReader::new(output).read_line(&mut line).expect("a line");
        let port: u16 = line.trim().parse().expect("a port");
        Self { process, address: ([127, 0, 0, 1], port).into() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Fails if any kind of call fails.
pub(crate) fn all_calls_through(port: u16) {
    let output = script().arg("client").arg(port.to_string()).output().expect("run");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{complained}");
    assert_eq!(said, "all as it should be\n");
}

#[test]
fn every_kind_of_call_passes() {
    let server = Server::start();
    // First without a proxy: what fails here is not the proxy's.
    all_calls_through(server.address.port());
    let server = Server::start();
    let proxy = proxy_at(&[server.address], |config| {
        config.balancer.keepalive = 4;
        config.balancer.edge.upstream.protocol = UpstreamProtocol::H2;
    });
    all_calls_through(proxy.address().port());
}
