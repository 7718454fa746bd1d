//! One row of `requests.parquet`.

use serde::{Deserialize, Serialize};

use crate::units::World;

/// Why the client did not get a complete response.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RequestError {
    /// It did get one; the status tells the rest.
    #[default]
    None = 0,
    /// It gave up waiting.
    Timeout = 1,
    /// No connection.
    Connect = 2,
    /// The connection broke before the response was complete.
    Reset = 3,
    /// The response could not be parsed.
    Invalid = 4,
    /// Never sent: the in-flight cap was reached.
    Dropped = 5,
    /// Not answered when the run was interrupted.
    Interrupted = 6,
}

impl RequestError {
    /// Every value, in order of its number.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Timeout,
        Self::Connect,
        Self::Reset,
        Self::Invalid,
        Self::Dropped,
        Self::Interrupted,
    ];

    /// For a person.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Timeout => "timed out",
            Self::Connect => "no connection",
            Self::Reset => "broke off",
            Self::Invalid => "not HTTP",
            Self::Dropped => "dropped (cap)",
            Self::Interrupted => "interrupted",
        }
    }
}

/// A request as the client saw it. Instants are nanoseconds since the run's zero; a phase that
/// was not reached holds 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRow {
    /// Model or reality.
    pub world: World,
    /// Replication of the model, or round of the live world.
    pub replication: u32,
    /// Id in the plan: the same in both worlds.
    pub id: u64,
    /// Index of its class.
    pub class: u16,
    /// When it was due.
    pub scheduled_ns: u64,
    /// When it was sent.
    pub sent_ns: u64,
    /// When its connection stood; equals `sent_ns` on a kept-alive connection.
    pub connected_ns: u64,
    /// When the first byte of the response arrived.
    pub first_byte_ns: u64,
    /// When the response was complete, or the client gave up. A failed request has at least its
    /// time-out as latency where it failed by not being answered.
    pub finished_ns: u64,
    /// Service demand of the last attempt at speed 1; 0 if unknown.
    pub demand_ns: u64,
    /// Wait for a worker of the backend, last attempt.
    pub queued_ns: u64,
    /// How long it held the worker, last attempt.
    pub service_ns: u64,
    /// Peer of the last attempt, or [`super::NO_UPSTREAM`].
    pub upstream: u32,
    /// Number of attempts; 0 if it was refused or never sent.
    pub attempts: u16,
    /// Status that the client got; 0 for none.
    pub status: u16,
    /// Why it got none.
    pub error: RequestError,
    /// Response body bytes.
    pub bytes: u64,
}

impl RequestRow {
    /// A row of which nothing is known yet.
    pub const BLANK: Self = Self {
        world: World::Sim,
        replication: 0,
        id: 0,
        class: 0,
        scheduled_ns: 0,
        sent_ns: 0,
        connected_ns: 0,
        first_byte_ns: 0,
        finished_ns: 0,
        demand_ns: 0,
        queued_ns: 0,
        service_ns: 0,
        upstream: super::NO_UPSTREAM,
        attempts: 0,
        status: 0,
        error: RequestError::None,
        bytes: 0,
    };

    /// Whether the client was not served: no complete response, or a 5xx.
    #[must_use]
    pub const fn failed(&self) -> bool {
        !matches!(self.error, RequestError::None) || self.status >= 500
    }

    /// Latency from the instant the request was due.
    #[must_use]
    pub const fn latency_ns(&self) -> u64 {
        self.finished_ns.saturating_sub(self.scheduled_ns)
    }

    /// Latency from the instant it was sent.
    #[must_use]
    pub const fn latency_sent_ns(&self) -> u64 {
        self.finished_ns.saturating_sub(self.sent_ns)
    }
}
