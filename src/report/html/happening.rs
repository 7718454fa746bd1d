//! Events as the replay takes them: which servers they are about, and in what state these are
//! afterwards.

use serde::Serialize;

use super::facts::Facts;
use crate::record::scaling::{self, InstanceNews, Scaled};
use crate::record::{EventKind, EventRow};
use crate::units::World;

/// An event, and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Happening {
    pub(super) world: World,
    pub(super) at_ns: u64,
    pub(super) kind: EventKind,
    subject: String,
    reason: String,
    /// Places of the servers it is about.
    servers: Vec<usize>,
    /// What they are from now on, if that changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
}

/// State of a server, or of what disturbs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Up,
    Out,
    Draining,
    Starting,
    Absent,
    FaultBegins,
    FaultEnds,
}

impl Happening {
    pub(super) fn of(row: EventRow, facts: &Facts) -> Self {
        let (servers, state) = effect(&row, facts);
        let EventRow { world, at_ns, kind, subject, reason, .. } = row;
        Self { world, at_ns, kind, subject, reason, servers, state }
    }
}

fn effect(row: &EventRow, facts: &Facts) -> (Vec<usize>, Option<State>) {
    let server = || facts.server(&row.subject).into_iter().collect::<Vec<_>>();
    let fault = || {
        let found = facts.faults.iter().find(|fault| fault.name == row.subject);
        found.map_or_else(Vec::new, |fault| fault.servers.clone())
    };
    match row.kind {
        EventKind::FaultBegan => (fault(), Some(State::FaultBegins)),
        EventKind::FaultEnded => (fault(), Some(State::FaultEnds)),
        EventKind::FaultObserved => (fault(), None),
        EventKind::Ejected => (server(), Some(State::Out)),
        EventKind::Restored => (server(), Some(State::Up)),
        EventKind::Drained => (server(), Some(State::Draining)),
        EventKind::Scaled => scaled(row, facts),
        EventKind::Reloaded | EventKind::PanicBegan | EventKind::PanicEnded => (Vec::new(), None),
    }
}

fn scaled(row: &EventRow, facts: &Facts) -> (Vec<usize>, Option<State>) {
    let server = facts.server(&row.subject);
    // The group of an instance, or the group itself.
    let group = server.map_or(&row.subject, |place| &facts.servers[place].group);
    let slot = |number: u32| facts.server(&format!("{group}-{}", number + 1));
    match scaling::read(row, group) {
        Some(Scaled::Decided { started, .. }) => {
            (started.into_iter().filter_map(slot).collect(), Some(State::Starting))
        }
        Some(Scaled::Instance(_, InstanceNews::Ready)) => {
            (server.into_iter().collect(), Some(State::Up))
        }
        Some(Scaled::Instance(_, InstanceNews::Stopped | InstanceNews::Ended(_))) | None => {
            (server.into_iter().collect(), Some(State::Absent))
        }
    }
}
