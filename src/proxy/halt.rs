//! Why a request ends without the response of a peer, and the answer it gets then.

use crate::http1::BodyError;
use crate::policy::{Refusal, RefusalReason};

/// Why a request ends without the response of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// By the decision core: nobody to ask, or nobody answered well.
    Refused(Refusal),
    /// The client has gone; nobody is there to be answered.
    ClientGone,
    /// The client stopped sending its body.
    ClientSilent,
    /// The client's body is not what its head promised.
    Malformed(BodyError),
    /// The client's body is longer than allowed.
    TooLarge,
    /// The request took longer than any may.
    TooLate,
    /// CONNECT, which only forward proxies serve, or TRACE, which shows others' fields.
    Method,
}

impl Halt {
    /// Status and text of the answer; `None` when there is nobody to answer.
    pub(super) const fn answer(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Self::ClientGone => return None,
            Self::Refused(refusal) => (refusal.status, reason(refusal.reason)),
            Self::ClientSilent => (408, "the body stopped coming\n"),
            Self::Malformed(_) => (400, "the body is malformed\n"),
            Self::TooLarge => (413, "the body is too large\n"),
            Self::TooLate => (504, "the request took too long\n"),
            Self::Method => (405, "this method is not served\n"),
        })
    }
}

const fn reason(reason: RefusalReason) -> &'static str {
    match reason {
        RefusalReason::NoLiveUpstream => "no live upstream\n",
        RefusalReason::QueueFull => "the queue for an upstream is full\n",
        RefusalReason::QueueTimedOut => "no upstream became free in time\n",
        RefusalReason::AttemptFailed => "the upstream failed\n",
        RefusalReason::AttemptTimedOut => "the upstream did not answer in time\n",
    }
}
