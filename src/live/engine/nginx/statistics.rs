//! What NGINX has counted: stub_status, and the kinds of failure in its error log.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::Method;
use tokio::task::JoinHandle;

use crate::engine::Wiring;
use crate::exposition::Kind;
use crate::host::call;
use crate::monitor::Board;

/// A question that is not answered by then is not answered.
const LIMIT: Duration = Duration::from_secs(1);

const ACTIVE: &str = "client connections at the end";
const ACCEPTED: &str = "client connections accepted";
const DROPPED: &str = "client connections dropped";
const REQUESTS: &str = "requests";

/// The same as metrics: of all instances together, lab's own questions among them.
const FAMILIES: [(&str, &str, Kind, &str); 4] = [
    (ACTIVE, "lab_nginx_connections", Kind::Gauge, "Connections of clients to NGINX."),
    (ACCEPTED, "lab_nginx_accepted", Kind::Counter, "Connections that NGINX accepted."),
    (DROPPED, "lab_nginx_dropped", Kind::Counter, "Connections that NGINX dropped."),
    (REQUESTS, "lab_nginx_requests", Kind::Counter, "Requests that NGINX has begun to read."),
];

/// Lines of the error log that tell of a server, by a part of them (`ngx_http_upstream.c`).
const KINDS: [(&str, &str); 6] = [
    ("connect() failed", "connections refused by servers"),
    ("upstream timed out", "time-outs of servers"),
    ("upstream prematurely closed connection", "connections closed by servers before an answer"),
    ("recv() failed", "connections reset by servers"),
    ("no live upstreams", "requests that found no server"),
    ("upstream server temporarily disabled", "servers taken out by failures"),
];

/// The sums over all instances, by name.
pub(super) async fn statistics(wirings: &[Wiring]) -> Vec<(String, String)> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    let mut add = |(name, count): (&'static str, u64)| *sums.entry(name).or_default() += count;
    for wiring in wirings {
        stub_status(wiring.admin).await.into_iter().for_each(&mut add);
        let log = std::fs::read_to_string(wiring.folder.join("error.log")).unwrap_or_default();
        failures(&log).into_iter().for_each(&mut add);
    }
    sums.into_iter().map(|(name, count)| (name.to_owned(), count.to_string())).collect()
}

/// What stub_status said.
#[derive(Default)]
struct Seen {
    /// Connections of clients of all instances together, per second.
    active: Vec<u64>,
    /// Its counts of the last second, of all instances together.
    last: BTreeMap<&'static str, u64>,
}

/// The connections of clients, once a second: all that open-source NGINX shows while it runs. It has
/// no view of single servers.
pub(super) struct Connections {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Connections {
    /// Counts until it is dropped.
    pub(super) fn watch(wirings: &[Wiring]) -> Self {
        let admins: Vec<SocketAddr> = wirings.iter().map(|wiring| wiring.admin).collect();
        let seen = Arc::<Mutex<Seen>>::default();
        let counted = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut second = tokio::time::interval(Duration::from_secs(1));
            loop {
                second.tick().await;
                let mut all = BTreeMap::new();
                for admin in &admins {
                    for (name, count) in stub_status(*admin).await {
                        // The question is a connection too.
                        let asked = u64::from(name == ACTIVE);
                        *all.entry(name).or_default() += count.saturating_sub(asked);
                    }
                }
                let mut seen = counted.lock().unwrap_or_else(PoisonError::into_inner);
                seen.active.extend(all.get(ACTIVE));
                seen.last = all;
            }
        });
        Self { seen, task }
    }

    /// Shows on every page of the run what NGINX counts, which has no metrics for Prometheus.
    pub(super) fn show_on(&self, board: &Board) {
        let seen = Arc::clone(&self.seen);
        board.also(move |page| {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            for (name, family, kind, help) in FAMILIES {
                if let Some(count) = seen.last.get(name) {
                    page.family(family, kind, help).sample(&[], *count);
                }
            }
        });
    }

    /// The mean of all seconds and the highest; nothing where NGINX shows none.
    pub(super) fn statistics(&self) -> Vec<(String, String)> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = &seen.active;
        let Some(most) = counts.iter().max() else { return Vec::new() };
        let mean = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
        [("mean of each second", format!("{mean:.1}")), ("most in a second", most.to_string())]
            .map(|(name, value)| (format!("client connections, {name}"), value))
            .into()
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn stub_status(admin: SocketAddr) -> Vec<(&'static str, u64)> {
    let answer = call::call(admin, Method::GET, "/stub_status", None, LIMIT).await;
    match answer {
        Ok((200, body)) => read_stub_status(&String::from_utf8_lossy(&body)),
        // The user's own configuration need not have it.
        _ => Vec::new(),
    }
}

/// Reads what `ngx_http_stub_status_module` writes; empty if it is something else.
fn read_stub_status(text: &str) -> Vec<(&'static str, u64)> {
    let mut lines = text.lines();
    let numbers = |line: Option<&str>| -> Vec<u64> {
        line.unwrap_or_default().split_whitespace().filter_map(|word| word.parse().ok()).collect()
    };
    let active = numbers(lines.next());
    let counts = numbers(lines.nth(1));
    let (Some(active), &[accepted, handled, requests]) = (active.first(), &counts[..]) else {
        return Vec::new();
    };
    vec![
        (ACTIVE, *active),
        (ACCEPTED, accepted),
        (DROPPED, accepted.saturating_sub(handled)),
        (REQUESTS, requests),
    ]
}

fn failures(log: &str) -> Vec<(&'static str, u64)> {
    let count = |part: &str| log.lines().filter(|line| line.contains(part)).count() as u64;
    KINDS.iter().map(|(part, name)| (*name, count(part))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stub_status_is_read() {
        let text = "Active connections: 3 \nserver accepts handled requests\n 20 18 512 \n\
                    Reading: 0 Writing: 1 Waiting: 2 \n";
        let read = read_stub_status(text);
        assert_eq!(read.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [3, 20, 2, 512]);
        assert!(read_stub_status("<html>404</html>").is_empty());
    }

    #[test]
    fn failures_are_counted_by_kind() {
        let log = "… connect() failed (111: Connection refused) while connecting to upstream …\n\
                   … upstream server temporarily disabled while connecting to upstream …\n\
                   … connect() failed (111: Connection refused) …\n";
        let counts: BTreeMap<_, _> = failures(log).into_iter().collect();
        assert_eq!(counts["connections refused by servers"], 2);
        assert_eq!(counts["servers taken out by failures"], 1);
        assert_eq!(counts["time-outs of servers"], 0);
    }
}
