//! One row of `events.parquet`: something rare that a chart or a dashboard annotates.

use serde::{Deserialize, Serialize};

use crate::policy::PeerState;
use crate::units::World;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// A fault began.
    FaultBegan,
    /// A fault ended.
    FaultEnded,
    /// The observed effect of a fault: its proof.
    FaultObserved,
    /// A peer went out (failures or health checks).
    Ejected,
    /// A peer came back.
    Restored,
    /// A peer gets nothing new.
    Drained,
    /// The number of instances changes, or one of those that come and go does ([`scaling`](super::scaling)).
    Scaled,
    /// Configuration was loaded again.
    Reloaded,
    /// Too few peers are healthy: all are used.
    PanicBegan,
    /// Enough peers are healthy again.
    PanicEnded,
}

impl EventKind {
    /// Every value, in order of its number.
    pub const ALL: [Self; 10] = [
        Self::FaultBegan,
        Self::FaultEnded,
        Self::FaultObserved,
        Self::Ejected,
        Self::Restored,
        Self::Drained,
        Self::Scaled,
        Self::Reloaded,
        Self::PanicBegan,
        Self::PanicEnded,
    ];

    /// A group's panic began or ended, and what that means in words.
    #[must_use]
    pub const fn of_panic(begins: bool) -> (Self, &'static str) {
        if begins {
            (Self::PanicBegan, "too few peers are healthy: all are used")
        } else {
            (Self::PanicEnded, "enough peers are healthy again")
        }
    }
}

impl From<PeerState> for EventKind {
    /// The event of a peer that is in this state now.
    fn from(state: PeerState) -> Self {
        match state {
            PeerState::Up => Self::Restored,
            PeerState::Failed | PeerState::Unhealthy | PeerState::Ejected => Self::Ejected,
            PeerState::Draining | PeerState::Down => Self::Drained,
            PeerState::Removed => Self::Scaled,
        }
    }
}

/// Something rare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Model or reality.
    pub world: World,
    /// Replication or round.
    pub replication: u32,
    /// When, since the run's zero.
    pub at_ns: u64,
    /// What.
    pub kind: EventKind,
    /// To whom: a peer or a fault, by name.
    pub subject: String,
    /// Why, or what was seen, in words.
    pub reason: String,
}
