//! What one view of the peers leaves behind: rows in the spool, changes of peers in the log.

use std::io::{self, Write};
use std::sync::Arc;

use super::driver::Visit;
use super::spool::Spool;
use crate::host::clock;
use crate::policy::{PeerState, Refusal};
use crate::record::{AttemptRow, AttemptSource, EventKind, EventRow};
use crate::units::World;

/// Writes rows with the number of its view.
#[derive(Clone, Debug)]
pub(super) struct Journal {
    pub(super) view: u16,
    pub(super) replication: u32,
    pub(super) spool: Option<Arc<Spool>>,
}

impl Journal {
    /// An attempt ended.
    pub(super) fn attempt(&self, row: impl FnOnce() -> AttemptRow) {
        if let Some(spool) = &self.spool {
            spool.attempt(row());
        }
    }

    /// A request was refused after `number` attempts. When the last attempt itself is the reason,
    /// its own row says so.
    pub(super) fn refusal(&self, visit: Visit, number: u16, refusal: Refusal) {
        if let Some(spool) = &self.spool {
            let row = self.source().refusal(clock::now(), visit.facts.id, number, refusal);
            row.into_iter().for_each(|row| spool.attempt(row));
        }
    }

    /// The budget allowed request `id` no retry.
    pub(super) fn retry_withheld(&self, id: u64) {
        self.attempt(|| self.source().retry_withheld(clock::now(), id));
    }

    const fn source(&self) -> AttemptSource {
        AttemptSource { world: World::Live, replication: self.replication, view: self.view }
    }

    /// Too few peers are healthy, or enough again.
    pub(super) fn panic(&self, begins: bool) {
        let (kind, reason) = EventKind::of_panic(begins);
        log(format_args!("view {}: {reason}", self.view));
        if let Some(spool) = &self.spool {
            spool.event(EventRow {
                world: World::Live,
                replication: self.replication,
                at_ns: clock::now().0,
                kind,
                subject: String::new(),
                reason: reason.to_owned(),
            });
        }
    }

    /// A peer's state changed.
    pub(super) fn change(&self, peer: &str, to: PeerState, reason: &str) {
        log(format_args!("view {}: peer {peer} is {}: {reason}", self.view, word(to)));
        if let Some(spool) = &self.spool {
            spool.event(EventRow {
                world: World::Live,
                replication: self.replication,
                at_ns: clock::now().0,
                kind: to.into(),
                subject: peer.to_owned(),
                reason: reason.to_owned(),
            });
        }
    }
}

/// A state as people and dashboards read it.
pub(super) const fn word(state: PeerState) -> &'static str {
    match state {
        PeerState::Up => "up",
        PeerState::Failed => "failed",
        PeerState::Unhealthy => "unhealthy",
        PeerState::Draining => "draining",
        PeerState::Down => "down",
        PeerState::Removed => "removed",
        PeerState::Ejected => "ejected",
    }
}

/// One line to stderr. A closed stderr is nobody's problem.
pub(super) fn log(line: std::fmt::Arguments<'_>) {
    drop(writeln!(io::stderr().lock(), "lab proxy: {line}"));
}
