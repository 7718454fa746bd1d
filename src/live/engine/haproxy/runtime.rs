//! HAProxy's runtime API: a line of text over the stats socket, and what it answers (management
//! guide, 9.3).

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::engine::haproxy::{BACKEND, SOCKET};
use crate::host::clock;
use crate::live::engine::PeerView;
use crate::policy::PeerState;
use crate::units::Span;

/// How long its socket may take to be there once clients are served.
const PATIENCE: Span = Span::from_secs(5);
/// An order that is not obeyed by then has failed.
const LIMIT: Duration = Duration::from_secs(2);
/// Severities up to this are errors, as those of syslog.
const ERROR: u8 = 3;
/// What is worth keeping of `show info`.
const INFO: [&str; 6] =
    ["CumReq", "CumConns", "MaxConnRate", "MaxSessRate", "PoolFailed", "Idle_pct"];
/// What is worth keeping of `show stat`, for the backend and each server.
const STATISTICS: [&str; 15] = [
    "stot", "smax", "qmax", "econ", "eresp", "wretr", "wredis", "cli_abrt", "srv_abrt", "hrsp_2xx",
    "hrsp_5xx", "chkfail", "chkdown", "connect", "reuse",
];

/// Why an order was not obeyed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RuntimeError {
    /// Nobody listens, or the connection broke.
    #[error("the stats socket, at `{command}`: {error}")]
    Broken {
        /// What was asked.
        command: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// No answer in time.
    #[error("the stats socket did not answer `{command}` within {LIMIT:?}")]
    TimedOut {
        /// What was asked.
        command: String,
    },
    /// HAProxy does not do that.
    #[error("HAProxy refused `{command}`: {answer}")]
    Refused {
        /// What was asked.
        command: String,
        /// Its reason.
        answer: String,
    },
    /// A server that is to be moved or removed has requests for too long.
    #[error("server {name} still has requests in flight; it stays as it is, drained")]
    Busy {
        /// Which.
        name: String,
    },
    /// The answer is not what was asked for.
    #[error("HAProxy answered `{command}` with something else: {answer}")]
    Unexpected {
        /// What was asked.
        command: String,
        /// The beginning of the answer.
        answer: String,
    },
}

/// The stats socket of one HAProxy.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    /// The folder of the socket. Its path may be longer than a socket's may be (107 bytes), so the
    /// way to it is the descriptor.
    folder: Arc<File>,
}

/// A line of a table, by the name of the column.
pub(super) type Row = BTreeMap<String, String>;

impl Runtime {
    /// That in `folder`; it need not be there yet.
    pub(super) fn new(folder: &Path) -> std::io::Result<Self> {
        Ok(Self { folder: Arc::new(File::open(folder)?) })
    }

    /// Waits until it is answered: HAProxy listens there a little later than where clients come.
    pub(super) async fn answers(&self) -> Result<(), RuntimeError> {
        let deadline = clock::now() + PATIENCE;
        loop {
            match self.ask("show info").await {
                Err(RuntimeError::Broken { .. }) if clock::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                answered => return answered.map(drop),
            }
        }
    }

    /// Asks, and gives the answer.
    pub(super) async fn ask(&self, command: &str) -> Result<String, RuntimeError> {
        let timed_out = |_| RuntimeError::TimedOut { command: command.to_owned() };
        let answer = tokio::time::timeout(LIMIT, self.exchange(command))
            .await
            .map_err(timed_out)?
            .map_err(|error| RuntimeError::Broken { command: command.to_owned(), error })?;
        let (severity, text) = severity(answer.trim());
        if severity <= ERROR || text.starts_with("Unknown command") {
            let answer = text.lines().next().unwrap_or_default().to_owned();
            return Err(RuntimeError::Refused { command: command.to_owned(), answer });
        }
        Ok(text.to_owned())
    }

