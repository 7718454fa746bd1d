//! One upstream group as ONE machine: peers, balancer, health, limits and retry joined.
//!
//! The caller owns the clock, the sockets and the timers. It asks [`Upstream::admit`] where a
//! request goes, reports what became of the attempt, wakes the machine at
//! [`Upstream::next_timeout`] (too early or twice does no harm), and acts on what
//! [`Upstream::poll_event`] hands out.

use crate::policy::balance::{Algorithm, Balance};
use crate::policy::health::active::ActiveHealthConfig;
use crate::policy::outcome::{Outcome, Refusal};
use crate::policy::peer::{Peer, PeerConfig, PeerId, PeerState};
use crate::policy::retry::RetryConfig;
use crate::units::{Nanos, Seed, Span};

/// An upstream group as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamConfig {
    /// The balancing algorithm.
    pub algorithm: Algorithm,
    /// Peers in configuration order; peer `i` gets [`PeerId`] `i`.
    pub peers: Vec<PeerConfig>,
    /// Retry on the next peer.
    pub retry: RetryConfig,
    /// Active health checks, if any.
    pub health: Option<ActiveHealthConfig>,
    /// The waiting line for when every peer is at its limit.
    pub queue: QueueConfig,
}

/// The waiting line at the balancer; length 0 switches it off, as in open-source NGINX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueConfig {
    /// Most requests waiting.
    pub length: u32,
    /// Longest wait.
    pub timeout: Span,
}

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
}

/// A place in the waiting line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(pub u64);

/// Answer to a new request.
#[derive(Debug)]
pub enum Admission {
    /// Try this peer.
    Go(Attempt),
    /// Wait: [`Event::Turn`] or [`Event::Expired`] will name the ticket.
    Wait(Ticket),
    /// Answer the client with this.
    Refused(Refusal),
}

/// Answer to a response head.
#[derive(Debug)]
pub enum Head {
    /// Pass the response on, then report [`Outcome::Responded`].
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

/// A change of peers from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerChange {
    /// A peer joins; it gets the next number.
    Add(PeerConfig),
    /// A peer leaves at once; what it has in flight still ends.
    Remove(PeerId),
    /// A peer gets nothing new until `Resume`.
    Drain(PeerId),
    /// A draining peer takes part again.
    Resume(PeerId),
    /// A new weight, at least 1.
    Weight(PeerId, u32),
}

/// What the machine wants done or known.
#[derive(Debug)]
pub enum Event {
    /// A waiting request's turn has come.
    Turn(Ticket, Attempt),
    /// A waiting request has waited too long.
    Expired(Ticket, Refusal),
    /// Send a health check to this peer now, and report its result.
    ProbeDue(PeerId),
    /// A peer's state changed, for record and log.
    Changed {
        /// Which.
        peer: PeerId,
        /// Its new state.
        state: PeerState,
        /// Why, in words.
        reason: &'static str,
    },
}

/// The machine.
pub struct Upstream {
    _owned_by_the_policy_helper: (),
}

impl Upstream {
    /// Builds the group. `seed` addresses the draws of policies that draw.
    #[must_use]
    pub fn new(_config: &UpstreamConfig, _seed: Seed) -> Self {
        todo!()
    }
    /// The same with a policy of one's own; `config.algorithm` is not used.
    #[must_use]
    pub fn with_policy(_config: &UpstreamConfig, _seed: Seed, _policy: Box<dyn Balance>) -> Self {
        todo!()
    }
    /// Where a new request goes.
    pub fn admit(&mut self, _now: Nanos, _facts: RequestFacts) -> Admission {
        todo!()
    }
    /// A response head with `status` arrived: pass it on, or try the next peer?
    pub fn head(&mut self, _now: Nanos, _attempt: Attempt, _status: u16) -> Head {
        todo!()
    }
    /// An attempt ended.
    pub fn finished(&mut self, _now: Nanos, _attempt: Attempt, _outcome: Outcome) -> Next {
        todo!()
    }
    /// A waiting request's client is gone. Unknown tickets are ignored.
    pub fn abandon(&mut self, _now: Nanos, _ticket: Ticket) {
        todo!()
    }
    /// Changes the peers; the id of an added one.
    pub fn apply(&mut self, _now: Nanos, _change: PeerChange) -> Option<PeerId> {
        todo!()
    }
    /// A health check ended.
    pub fn probe_result(&mut self, _now: Nanos, _peer: PeerId, _passed: bool) {
        todo!()
    }
    /// When to call [`Self::handle_timeout`]; `None` while nothing is pending.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Nanos> {
        todo!()
    }
    /// Lets time pass. Calling it early or twice is harmless.
    pub fn handle_timeout(&mut self, _now: Nanos) {
        todo!()
    }
    /// The next thing to do or to know; `None` when there is nothing.
    pub fn poll_event(&mut self) -> Option<Event> {
        todo!()
    }
    /// A peer, for reports and `lab trace`.
    #[must_use]
    pub fn peer(&self, _id: PeerId) -> Option<&Peer> {
        todo!()
    }
    /// How many peers were ever added.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        todo!()
    }
    /// Requests waiting in the line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        todo!()
    }
}
