//! What the generator is told at its start.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::target::Target;
use super::tls::TlsClient;
use crate::record::RecordError;
use crate::scenario::{HashKey, Scenario};
use crate::traffic::{Source, Stage, TrafficConfig};
use crate::units::{Nanos, Seed, Span};

/// A run of the generator.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// What clients ask for.
    pub traffic: TrafficConfig,
    /// Where the keys of requests are put; `None` sends them without.
    pub hash_key: Option<HashKey>,
    /// Arrivals stop here.
    pub end: Nanos,
    /// Balancers; never empty. Which one a request goes to is a draw.
    pub targets: Vec<Target>,
    /// Names of the backends: index `i` in rows is name `i`. Empty: names are numbered as they
    /// come.
    pub backends: Vec<String>,
    /// Key of all draws.
    pub seed: Seed,
    /// Replication or round, for the rows.
    pub replication: u32,
    /// Zero of the run, on the host's monotonic clock.
    pub zero: Nanos,
    /// A row per request goes here as a JSON line.
    pub spool: Option<PathBuf>,
    /// How exactly the schedule is kept.
    pub pace: Pace,
    /// What a run of a scenario leaves as it is.
    pub extras: Extras,
}

/// What a person may ask of the generator beyond a scenario's traffic.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// Over what requests go.
    pub protocol: Protocol,
    /// How TLS is spoken to targets that ask for it; needed if one does.
    pub tls: Option<TlsClient>,
    /// Further lines of every head, by name; one named `host` stands instead of the target's.
    pub headers: Vec<(String, String)>,
    /// Body of every request, instead of its class's number of bytes.
    pub body: Option<Bytes>,
    /// The response header that names the server that answered, in small letters; `None` takes
    /// lab's own.
    pub server_header: Option<String>,
    /// By class, which target its requests go to; empty: each request's target is a draw.
    pub class_targets: Vec<usize>,
    /// Requests due before this are sent and left out of the statistics.
    pub warm_up: Nanos,
    /// No more requests than this.
    pub requests: Option<u64>,
    /// Which part of the plan is sent.
    pub share: Share,
    /// Threads that send plain HTTP/1.1, each with connections of its own; the client's limits are
    /// shared out among them. 0 is 1.
    pub threads: u32,
}

/// Over what requests go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.1, one request at a time on a connection.
    #[default]
    Http1,
    /// HTTP/2: many streams on few connections; with prior knowledge where there is no TLS.
    Http2 {
        /// Most streams at once on a connection; the server may allow fewer. At least 1.
        streams: u32,
    },
    /// Messages over WebSocket connections, each of which waits for its echo.
    WebSocket,
}

/// One of several generators that send a plan together: of an open loop the requests, of a closed
/// one the users whose number leaves the remainder `index` when divided by `of`. So all of them
/// together send exactly the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// From 0.
    pub index: u32,
    /// How many there are; at least 1.
    pub of: u32,
}

impl Default for Share {
    fn default() -> Self {
        Self { index: 0, of: 1 }
    }
}

impl Share {
    /// Whether the request or user `number` is of this share.
    #[must_use]
    pub const fn has(self, number: u64) -> bool {
        number % self.of as u64 == self.index as u64
    }

    /// How many of the first `all` numbers are of this share.
    #[must_use]
    pub const fn part_of(self, all: u64) -> u64 {
        let (index, of) = (self.index as u64, self.of as u64);
        all / of + (all % of > index) as u64
    }
}

/// How exactly the schedule is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// A wake-up for every request, ahead of its instant by what wake-ups have been late, and
    /// spinning for the rest: costs part of a core, and more of it the higher the rate is. Users of a
    /// closed loop are woken by [`Pace::Timer`].
    #[default]
    Exact,
    /// A wake-up for every request, by a timer: some tens of microseconds late.
    Timer,
    /// Wake-ups on a grid of this width, each for all that are due by then: requests go out up to
    /// so much late (which is recorded), for fewer wake-ups at high rates.
    Batch(Span),
}

/// Requests per second that one thread sends with ease.
const PER_THREAD: f64 = 40_000.0;

impl LoadConfig {
    /// How many threads the load asks for: one for each 40,000 requests per second, or for each core
    /// where users do not think; no more than there are cores or users.
    #[must_use]
    pub fn fitting_threads(&self) -> u32 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
        let (rate, users) = match &self.traffic.source {
            Source::Open { stages, .. } => {
                let peak = |stage: &Stage| stage.rate_from.0.max(stage.rate_until.0);
                (stages.iter().map(peak).fold(0.0, f64::max), f64::INFINITY)
            }
            Source::Closed { users, .. } => (self.traffic.mean_rate(), f64::from(*users)),
        };
        (rate / PER_THREAD).ceil().clamp(1.0, cores.min(users).max(1.0)) as u32
    }

    /// The traffic of `scenario` to `targets`.
    #[must_use]
    pub fn from_scenario(
        scenario: &Scenario,
        targets: Vec<Target>,
        seed: Seed,
        zero: Nanos,
    ) -> Self {
        Self {
            traffic: scenario.traffic.clone(),
            hash_key: scenario.balancer.hash_key.clone(),
            end: scenario.end(),
            targets,
            backends: scenario.backends.iter().map(|backend| backend.name.clone()).collect(),
            seed,
            replication: 0,
            zero,
            spool: None,
            pace: Pace::Timer,
            extras: Extras::default(),
        }
    }
}

/// Why the generator does not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is nobody to send to.
    #[error("there is no target")]
    NoTarget,
    /// The rows cannot be written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A target asks for TLS, and nothing says whose certificates are believed; or its name is none
    /// that a certificate could be made out to.
    #[error("TLS to `{0}` is not possible: no authorities, or no name for a certificate")]
    NoTls(String),
    /// A server cannot be reached as it is to be.
    #[error("cannot open a connection to `{authority}`: {source}")]
    Unreachable {
        /// Its name.
        authority: String,
        /// What went wrong.
        source: io::Error,
    },
    /// The system gives no timer.
    #[error("no timer: {0}")]
    Timer(#[source] io::Error),
    /// Real-time priority is not permitted.
    #[error("no real-time priority, which needs CAP_SYS_NICE: {0}")]
    RealTime(#[source] io::Error),
}
