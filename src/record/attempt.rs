//! One row of `attempts.parquet`: a try of a request at a peer, as the balancer saw it.

use serde::{Deserialize, Serialize};

use super::NO_UPSTREAM;
use crate::policy::{Outcome, Refusal, RefusalReason};
use crate::units::{Nanos, World};

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum AttemptOutcome {
    /// The response was passed on.
    Passed = 0,
    /// Its status led to the next peer.
    StatusRetried = 1,
    /// No connection.
    ConnectFailed = 2,
    /// No connection in time.
    ConnectTimedOut = 3,
    /// Closed before a full head.
    Closed = 4,
    /// No head in time.
    ReadTimedOut = 5,
    /// The head could not be parsed.
    InvalidHead = 6,
    /// The client went away.
    ClientGone = 7,
    /// No attempt: the balancer refused the request (no live upstream, queue full or too long).
    Refused = 8,
    /// No attempt: the budget allowed no retry, so that the response or error before was passed on.
    RetryWithheld = 9,
    /// Cancelled, as the other of two attempts at once answered first.
    Superseded = 10,
}

impl AttemptOutcome {
    /// Every value, in order of its number.
    pub const ALL: [Self; 11] = [
        Self::Passed,
        Self::StatusRetried,
        Self::ConnectFailed,
        Self::ConnectTimedOut,
        Self::Closed,
        Self::ReadTimedOut,
        Self::InvalidHead,
        Self::ClientGone,
        Self::Refused,
        Self::RetryWithheld,
        Self::Superseded,
    ];
}

impl From<Outcome> for AttemptOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Responded => Self::Passed,
            Outcome::ConnectFailed => Self::ConnectFailed,
            Outcome::ConnectTimedOut => Self::ConnectTimedOut,
            Outcome::Closed { .. } => Self::Closed,
            Outcome::ReadTimedOut => Self::ReadTimedOut,
            Outcome::InvalidHead => Self::InvalidHead,
            Outcome::ClientGone => Self::ClientGone,
            Outcome::Superseded => Self::Superseded,
        }
    }
}

/// What led to the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum PickedBecause {
    /// The algorithm chose it for a new request.
    Picked = 0,
    /// The attempt before it failed.
    Retry = 1,
    /// Its turn in the balancer's waiting line came, or the pause before it was over.
    Turn = 2,
    /// The attempt before it was late.
    Hedge = 3,
}

impl PickedBecause {
    /// Every value, in order of its number.
    pub const ALL: [Self; 4] = [Self::Picked, Self::Retry, Self::Turn, Self::Hedge];
}

/// A try of a request at a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRow {
    /// Model or reality.
    pub world: World,
    /// Replication or round.
    pub replication: u32,
    /// Id of the request.
    pub id: u64,
    /// 1 for the first attempt; 0 for a refusal or a withheld retry.
    pub number: u16,
    /// The balancer's view that decided (instance, or worker without shared state).
    pub view: u16,
    /// The peer, or [`super::NO_UPSTREAM`].
    pub upstream: u32,
    /// When it was decided.
    pub start_ns: u64,
    /// When it ended.
    pub end_ns: u64,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Status of the response; 0 for none.
    pub status: u16,
    /// What led to it.
    pub because: PickedBecause,
}

/// Who writes the rows of a view, for what is no attempt but stands among them.
#[derive(Clone, Copy, Debug)]
pub struct AttemptSource {
    /// Model or reality.
    pub world: World,
    /// Replication or round.
    pub replication: u32,
    /// The balancer's view.
    pub view: u16,
}

impl AttemptSource {
    /// Request `id` was refused at `now` after so many `attempts`. `None` if the last of them is
    /// the reason: its own row says so.
    #[must_use]
    pub const fn refusal(
        self,
        now: Nanos,
        id: u64,
        attempts: u16,
        refusal: Refusal,
    ) -> Option<AttemptRow> {
        if matches!(refusal.reason, RefusalReason::AttemptFailed | RefusalReason::AttemptTimedOut) {
            return None;
        }
        let because = if attempts > 0 { PickedBecause::Retry } else { PickedBecause::Picked };
        Some(AttemptRow {
            status: refusal.status,
            because,
            ..self.without_attempt(now, id, AttemptOutcome::Refused)
        })
    }

    /// The budget allowed request `id` no retry at `now`.
    #[must_use]
    pub const fn retry_withheld(self, now: Nanos, id: u64) -> AttemptRow {
        self.without_attempt(now, id, AttemptOutcome::RetryWithheld)
    }

    const fn without_attempt(self, now: Nanos, id: u64, outcome: AttemptOutcome) -> AttemptRow {
        AttemptRow {
            world: self.world,
            replication: self.replication,
            id,
            number: 0,
            view: self.view,
            upstream: NO_UPSTREAM,
            start_ns: now.0,
            end_ns: now.0,
            outcome,
            status: 0,
            because: PickedBecause::Retry,
        }
    }
}
