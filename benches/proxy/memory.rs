//! What an idle connection costs.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use super::load::saturate;
use super::peers::Peer;
use super::process::{Cores, connections_max};

/// Connections held open: 10,000, or what the limit of descriptors lets every proxy hold.
pub(crate) fn connections() -> usize {
    connections_max().min(10_000)
}

/// Memory of a process, in KiB.
pub(crate) struct Used {
    pub(crate) before: f64,
    pub(crate) per_connection: f64,
}

/// Warms `peer` up, then opens connections, each of which makes one request and falls silent.
pub(crate) fn idle(peer: &Peer, cores: &Cores) -> Used {
    saturate(peer, 64, false, 1, cores);
    thread::sleep(Duration::from_secs(1));
    let before = resident(peer.pid);
    let held: Vec<TcpStream> = (0..connections()).map(|_| connection(peer.port)).collect();
    // Time to give back what an idle connection does not need.
    thread::sleep(Duration::from_secs(3));
    let per_connection = (resident(peer.pid) - before) / held.len() as f64;
    Used { before, per_connection }
}

fn connection(port: u16) -> TcpStream {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n").expect("sent");
    let mut buffer = [0; 4096];
    let length = stream.read(&mut buffer).expect("a response");
    assert!(buffer[..length].starts_with(b"HTTP/1.1 200"), "the response of an idle client");
    stream
}

fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running proxy");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its resident set");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("KiB")
}
