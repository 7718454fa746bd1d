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
    /// Fills each column of `block` in turn with the values of `rows`.
    fn fill(rows: &[Self], block: &mut Block<'_>);
}

impl TableRow for RequestRow {
    const FILE: &'static str = "requests.parquet";
    const NULLS: &'static str = "sent_ns: as scheduled_ns; connected_ns: as sent_ns; \
        first_byte_ns: as finished_ns; queued_ns: 0; service_ns: as demand_ns; upstream: none";

    fn columns(names: &Names) -> Vec<Column> {
        use Kind::{Name, NameOrNull, Signed, SignedOrNull, Unsigned};
        columns([
            ("world", Name(words(&WORLDS))),
            ("replication", Unsigned(32)),
            ("id", Unsigned(64)),
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
            ("attempts", Unsigned(32)),
            ("status", Unsigned(32)),
            ("error", Name(words(&RequestError::ALL))),
            ("bytes", Unsigned(64)),
        ])
    }

    fn fill(rows: &[Self], block: &mut Block<'_>) {
        block.name(rows.iter().map(|row| row.world as u32));
        block.small(rows.iter().map(|row| row.replication));
        block.unsigned(rows.iter().map(|row| row.id));
        block.name(rows.iter().map(|row| u32::from(row.class)));
        block.signed(rows.iter().map(|row| row.scheduled_ns));
        block.signed_unless(rows.iter().map(|row| (row.sent_ns, row.scheduled_ns)));
        block.signed_unless(rows.iter().map(|row| (row.connected_ns, row.sent_ns)));
        block.signed_unless(rows.iter().map(|row| (row.first_byte_ns, row.finished_ns)));
        block.signed(rows.iter().map(|row| row.finished_ns));
        block.signed(rows.iter().map(|row| row.demand_ns));
        block.signed_unless(rows.iter().map(|row| (row.queued_ns, 0)));
        block.signed_unless(rows.iter().map(|row| (row.service_ns, row.demand_ns)));
        block.name(rows.iter().map(|row| row.upstream));
        block.small(rows.iter().map(|row| u32::from(row.attempts)));
        block.small(rows.iter().map(|row| u32::from(row.status)));
        block.name(rows.iter().map(|row| row.error as u32));
        block.unsigned(rows.iter().map(|row| row.bytes));
    }
}

impl TableRow for AttemptRow {
    const FILE: &'static str = "attempts.parquet";
    const NULLS: &'static str = "upstream: none";

    fn columns(names: &Names) -> Vec<Column> {
        use Kind::{Name, NameOrNull, Signed, Unsigned};
        columns([
            ("world", Name(words(&WORLDS))),
            ("replication", Unsigned(32)),
            ("id", Unsigned(64)),
            ("number", Unsigned(32)),
            ("view", Unsigned(32)),
            ("upstream", NameOrNull(names.upstreams.clone().into())),
            ("start_ns", Signed),
            ("end_ns", Signed),
            ("outcome", Name(words(&AttemptOutcome::ALL))),
            ("status", Unsigned(32)),
            ("because", Name(words(&PickedBecause::ALL))),
        ])
    }

    fn fill(rows: &[Self], block: &mut Block<'_>) {
        block.name(rows.iter().map(|row| row.world as u32));
        block.small(rows.iter().map(|row| row.replication));
        block.unsigned(rows.iter().map(|row| row.id));
        block.small(rows.iter().map(|row| u32::from(row.number)));
        block.small(rows.iter().map(|row| u32::from(row.view)));
        block.name(rows.iter().map(|row| row.upstream));
        block.signed(rows.iter().map(|row| row.start_ns));
        block.signed(rows.iter().map(|row| row.end_ns));
        block.name(rows.iter().map(|row| row.outcome as u32));
        block.small(rows.iter().map(|row| u32::from(row.status)));
        block.name(rows.iter().map(|row| row.because as u32));
    }
}

impl TableRow for TimelineRow {
    const FILE: &'static str = "timeline.parquet";
    const NULLS: &'static str = "upstream: the whole group";

    fn columns(names: &Names) -> Vec<Column> {
        use Kind::{Float, Name, NameOrNull, Signed, Unsigned};
        columns([
            ("world", Name(words(&WORLDS))),
            ("replication", Unsigned(32)),
            ("second", Unsigned(32)),
            ("upstream", NameOrNull(names.upstreams.clone().into())),
            ("finished", Unsigned(32)),
            ("failed", Unsigned(32)),
            ("in_flight", Unsigned(32)),
            ("queue", Unsigned(32)),
            ("p50_ns", Signed),
            ("p99_ns", Signed),
            ("cpu", Float),
            ("instances", Unsigned(32)),
            ("state", Name(words(&PEER_STATES))),
        ])
    }

    fn fill(rows: &[Self], block: &mut Block<'_>) {
        block.name(rows.iter().map(|row| row.world as u32));
        block.small(rows.iter().map(|row| row.replication));
        block.small(rows.iter().map(|row| row.second));
        block.name(rows.iter().map(|row| row.upstream));
        block.small(rows.iter().map(|row| row.finished));
        block.small(rows.iter().map(|row| row.failed));
        block.small(rows.iter().map(|row| row.in_flight));
        block.small(rows.iter().map(|row| row.queue));
        block.signed(rows.iter().map(|row| row.p50_ns));
        block.signed(rows.iter().map(|row| row.p99_ns));
        block.float(rows.iter().map(|row| row.cpu));
        block.small(rows.iter().map(|row| u32::from(row.instances)));
        block.name(rows.iter().map(|row| row.state as u32));
    }
}

impl TableRow for EventRow {
    const FILE: &'static str = "events.parquet";
    const NULLS: &'static str = "there are none";

    fn columns(_names: &Names) -> Vec<Column> {
        use Kind::{Name, Signed, Text, Unsigned};
        columns([
            ("world", Name(words(&WORLDS))),
            ("replication", Unsigned(32)),
            ("at_ns", Signed),
            ("kind", Name(words(&EventKind::ALL))),
            ("subject", Text),
            ("reason", Text),
        ])
    }

    fn fill(rows: &[Self], block: &mut Block<'_>) {
        block.name(rows.iter().map(|row| row.world as u32));
        block.small(rows.iter().map(|row| row.replication));
        block.signed(rows.iter().map(|row| row.at_ns));
        block.name(rows.iter().map(|row| row.kind as u32));
        block.text(rows.iter().map(|row| row.subject.as_str()));
        block.text(rows.iter().map(|row| row.reason.as_str()));
    }
}

/// Both worlds, in order of their number.
pub(super) const WORLDS: [World; 2] = [World::Sim, World::Live];
/// Every state of a peer, in order of its number.
pub(super) const PEER_STATES: [PeerState; 6] = [
    PeerState::Up,
    PeerState::Failed,
    PeerState::Unhealthy,
    PeerState::Draining,
    PeerState::Down,
    PeerState::Removed,
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
