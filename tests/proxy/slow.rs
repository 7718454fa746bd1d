//! Slow attacks by Debian's `slowhttptest`: the limits end its connections, and a client beside
//! them is served all along as if nothing happened.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::proxy::{Proxy, ProxyConfig};
use lab::units::{Bytes, Span};

use super::peer::{Answer, Peer};
use super::setup::{client, eventually, proxy};

/// Connections of an attack.
const CONNECTIONS: u64 = 60;

/// Heads that never end, a field now and then.
#[test]
fn slow_heads_are_cut_off() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| limit(config, |_| {}));
    let report = attack("heads", &proxy, "/", &["-H", "-i", "1", "-x", "10"]);
    assert!(report.most_connected > CONNECTIONS / 3, "{report:?}");
    assert!(report.all_closed, "{report:?}");
    assert!(report.seconds <= 9, "over before the test's own end: {report:?}");
}

/// Bodies that never end: a little at a time, faster than the limit between two parts, so that it
/// is the limit of the whole request that ends them.
#[test]
fn slow_bodies_are_cut_off() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| {
        limit(config, |client| client.request_timeout = Some(Span::from_secs(4)));
    });
    let report = attack("bodies", &proxy, "/", &["-B", "-i", "1", "-s", "8192", "-x", "10"]);
    assert!(report.most_connected > CONNECTIONS / 3, "{report:?}");
    assert!(report.all_closed, "{report:?}");
    assert!(peer.seen().iter().all(|seen| seen.message.start.starts_with("GET ")), "none is whole");
}

/// Bodies that stop: the limit between two parts ends them.
#[test]
fn bodies_that_stop_are_cut_off() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| limit(config, |_| {}));
    let report = attack("stopped", &proxy, "/", &["-B", "-i", "4", "-s", "8192", "-x", "10"]);
    assert!(report.most_connected > CONNECTIONS / 3, "{report:?}");
    assert!(report.all_closed, "{report:?}");
}

/// A head with thousands of overlapping ranges is above the limit of heads.
#[test]
fn a_thousand_ranges_are_refused() {
    let peer = Peer::good("a");
    let proxy = proxy(&[&peer], |config| limit(config, |_| {}));
    let report = attack("ranges", &proxy, "/", &["-R", "-a", "5", "-b", "3000"]);
    assert!(report.all_closed, "{report:?}");
    let asked = peer.seen().iter().filter(|seen| !seen.message.all("range").is_empty()).count();
    assert_eq!(asked, 0, "requests with such a Range at the peer");
}

