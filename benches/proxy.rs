//! lab's proxy beside NGINX: the same upstreams, the same load, in turn, five rounds.
//!
//! `cargo bench --bench proxy` needs `nginx` and `wrk`. It prints for each the requests per second
//! of CPU time, which neighbours on the machine disturb least, and for a single connection the
//! latency added; then lab's share of NGINX's as a median with its range. Each proxy has one
//! worker, 64 kept connections, four upstreams and `least_conn`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark prints its result")]
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints its result, and what it needs"
)]

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use lab::host::usage::cpu_time;

const ROUNDS: usize = 5;
const UPSTREAMS: usize = 4;
const BODY: &str = "one hundred bytes, more or less, as small as an answer of an interface often is, and no smaller";

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    for tool in ["nginx", "wrk"] {
        if Command::new(tool)
            .arg("-v")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_err()
        {
            eprintln!("this benchmark needs {tool} (Debian: apt-get install {tool})");
            return;
        }
    }
    let folder = std::env::temp_dir().join(format!("lab-bench-proxy-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    let ports: Vec<u16> = (0..UPSTREAMS + 2).map(|_| free_port()).collect();
    let (upstreams, proxies) = ports.split_at(UPSTREAMS);
    let upstream_server = nginx(&folder, "upstreams", &upstream_servers(upstreams));
    let nginx = nginx(&folder, "proxy", &proxy_server(upstreams, proxies[0]));
    let lab = lab(&folder, upstreams, proxies[1]);
    thread::sleep(Duration::from_secs(1));
    let peers = [("nginx", proxies[0], worker_of(nginx.0.id())), ("lab", proxies[1], lab.0.id())];
    for (title, connections) in [("saturated, 64 connections", 64), ("one connection", 1)] {
        compare(title, connections, &peers, upstreams[0]);
    }
    drop((nginx, lab, upstream_server));
    fs::remove_dir_all(folder).expect("removed");
}

/// Runs all in turn and prints lab's share of NGINX's.
fn compare(title: &str, connections: u32, peers: &[(&str, u16, u32); 2], upstream: u16) {
    println!("\n{title}");
    let mut shares = Vec::new();
    for round in 1..=ROUNDS {
        let direct = load(upstream, connections);
        let results = peers.map(|(name, port, pid)| {
            let before = cpu_time(pid).expect("a running proxy");
            let result = load(port, connections);
            let cpu = cpu_time(pid).expect("a running proxy").as_secs_f64() - before.as_secs_f64();
            let per_cpu_second = result.requests / cpu;
            print!("  {round} {name:6} {per_cpu_second:8.0} requests per CPU-second");
            // At saturation latency is the queue in front of the proxy, whoever it is.
            if connections == 1 {
                let (p50, p99) = (result.p50 - direct.p50, result.p99 - direct.p99);
                print!(", p50 {p50:+.0} µs, p99 {p99:+.0} µs against no proxy");
            }
            println!();
            per_cpu_second
        });
        shares.push(results[1] / results[0]);
    }
    shares.sort_by(f64::total_cmp);
    println!(
        "  lab / nginx: {:.2} ({:.2} to {:.2})",
        shares[ROUNDS / 2],
        shares[0],
        shares[ROUNDS - 1]
    );
}

struct Load {
    requests: f64,
    /// In microseconds.
    p50: f64,
    /// In microseconds.
    p99: f64,
}

fn load(port: u16, connections: u32) -> Load {
    let output = Command::new("wrk")
        .args(["-t1", "-d3s", "--latency", &format!("-c{connections}")])
        .arg(format!("http://127.0.0.1:{port}/"))
        .output()
        .expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{text}");
    let word = |end: &str, place: usize| {
        let line = text.lines().find(|line| line.contains(end)).expect("a line of wrk's report");
        line.split_whitespace().nth(place).expect("a number").to_owned()
    };
    Load {
        requests: word("requests in", 0).parse().expect("a number"),
        p50: micros(&word("50%", 1)),
        p99: micros(&word("99%", 1)),
    }
}

/// A duration as wrk writes it.
fn micros(text: &str) -> f64 {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number: f64 = text[..text.len() - unit.len()].parse().expect("a number");
    number
        * match unit {
            "us" => 1.0,
            "ms" => 1e3,
            "s" => 1e6,
            other => panic!("unit {other} of wrk"),
        }
}

/// A process that ends with the benchmark.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // A polite end, so that NGINX takes its workers along.
        let pid = self.0.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        drop(self.0.wait());
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

fn nginx(folder: &Path, name: &str, http: &str) -> Running {
    let config = write(
        &folder.join(format!("{name}.conf")),
        &format!(
            "daemon off; worker_processes 1; error_log stderr crit; pid {};\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000;\n{http}}}\n",
            folder.join(format!("{name}.pid")).display()
        ),
    );
    let child = Command::new("nginx").arg("-p").arg(folder).arg("-c").arg(config).spawn();
    Running(child.expect("nginx starts"))
}

fn upstream_servers(ports: &[u16]) -> String {
    let server = |port| format!("server {{ listen 127.0.0.1:{port}; return 200 '{BODY}'; }}\n");
    ports.iter().map(server).collect()
}

fn proxy_server(upstreams: &[u16], port: u16) -> String {
    let servers: String =
        upstreams.iter().map(|port| format!("server 127.0.0.1:{port};\n")).collect();
    format!(
        "upstream group {{ zone group 64k; least_conn; {servers} keepalive 64; }}\n\
         server {{ listen 127.0.0.1:{port}; location / {{\n\
         proxy_pass http://group; proxy_http_version 1.1; proxy_set_header Connection '';\n\
         proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
         proxy_set_header X-Forwarded-Proto $scheme; }} }}\n"
    )
}

/// The worker of an NGINX master.
fn worker_of(master: u32) -> u32 {
    let path = format!("/proc/{master}/task/{master}/children");
    let children = fs::read_to_string(path).expect("the children of a running process");
    children.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("one worker")
}

fn lab(folder: &Path, upstreams: &[u16], port: u16) -> Running {
    let backends: String = (1..)
        .zip(upstreams)
        .map(|(number, port)| {
            format!("[[backend]]\nname = \"b{number}\"\naddress = \"127.0.0.1:{port}\"\n")
        })
        .collect();
    let head = "schema_version = 1\n[balancer]\nalgorithm = \"least_conn\"\nkeepalive = 64\n";
    let config = write(&folder.join("lab.toml"), &format!("{head}{backends}"));
    let child = Command::new(env!("CARGO_BIN_EXE_lab"))
        .args(["proxy", "--listen", &format!("127.0.0.1:{port}"), "--config"])
        .arg(config)
        .stderr(Stdio::null())
        .spawn();
    Running(child.expect("lab starts"))
}

fn write(path: &Path, text: &str) -> PathBuf {
    let mut file = fs::File::create(path).expect("a file");
    file.write_all(text.as_bytes()).expect("written");
    path.to_owned()
}
