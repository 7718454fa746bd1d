//! What the machine is told about its peers, and what it wants done or known.

use super::attempt::{Attempt, Ticket};
use super::outcome::Refusal;
use super::peer::{Forced, PeerConfig, PeerId, PeerState};

/// A change of peers from outside. A change of a peer that is unknown or was removed does nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum PeerChange {
    /// A peer joins, in the number of the peer of its name that left, else in the next one. Either
    /// way it is a new peer, at the end of its list.
    Add(PeerConfig),
    /// A peer leaves at once; what it has in flight still ends.
    Remove(PeerId),
    /// A peer gets nothing new until `Resume`.
    Drain(PeerId),
    /// A draining peer takes part again.
    Resume(PeerId),
    /// A new weight, at least 1.
    Weight(PeerId, u32),
    /// An operator's word on a peer's health, or its withdrawal.
    Force(PeerId, Option<Forced>),
    /// A new configuration of a peer whose name stays; health and requests in flight stay too.
    Configure(PeerId, PeerConfig),
}

/// What the machine wants done or known.
#[derive(Debug)]
pub enum Event {
    /// A waiting request's turn has come, or its pause is over.
    Turn(Ticket, Attempt),
    /// A waiting request has waited too long, or found no peer after its pause.
    Expired(Ticket, Refusal),
    /// Send a health check to this peer now, and report its result.
    ProbeDue(PeerId),
    /// Ask this peer for its load now, and report the answer if one comes in time.
    LoadProbeDue(PeerId),
    /// A retry was not allowed by the budget: what led to it is passed on instead.
    RetryWithheld {
        /// Id of the request.
        id: u64,
    },
    /// The group began (`true`) or ceased to use all peers whatever their health.
    Panic(bool),
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