/// A large response, read by a few bytes a second.
#[test]
fn slow_readers_are_cut_off() {
    let body = vec![b'x'; 8 << 20];
    let mut large =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    large.extend_from_slice(&body);
    let peer = Peer::scripted("a", move |seen| {
        let is_large = seen.message.start.contains("/large");
        if is_large { Answer::Raw(large.clone()) } else { Answer::Status(200) }
    });
    let proxy = proxy(&[&peer], |config| limit(config, |_| {}));
    let words = ["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "32", "-k", "1"];
    let report = attack("readers", &proxy, "/large", &words);
    assert!(report.most_connected > CONNECTIONS / 3, "{report:?}");
    // A reader that slow does not notice; what counts is that nothing is kept for it.
    assert!(report.held_at_end < 5, "{report:?}");
}

/// Limits short enough for a test.
fn limit(config: &mut ProxyConfig, change: impl FnOnce(&mut lab::scenario::edge::ClientFacts)) {
    let client = &mut config.balancer.edge.client;
    client.header_max = Bytes(16 << 10);
    client.header_timeout = Span::from_secs(2);
    client.body_timeout = Span::from_secs(2);
    client.idle_timeout = Span::from_secs(3);
    change(client);
}

/// What slowhttptest says of its run.
#[derive(Debug)]
struct Report {
    seconds: u64,
    /// It ended because the proxy had closed all of its connections.
    all_closed: bool,
    most_connected: u64,
    /// The proxy's sockets shortly before it ended, the other client's and a probe's included.
    held_at_end: usize,
}

/// Attacks `target` for at most 12 s, while a client asks for `/`, and judges what both saw and
/// what is left of it in the kernel.
fn attack(name: &str, proxy: &Proxy, target: &str, words: &[&str]) -> Report {
    let calm = Calm::start(proxy);
    let folder = std::env::temp_dir().join(format!("lab-slow-{}-{name}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let mut child = Command::new("slowhttptest")
        .args(words)
        .args(["-c", &CONNECTIONS.to_string(), "-r", "40", "-l", "12", "-p", "2", "-g", "-o"])
        .arg(folder.join("report"))
        .args(["-u", &format!("http://{}{target}", proxy.address())])
        .stdout(File::create(folder.join("output")).expect("a file"))
        .spawn()
        .expect("slowhttptest (Debian: apt-get install slowhttptest)");
    let mut held_at_end = 0;
    let status = loop {
        let held = sockets(proxy.address());
        match child.try_wait().expect("a child") {
            Some(status) => break status,
            None => held_at_end = held,
        }
        thread::sleep(Duration::from_millis(200));
    };
    let file = |name: &str| fs::read_to_string(folder.join(name)).expect("what it wrote");
    let (output, report) = (file("output"), file("report.csv"));
    fs::remove_dir_all(&folder).expect("removed");
    assert!(status.success(), "{output}");
    calm.judge();
    // Nothing of the attack may be left, not even bytes on their way.
    eventually("its connections have ended", || sockets(proxy.address()) == 0);
    let all_closed = output.contains("No open connections left");
    Report { all_closed, held_at_end, ..read(&report) }
}

/// Seconds, closed, pending, connected, and whether a probe was answered, a line a second.
fn read(report: &str) -> Report {
    let rows: Vec<Vec<u64>> = report
        .lines()
        .skip(1)
        .map(|line| line.split(',').map(|cell| cell.trim().parse().expect("a number")).collect())
        .collect();
    let last = rows.last().expect("a row");
    for row in &rows {
        assert!(row[4] > 0, "the probe of slowhttptest was not answered: {report}");
    }
    let most_connected = rows.iter().map(|row| row[3]).max().unwrap_or(0);
    Report { seconds: last[0], all_closed: false, most_connected, held_at_end: 0 }
}

/// Sockets of the proxy that hold a connection or bytes of one.
fn sockets(proxy: SocketAddr) -> usize {
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let port = format!(":{:04X}", proxy.port());
    let ours = table.lines().skip(1).filter(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        // TIME_WAIT and LISTEN hold neither.
        words[1].ends_with(&port) && !matches!(words[3], "06" | "0A")
    });
    ours.count()
}

/// A client that asks twenty times a second until it is told to stop.
struct Calm {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Calm {
    fn start(proxy: &Proxy) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut wire) = (Arc::clone(&stop), client(proxy));
        let thread = thread::spawn(move || {
            let mut took = Vec::new();
            while !stopped.load(Ordering::SeqCst) {
                #[expect(clippy::disallowed_methods, reason = "a client's own watch")]
                let start = Instant::now();
                assert_eq!(wire.get().status(), 200);
                took.push(start.elapsed());
                thread::sleep(Duration::from_millis(50));
            }
            took
        });
        Self { stop, thread }
    }

    /// Every request was answered, and in the time it takes without an attack; the bounds leave
    /// room for a busy machine.
    fn judge(self) {
        self.stop.store(true, Ordering::SeqCst);
        let mut took = self.thread.join().expect("every request was answered");
        took.sort();
        let (half, last) = (took[took.len() / 2], took[took.len() - 1]);
        assert!(took.len() > 10, "{} requests", took.len());
        assert!(half < Duration::from_millis(100), "the median is {half:?}");
        assert!(last < Duration::from_secs(2), "the slowest took {last:?}");
    }
}
