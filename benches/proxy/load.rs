//! Load: wrk for the closed loop, lab's own generator for the open one.

use std::path::Path;

use lab::host::usage::cpu_time;

use super::arguments::Arguments;
use super::peers::Peer;
use super::process::{Cores, pinned};

/// What a closed loop showed.
pub(crate) struct Saturation {
    /// Requests per second of the proxy's CPU time.
    pub(crate) per_cpu_second: f64,
    /// The share of a core that it had.
    pub(crate) cpu: f64,
}

/// Requests as fast as they are answered; on a new connection each, if they `close`.
pub(crate) fn saturate(
    peer: &Peer,
    connections: u32,
    close: bool,
    seconds: u32,
    cores: &Cores,
) -> Saturation {
    let before = cpu_time(peer.pid).expect("a running proxy");
    let (connections, duration) = (format!("-c{connections}"), format!("-d{seconds}s"));
    let url = format!("http://127.0.0.1:{}/", peer.port);
    let mut words = vec!["-t1", &connections, &duration, &url];
    if close {
        words.extend(["-H", "Connection: close"]);
    }
    let output = pinned(Path::new("wrk"), &words, &cores.others).output().expect("wrk runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let cpu = cpu_time(peer.pid).expect("a running proxy").as_secs_f64() - before.as_secs_f64();
    assert!(output.status.success() && !text.contains("Non-2xx"), "{text}");
    assert!(close || !text.contains("Socket errors"), "{text}");
    let line = text.lines().find(|line| line.contains("requests in")).expect("wrk's report");
    let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
    let requests: f64 = words.next().and_then(|word| word.parse().ok()).expect("a number");
    let wall = line.split_whitespace().nth(3).map(|word| word.trim_end_matches([',', 's']));
    let wall: f64 = wall.and_then(|word| word.parse().ok()).unwrap_or(f64::from(seconds));
    Saturation { per_cpu_second: requests / cpu, cpu: cpu / wall }
}

/// What an open loop showed, in microseconds.
pub(crate) struct Latency {
    /// The 50th, 99th and 99.9th percentile, from the instant a request was sent.
    pub(crate) quantiles: [f64; 3],
    /// How late the generator itself was, in the 99th percentile.
    pub(crate) lateness: f64,
    /// Requests that failed, such as with 503.
    pub(crate) failed: u64,
}

/// Requests at a fixed rate, equally spaced, whatever the responses do.
pub(crate) fn open_loop(ports: &[u16], arguments: &Arguments, cores: &Cores) -> Latency {
    let (rate, duration) = (format!("{}/s", arguments.rate), format!("{}s", arguments.seconds));
    let urls: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}/")).collect();
    let mut words =
        vec!["load", "--rate", &rate, "--arrival", "uniform", "--duration", &duration, "--json"];
    if arguments.real_time {
        words.push("--real-time");
    }
    words.extend(urls.iter().map(|url| &**url));
    let output = pinned(&arguments.lab, &words, &cores.others).output().expect("lab runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let report: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    let micros = |group: &str, quantile: &str| {
        report[group][quantile].as_f64().expect("a number of nanoseconds") / 1e3
    };
    Latency {
        quantiles: ["p50", "p99", "p99.9"].map(|quantile| micros("latency_sent_ns", quantile)),
        lateness: micros("schedule_error_ns", "p99"),
        failed: report["failed"].as_u64().expect("a count"),
    }
}
