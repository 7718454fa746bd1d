//! What goes in and out of the machine for one request: facts, attempts, places in the line.

use smallvec::SmallVec;

use super::outcome::Refusal;
use super::peer::PeerId;
use crate::units::Nanos;

/// What the machine needs to know of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// Its id in the plan; addresses the draws of its picks.
    pub id: u64,
    /// Hash of its key, for algorithms that hash.
    pub key: u64,
    /// May be sent again after it was sent once: not POST, LOCK or PATCH.
    pub idempotent: bool,
}

/// Permission to try a peer. Not cloneable: every attempt is given back exactly once.
#[derive(Debug)]
#[must_use = "an attempt must be given back through `head` or `finished`"]
pub struct Attempt {
    /// The request.
    pub facts: RequestFacts,
    /// 1 for the first attempt of the request.
    pub number: u16,
    /// Where it goes.
    pub peer: PeerId,
    /// When this attempt began.
    pub started: Nanos,
    pub(super) progress: Progress,
}

impl Attempt {
    /// The peers this request has tried, this attempt's included (but not in a group of one, nor
    /// the primaries once it has moved on to the backups).
    #[must_use]
    pub const fn tried(&self) -> &Tried {
        &self.progress.tried
    }
}

/// A place in the waiting line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Answer to a new request.
#[derive(Debug)]
pub enum Admission {
    /// Try this peer.
    Go(Attempt),
    /// Wait: [`Event::Turn`](super::Event::Turn) or [`Event::Expired`](super::Event::Expired)
    /// will name the ticket.
    Wait(Ticket),
    /// Answer the client with this.
    Refused(Refusal),
}

/// Answer to a response head.
#[derive(Debug)]
pub enum Head {
    /// Pass the response on, then report [`Outcome::Responded`](super::Outcome::Responded).
    Pass(Attempt),
    /// Throw the response away: the attempt has ended.
    Next(Next),
}

/// What follows an ended attempt.
#[derive(Debug)]
pub enum Next {
    /// Nothing: the client has its response, or is gone.
    Done,
    /// Try this peer.
    Retry(Attempt),
    /// Wait for a free peer.
    Wait(Ticket),
    /// Answer the client with this.
    Refused(Refusal),
}

impl From<Admission> for Next {
    fn from(admission: Admission) -> Self {
        match admission {
            Admission::Go(attempt) => Self::Retry(attempt),
            Admission::Wait(ticket) => Self::Wait(ticket),
            Admission::Refused(refusal) => Self::Refused(refusal),
        }
    }
}

/// The peers that a request has tried: few, and nearly always at most one.
#[derive(Clone, Debug, Default)]
pub struct Tried(SmallVec<[PeerId; 4]>);

impl Tried {
    /// Whether `peer` was tried.
    #[must_use]
    #[inline]
    pub fn contains(&self, peer: PeerId) -> bool {
        self.0.contains(&peer)
    }

    /// In the order in which they were tried.
    #[must_use]
    #[inline]
    pub fn as_slice(&self) -> &[PeerId] {
        &self.0
    }

    #[inline]
    pub(super) fn insert(&mut self, peer: PeerId) {
        self.0.push(peer);
    }
}

/// How far a request has come: what is carried from one attempt to the next.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) tried: Tried,
    /// When the first attempt began.
    pub(super) first_started: Nanos,
    /// Attempts left, the one in flight included.
    pub(super) tries: u32,
    /// Fruitless draws of the random methods (`rp->tries`), kept over attempts.
    pub(super) draws: u8,
    /// The primaries were all out: from now on backups only.
    pub(super) on_backups: bool,
}

impl Progress {
    #[inline]
    pub(super) fn new(tries: u32) -> Self {
        Self {
            tried: Tried::default(),
            first_started: Nanos::ZERO,
            tries,
            draws: 0,
            on_backups: false,
        }
    }

    /// Whether the request has been nowhere yet, so that every eligible peer would do.
    pub(super) fn is_fresh(&self) -> bool {
        self.tried.as_slice().is_empty() && !self.on_backups
    }
}
