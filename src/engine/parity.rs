//! How an engine is set, in words, for a fair comparison: the same names in all engines, and the
//! same words for the same setting, so that only what differs looks different.

use crate::policy::ActiveHealthConfig;
use crate::scenario::edge::EdgeFacts;
use crate::units::Span;

/// The settings that sway a comparison. Every engine says all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parity {
    /// Processes or threads that serve.
    pub workers: String,
    /// Whether they share counts and health.
    pub state: String,
    /// How a backend is chosen, in the engine's own words.
    pub algorithm: String,
    /// [`keepalive_to_clients`].
    pub keepalive_to_clients: String,
    /// How many idle connections are kept, and how long.
    pub keepalive_to_backends: String,
    /// Whether bodies are held before they are sent on.
    pub buffering: String,
    /// After what another attempt is made, and how often.
    pub retries: String,
    /// [`health_checks`].
    pub health_checks: String,
    /// [`time_outs`].
    pub time_outs: String,
    /// [`access_log`].
    pub access_log: String,
    /// What it shows of single servers while it runs.
    pub view_of_servers: String,
}

impl Parity {
    /// Names and values.
    #[must_use]
    pub fn settings(self) -> Vec<(String, String)> {
        [
            ("workers", self.workers),
            ("state", self.state),
            ("algorithm", self.algorithm),
            ("keepalive to clients", self.keepalive_to_clients),
            ("keepalive to backends", self.keepalive_to_backends),
            ("buffering", self.buffering),
            ("retries", self.retries),
            ("health checks", self.health_checks),
            ("time-outs", self.time_outs),
            ("access log", self.access_log),
            ("view of servers", self.view_of_servers),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// How long a client's idle connection is kept, and for how many requests.
#[must_use]
pub fn keepalive_to_clients(idle: Span, requests: u32) -> String {
    format!("idle {idle}, {requests} requests")
}

/// Active checks.
#[must_use]
pub fn health_checks(health: Option<&ActiveHealthConfig>) -> String {
    health.map_or_else(
        || "off".to_owned(),
        |it| format!("{} every {}, rise {}, fall {}", it.path, it.interval, it.rise, it.fall),
    )
}

/// For a connection to a backend, and for its response.
#[must_use]
pub fn time_outs(connect: Span, read: Span) -> String {
    format!("connect {connect}, read {read}")
}

/// Which requests are logged.
#[must_use]
pub fn access_log(edge: &EdgeFacts) -> String {
    edge.log
        .as_ref()
        .map_or_else(|| "off".to_owned(), |log| format!("{} of requests, and all 5xx", log.sample))
}