    async fn exchange(&self, command: &str) -> std::io::Result<String> {
        let path = format!("/proc/self/fd/{}/{SOCKET}", self.folder.as_raw_fd());
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(format!("{command}\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// The servers, and the backend as a whole under the name `BACKEND`.
    pub(super) async fn rows(&self) -> Result<Vec<Row>, RuntimeError> {
        self.stat(BACKEND).await
    }

    /// Backends and servers of `proxy`; of all for `-1`.
    async fn stat(&self, proxy: &str) -> Result<Vec<Row>, RuntimeError> {
        let command = format!("show stat {proxy} 6 -1");
        let answer = self.ask(&command).await?;
        rows(&answer, ',').ok_or_else(|| unexpected(command, &answer))
    }

    /// Address, weight and administrative state of each server.
    pub(super) async fn servers(&self) -> Result<Vec<Row>, RuntimeError> {
        let command = format!("show servers state {BACKEND}");
        let answer = self.ask(&command).await?;
        // The version of the format, 1, has a line of its own.
        let table = answer.split_once('\n').and_then(|(_, table)| rows(table, ' '));
        table.ok_or_else(|| unexpected(command, &answer))
    }

    /// Its view of the servers.
    pub(super) async fn views(&self) -> Result<Vec<PeerView>, RuntimeError> {
        Ok(self.rows().await?.iter().filter_map(view).collect())
    }

    /// Its counters, by name.
    pub(super) async fn statistics(&self) -> Result<Vec<(String, String)>, RuntimeError> {
        let info = self.ask("show info").await?;
        let fields = info.lines().filter_map(|line| line.split_once(": "));
        let wanted = fields.filter(|(name, _)| INFO.contains(name));
        let mut statistics: Vec<(String, String)> =
            wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        for row in self.stat("-1").await? {
            let part = |name| row.get(name).map_or("", String::as_str);
            let server = match part("pxname") {
                BACKEND => part("svname").to_owned(),
                proxy => format!("{proxy}.{}", part("svname")),
            };
            let counter = |name: &&str| {
                let value = row.get(*name).filter(|value| !value.is_empty())?;
                Some((format!("{server}.{name}"), value.clone()))
            };
            statistics.extend(STATISTICS.iter().filter_map(counter));
        }
        Ok(statistics)
    }
}

/// Takes `[6]: ` off an answer; those that only show something have no severity.
fn severity(answer: &str) -> (u8, &str) {
    let parts = answer.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
    match parts.and_then(|(level, text)| Some((level.parse().ok()?, text))) {
        Some((level, text)) => (level, text),
        None => (7, answer),
    }
}

fn unexpected(command: String, answer: &str) -> RuntimeError {
    RuntimeError::Unexpected { command, answer: answer.chars().take(80).collect() }
}

/// Reads a table whose first line names its columns: no field that is read here is ever quoted.
fn rows(table: &str, separator: char) -> Option<Vec<Row>> {
    let mut lines = table.lines();
    let names: Vec<&str> = lines.next()?.strip_prefix("# ")?.split(separator).collect();
    let row = |line: &str| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .zip(line.split(separator).map(str::to_owned))
            .collect()
    };
    Some(lines.filter(|line| !line.is_empty()).map(row).collect())
}

fn view(row: &Row) -> Option<PeerView> {
    let name = row.get("svname").filter(|name| *name != "BACKEND" && *name != "FRONTEND")?;
    Some(PeerView {
        name: name.clone(),
        state: state(row.get("status")?),
        in_flight: row.get("scur")?.parse().ok()?,
    })
}

/// The states of `srv_hlt_st` (`stats.c`), which may be followed by the count of checks.
fn state(status: &str) -> PeerState {
    match status.split(' ').next().unwrap_or_default() {
        "DOWN" => PeerState::Unhealthy,
        "MAINT" => PeerState::Down,
        "DRAIN" | "NOLB" => PeerState::Draining,
        _ => PeerState::Up,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_state() {
        for (status, wanted) in [
            ("UP", PeerState::Up),
            ("UP 1/3", PeerState::Up),
            ("no check", PeerState::Up),
            ("DOWN", PeerState::Unhealthy),
            ("DOWN 1/2", PeerState::Unhealthy),
            ("DRAIN", PeerState::Draining),
            ("DRAIN 1/2", PeerState::Draining),
            ("MAINT (via a/b)", PeerState::Down),
        ] {
            assert_eq!(state(status), wanted, "{status}");
        }
    }

    #[test]
    fn a_table_is_read_by_its_head() {
        let csv = "# pxname,svname,qcur,scur,status,\npeers,a,0,3,UP,\npeers,BACKEND,0,3,UP,\n";
        let rows = rows(csv, ',').unwrap();
        let views: Vec<PeerView> = rows.iter().filter_map(view).collect();
        assert_eq!(views.len(), 1);
        assert_eq!((views[0].name.as_str(), views[0].in_flight), ("a", 3));
        assert!(super::rows("Unknown", ',').is_none());
    }

    #[test]
    fn severities_tell_errors_from_news() {
        assert_eq!(severity("[3]: No such server."), (3, "No such server."));
        assert_eq!(severity("[6]: Server deleted."), (6, "Server deleted."));
        assert_eq!(severity("# pxname,svname"), (7, "# pxname,svname"));
        assert_eq!(severity(""), (7, ""));
    }
}
