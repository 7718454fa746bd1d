//! How the columns of the four files fill rows again: the inverse of `record::tables`.

use super::{Columns, Filled, ReadRow};
use crate::policy::PeerState;
use crate::record::tables::{PEER_STATES, WORLDS};
use crate::record::{
    AttemptOutcome, AttemptRow, EventKind, EventRow, NO_UPSTREAM, PickedBecause, RequestError,
    RequestRow, TimelineRow,
};
use crate::units::World;

impl ReadRow for RequestRow {
    const EMPTY: Self = Self::BLANK;

    fn fill(rows: &mut [Self], columns: &Columns<'_>) -> Filled {
        let names = columns.names;
        columns.word(rows, "world", &WORLDS, |row, value| row.world = value)?;
        columns.small(rows, "replication", |row, value| row.replication = value)?;
        columns.unsigned(rows, "id", |row, value| row.id = value)?;
        columns.name(rows, "class", &names.classes, |row, value| row.class = value as u16)?;
        columns.signed(rows, "scheduled_ns", |row, value| row.scheduled_ns = value)?;
        columns.signed(rows, "finished_ns", |row, value| row.finished_ns = value)?;
        columns.signed(rows, "demand_ns", |row, value| row.demand_ns = value)?;
        columns.signed_or(
            rows,
            "sent_ns",
            |row| row.scheduled_ns,
            |row, value| row.sent_ns = value,
        )?;
        columns.signed_or(
            rows,
            "connected_ns",
            |row| row.sent_ns,
            |row, value| row.connected_ns = value,
        )?;
        columns.signed_or(
            rows,
            "first_byte_ns",
            |row| row.finished_ns,
            |row, value| row.first_byte_ns = value,
        )?;
        columns.signed_or(rows, "queued_ns", |_| 0, |row, value| row.queued_ns = value)?;
        columns.signed_or(
            rows,
            "service_ns",
            |row| row.demand_ns,
            |row, value| row.service_ns = value,
        )?;
        columns.name(rows, "upstream", &names.upstreams, |row, value| row.upstream = value)?;
        columns.small(rows, "attempts", |row, value| row.attempts = value as u16)?;
        columns.small(rows, "status", |row, value| row.status = value as u16)?;
        columns.word(rows, "error", &RequestError::ALL, |row, value| row.error = value)?;
        columns.unsigned(rows, "bytes", |row, value| row.bytes = value)
    }
}

impl ReadRow for AttemptRow {
    const EMPTY: Self = Self {
        world: World::Sim,
        replication: 0,
        id: 0,
        number: 0,
        view: 0,
        upstream: NO_UPSTREAM,
        start_ns: 0,
        end_ns: 0,
        outcome: AttemptOutcome::Passed,
        status: 0,
        because: PickedBecause::Picked,
    };

    fn fill(rows: &mut [Self], columns: &Columns<'_>) -> Filled {
        let upstreams = &columns.names.upstreams;
        columns.word(rows, "world", &WORLDS, |row, value| row.world = value)?;
        columns.small(rows, "replication", |row, value| row.replication = value)?;
        columns.unsigned(rows, "id", |row, value| row.id = value)?;
        columns.small(rows, "number", |row, value| row.number = value as u16)?;
        columns.small(rows, "view", |row, value| row.view = value as u16)?;
        columns.name(rows, "upstream", upstreams, |row, value| row.upstream = value)?;
        columns.signed(rows, "start_ns", |row, value| row.start_ns = value)?;
        columns.signed(rows, "end_ns", |row, value| row.end_ns = value)?;
        columns.word(rows, "outcome", &AttemptOutcome::ALL, |row, value| row.outcome = value)?;
        columns.small(rows, "status", |row, value| row.status = value as u16)?;
        columns.word(rows, "because", &PickedBecause::ALL, |row, value| row.because = value)
    }
}

impl ReadRow for TimelineRow {
    const EMPTY: Self = Self {
        world: World::Sim,
        replication: 0,
        second: 0,
        upstream: NO_UPSTREAM,
        finished: 0,
        failed: 0,
        in_flight: 0,
        queue: 0,
        p50_ns: 0,
        p99_ns: 0,
        cpu: f32::NAN,
        instances: 0,
        state: PeerState::Up,
    };

    fn fill(rows: &mut [Self], columns: &Columns<'_>) -> Filled {
        let upstreams = &columns.names.upstreams;
        columns.word(rows, "world", &WORLDS, |row, value| row.world = value)?;
        columns.small(rows, "replication", |row, value| row.replication = value)?;
        columns.small(rows, "second", |row, value| row.second = value)?;
        columns.name(rows, "upstream", upstreams, |row, value| row.upstream = value)?;
        columns.small(rows, "finished", |row, value| row.finished = value)?;
        columns.small(rows, "failed", |row, value| row.failed = value)?;
        columns.small(rows, "in_flight", |row, value| row.in_flight = value)?;
        columns.small(rows, "queue", |row, value| row.queue = value)?;
        columns.signed(rows, "p50_ns", |row, value| row.p50_ns = value)?;
        columns.signed(rows, "p99_ns", |row, value| row.p99_ns = value)?;
        columns.float(rows, "cpu", |row, value| row.cpu = value)?;
        columns.small(rows, "instances", |row, value| row.instances = value as u16)?;
        columns.word(rows, "state", &PEER_STATES, |row, value| row.state = value)
    }
}

impl ReadRow for EventRow {
    const EMPTY: Self = Self {
        world: World::Sim,
        replication: 0,
        at_ns: 0,
        kind: EventKind::FaultBegan,
        subject: String::new(),
        reason: String::new(),
    };

    fn fill(rows: &mut [Self], columns: &Columns<'_>) -> Filled {
        columns.word(rows, "world", &WORLDS, |row, value| row.world = value)?;
        columns.small(rows, "replication", |row, value| row.replication = value)?;
        columns.signed(rows, "at_ns", |row, value| row.at_ns = value)?;
        columns.word(rows, "kind", &EventKind::ALL, |row, value| row.kind = value)?;
        columns.text(rows, "subject", |row, value| value.clone_into(&mut row.subject))?;
        columns.text(rows, "reason", |row, value| value.clone_into(&mut row.reason))
    }
}
