//! What is to change, and how carrying it out or measuring may fail.

use std::fmt;

use super::reason::Reason;

/// What a poll decided.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleDecision {
    /// Instances in the group now: those that start, serve or are unready.
    pub size: u32,
    /// Instances that there should be.
    pub desired: u32,
    /// What is to be done about it now.
    pub change: Change,
    /// Why.
    pub reason: Reason,
}

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    #[default]
    None,
    /// Start an instance in each of these slots, ascending. What died in one of them is cleared
    /// away first.
    Out(Vec<u32>),
    /// Drain and stop the instances of these slots, in this order; what died in one is cleared away.
    In(Vec<u32>),
}

impl Change {
    /// Its direction; `None` if there is none.
    #[must_use]
    pub const fn direction(&self) -> Option<Direction> {
        match self {
            Self::None => None,
            Self::Out(_) => Some(Direction::Out),
            Self::In(_) => Some(Direction::In),
        }
    }

    /// The slots it is about.
    #[must_use]
    pub fn slots(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::Out(slots) | Self::In(slots) => slots,
        }
    }
}

/// More instances or fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Instances are added.
    Out,
    /// Instances are taken away.
    In,
}

/// Why what was to be measured could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MetricsError(pub String);

/// Why a change could not be carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ActionError(pub String);

/// As in a log: `2 → 3 (start 3): mean utilization …`; slots are shown as the numbers of names.
impl fmt::Display for ScaleDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {}", self.size, self.desired)?;
        let verb = match self.change {
            Change::None => return write!(f, ": {}", self.reason),
            Change::Out(_) => "start",
            Change::In(_) => "stop",
        };
        let numbers: Vec<_> =
            self.change.slots().iter().map(|slot| (slot + 1).to_string()).collect();
        write!(f, " ({verb} {}): {}", numbers.join(", "), self.reason)
    }
}
