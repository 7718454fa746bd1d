//! Where the latency of a request went: parts that add up to it.

use serde::Serialize;

use crate::record::{AttemptOutcome, AttemptRow, RequestRow};

/// A part of a request's latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// From the instant it was due to its sending: the generator's own error.
    Schedule,
    /// Opening the client's connection.
    Connection,
    /// At the balancer: its waiting line, and pauses before a retry.
    Balancer,
    /// Attempts that came to nothing, at a server that a fault had hit.
    Faults,
    /// Attempts that came to nothing, at any other server.
    Retries,
    /// Waiting for a worker of the server that answered.
    Queueing,
    /// Held by a worker.
    Service,
    /// What is left: the way there and back, parsing, writing.
    Hop,
}

impl Part {
    /// Every part, in the order of a request's life.
    pub const ALL: [Self; 8] = [
        Self::Schedule,
        Self::Connection,
        Self::Balancer,
        Self::Faults,
        Self::Retries,
        Self::Queueing,
        Self::Service,
        Self::Hop,
    ];

    /// In a word or two.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Schedule => "sent late",
            Self::Connection => "connection",
            Self::Balancer => "at the balancer",
            Self::Faults => "faults",
            Self::Retries => "retries",
            Self::Queueing => "queueing",
            Self::Service => "service",
            Self::Hop => "the way",
        }
    }
}

/// A stretch of time in which a fault disturbed a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disturbed {
    /// The server.
    pub upstream: u32,
    /// From, ns.
    pub from: u64,
    /// Until, ns.
    pub until: u64,
}

/// The parts of one request's latency in ns, in the order of [`Part::ALL`]; together its latency.
///
/// `attempts` are its own, by their beginning. What an attempt cost that led to no answer is lost,
/// at the server's fault or not; of the last one the backend said how long it waited and was served,
/// which is taken for no longer than the attempt went on: the backend goes on with what nobody
/// waits for. A failed request has no answer, so its last attempt is lost as well.
#[must_use]
pub fn breakdown(row: &RequestRow, attempts: &[AttemptRow], disturbed: &[Disturbed]) -> [u64; 8] {
    let mut parts = [0; 8];
    let mut add = |part: Part, ns: u64| parts[part as usize] += ns;
    let end = row.finished_ns;
    let sent = row.sent_ns.clamp(row.scheduled_ns, end);
    let connected = row.connected_ns.clamp(sent, end);
    add(Part::Schedule, sent - row.scheduled_ns);
    add(Part::Connection, connected - sent);
    // Up to where time is accounted for; two attempts at once count once.
    let mut at = connected;
    let tried: Vec<&AttemptRow> = attempts
        .iter()
        .filter(|it| it.number > 0 && it.outcome != AttemptOutcome::Superseded)
        .collect();
    for (place, attempt) in tried.iter().enumerate() {
        let start = attempt.start_ns.clamp(at, end);
        // The client's way to the balancer, or a wait there.
        add(if place == 0 && !waited(attempt) { Part::Hop } else { Part::Balancer }, start - at);
        let over = attempt.end_ns.clamp(start, end);
        let answered = place + 1 == tried.len() && !row.failed();
        if answered {
            let queued = row.queued_ns.min(over - start);
            let service = row.service_ns.min(over - start - queued);
            let slowed =
                if is_hit(attempt, disturbed) { service.saturating_sub(row.demand_ns) } else { 0 };
            add(Part::Queueing, queued);
            add(Part::Service, service - slowed);
            add(Part::Faults, slowed);
            add(Part::Hop, over - start - queued - service);
        } else {
            add(
                if is_hit(attempt, disturbed) { Part::Faults } else { Part::Retries },
                over - start,
            );
        }
        at = over;
    }
    add(if tried.is_empty() { Part::Balancer } else { Part::Hop }, end - at);
    parts
}

fn waited(attempt: &AttemptRow) -> bool {
    attempt.because == crate::record::PickedBecause::Turn
}

/// Whether a fault was at its server while it went on.
fn is_hit(attempt: &AttemptRow, disturbed: &[Disturbed]) -> bool {
    disturbed.iter().any(|it| {
        it.upstream == attempt.upstream && it.from <= attempt.end_ns && attempt.start_ns < it.until
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::PickedBecause;
    use crate::units::World;

    fn attempt(number: u16, upstream: u32, start_ns: u64, end_ns: u64) -> AttemptRow {
        AttemptRow {
            world: World::Sim,
            replication: 0,
            id: 1,
            number,
            view: 0,
            upstream,
            start_ns,
            end_ns,
            outcome: if number == 1 { AttemptOutcome::Closed } else { AttemptOutcome::Passed },
            status: 200,
            because: PickedBecause::Retry,
        }
    }

    fn row() -> RequestRow {
        RequestRow {
            id: 1,
            scheduled_ns: 100,
            sent_ns: 110,
            connected_ns: 115,
            finished_ns: 1_000,
            demand_ns: 150,
            queued_ns: 300,
            service_ns: 200,
            status: 200,
            ..RequestRow::BLANK
        }
    }

    #[test]
    fn the_parts_are_told_apart_and_add_up() {
        let attempts = [attempt(1, 0, 120, 320), attempt(2, 1, 340, 990)];
        let parts = breakdown(&row(), &attempts, &[]);
        //                 late conn line fault retry queue service way
        assert_eq!(parts, [10, 5, 20, 0, 200, 300, 200, 5 + 150 + 10]);
        assert_eq!(parts.iter().sum::<u64>(), 900);
        let hit = [Disturbed { upstream: 0, from: 320, until: 400 }];
        assert_eq!(breakdown(&row(), &attempts, &hit)[3..5], [200, 0]);
        // A fault that slows the server that answers took what is beyond the demand.
        let slow = [Disturbed { upstream: 1, from: 0, until: 400 }];
        assert_eq!(breakdown(&row(), &attempts, &slow)[3..7], [50, 200, 300, 150]);
    }

    #[test]
    fn whatever_the_rows_say_the_parts_add_up_to_the_latency() {
        // The backend's work went on after the client had left; sent before it was due.
        let mut gone = RequestRow { queued_ns: 5_000, service_ns: 9_000, sent_ns: 90, ..row() };
        let late = [attempt(1, 0, 50, 4_000), attempt(2, 0, 3_000, 5_000)];
        assert_eq!(breakdown(&gone, &late, &[]).iter().sum::<u64>(), 900);
        gone.status = 503;
        assert_eq!(breakdown(&gone, &[], &[]).iter().sum::<u64>(), 900);
        assert_eq!(breakdown(&gone, &[attempt(1, 0, 120, 900)], &[])[4], 780);
    }
}
