//! The columns of the four files, and how rows fill them.

use std::sync::Arc;

use serde::Serialize;

use super::parquet::{Block, Column, Kind};
use super::{
    AttemptOutcome, AttemptRow, EventKind, EventRow, Names, PickedBecause, RequestError,
    RequestRow, TimelineRow,
};
use crate::policy::PeerState;
use crate::units::World;

/// Version of the four files; a reader refuses another one.
pub(super) const SCHEMA_VERSION: u32 = 1;

/// A row that has a file of its own.
pub(super) trait TableRow: Sized {
    /// Name of the file.
    const FILE: &'static str;
    /// What a null means in its columns, for people.
    const NULLS: &'static str;
    /// Its columns.
    fn columns(names: &Names) -> Vec<Column>;
    /// Fills each column of `block` in turn with a value of each row.
    fn fill(block: Block<'_, Self>);
}

impl TableRow for RequestRow {
    const FILE: &'static str = "requests.parquet";
    const NULLS: &'static str = "sent_ns: as scheduled_ns; connected_ns: as sent_ns; \
        first_byte_ns: as finished_ns; queued_ns: 0; service_ns: as demand_ns; upstream: none";

    fn columns(names: &Names) -> Vec<Column> {
        use Kind::{Code, Name, NameOrNull, Signed, SignedOrNull, Unsigned};
        columns([
            ("world", Name(words(&WORLDS))),
            ("replication", Code),
            ("id", Unsigned),
            ("class", Name(names.classes.clone().into())),
            ("scheduled_ns", Signed),
            ("sent_ns", SignedOrNull),
            ("connected_ns", SignedOrNull),
            ("first_byte_ns", SignedOrNull),
            ("finished_ns", Signed),
            ("demand_ns", Signed),
            ("queued_ns", SignedOrNull),
            ("service_ns", SignedOrNull),
            ("upstream", NameOrNull(names.upstreams.clone().into())),
            ("attempts", Code),
            ("status", Code),
            ("error", Name(words(&RequestError::ALL))),
            ("bytes", Unsigned),
        ])
    }

    fn fill(mut block: Block<'_, Self>) {
        block.name(|row| row.world as u32);
        block.code(|row| row.replication);
        block.unsigned(|row| row.id);
        block.name(|row| u32::from(row.class));
        block.signed(|row| row.scheduled_ns);
        block.signed_unless(|row| (row.sent_ns, row.scheduled_ns));
        block.signed_unless(|row| (row.connected_ns, row.sent_ns));
        block.signed_unless(|row| (row.first_byte_ns, row.finished_ns));
        block.signed(|row| row.finished_ns);
        block.signed(|row| row.demand_ns);
        block.signed_unless(|row| (row.queued_ns, 0));
        block.signed_unless(|row| (row.service_ns, row.demand_ns));
        block.name(|row| row.upstream);
        block.code(|row| u32::from(row.attempts));
        block.code(|row| u32::from(row.status));
        block.name(|row| row.error as u32);
        block.unsigned(|row| row.bytes);
    }
}

impl TableRow for AttemptRow {
    const FILE: &'static str = "attempts.parquet";
    const NULLS: &'static str = "upstream: none";

    fn columns(names: &Names) -> Vec<Column> {
        use Kind::{Code, Name, NameOrNull, Signed, Unsigned};
        columns([
            ("world", Name(words(&WORLDS))),
            ("replication", Code),
            ("id", Unsigned),
            ("number", Code),
            ("view", Code),
            ("upstream", NameOrNull(names.upstreams.clone().into())),
            ("start_ns", Signed),
            ("end_ns", Signed),
            ("outcome", Name(words(&AttemptOutcome::ALL))),
            ("status", Code),
            ("because", Name(words(&PickedBecause::ALL))),
        ])
    }

    fn fill(mut block: Block<'_, Self>) {
        block.name(|row| row.world as u32);
        block.code(|row| row.replication);
        block.unsigned(|row| row.id);
        block.code(|row| u32::from(row.number));
        block.code(|row| u32::from(row.view));
        block.name(|row| row.upstream);
        block.signed(|row| row.start_ns);
        block.signed(|row| row.end_ns);
        block.name(|row| row.outcome as u32);
        block.code(|row| u32::from(row.status));
        block.name(|row| row.because as u32);
    }
}

impl TableRow for TimelineRow {
    const FILE: &'static str = "timeline.parquet";
    const NULLS: &'static str = "upstream: the whole group";

    fn columns(names: &Names) -> Vec<Column> {
        use Kind::{Code, Float, Name, NameOrNull, Signed};
        columns([
            ("world", Name(words(&WORLDS))),
            ("replication", Code),
            ("second", Code),
            ("upstream", NameOrNull(names.upstreams.clone().into())),
            ("finished", Code),
            ("failed", Code),
            ("in_flight", Code),
            ("queue", Code),
            ("p50_ns", Signed),
            ("p99_ns", Signed),
            ("cpu", Float),
            ("instances", Code),
            ("state", Name(words(&PEER_STATES))),
        ])
    }

    fn fill(mut block: Block<'_, Self>) {
        block.name(|row| row.world as u32);
        block.code(|row| row.replication);
        block.code(|row| row.second);
        block.name(|row| row.upstream);
        block.code(|row| row.finished);
        block.code(|row| row.failed);
        block.code(|row| row.in_flight);
        block.code(|row| row.queue);
        block.signed(|row| row.p50_ns);
        block.signed(|row| row.p99_ns);
        block.float(|row| row.cpu);
        block.code(|row| u32::from(row.instances));
        block.name(|row| row.state as u32);
    }
}

impl TableRow for EventRow {
    const FILE: &'static str = "events.parquet";
    const NULLS: &'static str = "there are none";

    fn columns(_names: &Names) -> Vec<Column> {
        use Kind::{Code, Name, Signed, Text};
        columns([
            ("world", Name(words(&WORLDS))),
            ("replication", Code),
            ("at_ns", Signed),
            ("kind", Name(words(&EventKind::ALL))),
            ("subject", Text),
            ("reason", Text),
        ])
    }

    fn fill(mut block: Block<'_, Self>) {
        block.name(|row| row.world as u32);
        block.code(|row| row.replication);
        block.signed(|row| row.at_ns);
        block.name(|row| row.kind as u32);
        block.text(|row| row.subject.as_str());
        block.text(|row| row.reason.as_str());
    }
}

/// Both worlds, in order of their number.
pub(super) const WORLDS: [World; 2] = [World::Sim, World::Live];
/// Every state of a peer, in order of its number.
pub(super) const PEER_STATES: [PeerState; 7] = [
    PeerState::Up,
    PeerState::Failed,
    PeerState::Unhealthy,
    PeerState::Draining,
    PeerState::Down,
    PeerState::Removed,
    PeerState::Ejected,
];

fn columns<const N: usize>(described: [(&'static str, Kind); N]) -> Vec<Column> {
    described.into_iter().map(|(name, kind)| Column { name, kind }).collect()
}

/// The words of an enum, as they are in JSON.
pub(super) fn words<T: Serialize>(values: &[T]) -> Arc<[String]> {
    let word = |value| match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("an enum without fields is a word, not {other:?}"),
    };
    values.iter().map(word).collect()
}
