//! A peer of an upstream group and the state that balancing reads.

use serde::{Deserialize, Serialize};

use crate::units::{Nanos, Span};

/// Number of a peer: its place in order of addition, never reused in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(pub u32);

impl PeerId {
    /// As an index into per-peer arrays.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A peer as configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerConfig {
    /// Name in reports and records.
    pub name: String,
    /// Share of the traffic relative to the other weights; at least 1.
    pub weight: u32,
    /// Serves only when no primary peer is eligible.
    pub backup: bool,
    /// Administratively out: never picked, and not counted in the number of tries.
    pub down: bool,
    /// Most requests in flight; 0 is no limit.
    pub max_conns: u32,
    /// Failures after which the peer is left out for `fail_timeout`; 0 switches passive health off.
    pub max_fails: u32,
    /// Compared in whole seconds, as NGINX does.
    pub fail_timeout: Span,
}

impl PeerConfig {
    /// A peer with NGINX's defaults: weight 1, one failure puts it out for 10 s.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            weight: 1,
            backup: false,
            down: false,
            max_conns: 0,
            max_fails: 1,
            fail_timeout: Span::from_secs(10),
        }
    }
}

/// Whether a peer may be picked, as shown to people; decided by [`Peers::eligible`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// May be picked.
    Up,
    /// Out after `max_fails` failures of client requests.
    Failed,
    /// Out since its active health checks failed.
    Unhealthy,
    /// Finishes what it has, gets nothing new.
    Draining,
    /// Administratively out.
    Down,
    /// Left the group.
    Removed,
}

// The policy helper owns everything below.

/// A peer at run time.
#[derive(Clone, Debug)]
pub struct Peer {
    /// As configured.
    pub config: PeerConfig,
}

/// All peers of a group.
#[derive(Clone, Debug, Default)]
pub struct Peers;

impl Peer {
    /// Requests now assigned to the peer.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        todo!()
    }
    /// Its state at `now`.
    #[must_use]
    pub fn state(&self, _now: Nanos) -> PeerState {
        todo!()
    }
}
