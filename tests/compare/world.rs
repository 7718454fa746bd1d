//! Layouts and rows to try statistics on.

use lab::compare::Layout;
use lab::compare::layout::{PeerFacts, Period, StageFacts};
use lab::record::{RequestError, RequestRow};
use lab::units::{Nanos, Span, World};

const SECOND: u64 = 1_000_000_000;

/// A minute with 10 s of warm-up, classes `api` and `web`, stages `low` and `high` (from 30 s), a
/// fault `crash` from 40 to 50 s, peers `a-1` and `a-2` of weights 5 and 3, and a backup `spare`.
pub(crate) fn disturbed() -> Layout {
    let mut layout = steady(60);
    layout.stages = vec![stage("low", 0, 30), stage("high", 30, 60)];
    layout.faults = vec![period("crash", 40, 50)];
    layout.warm_up = Nanos(10 * SECOND);
    layout.recut()
}

/// `seconds` without warm-up, stages or faults; the same classes and peers.
pub(crate) fn steady(seconds: u64) -> Layout {
    let mut layout = Layout::default();
    layout.classes = vec!["api".into(), "web".into()];
    layout.peers = vec![
        peer("a-1", "a", 5, false),
        peer("a-2", "a", 3, false),
        peer("spare", "spare", 1, true),
    ];
    layout.end = Nanos(seconds * SECOND);
    layout.timeout = Span::from_secs(10);
    layout.recut()
}

fn peer(name: &str, group: &str, weight: u32, backup: bool) -> PeerFacts {
    PeerFacts {
        name: name.into(),
        group: group.into(),
        weight,
        backup,
        workers: 2,
        capacity: 100.0,
        third_moment: true,
    }
}

/// A stage of 100 requests per second.
pub(crate) fn stage(name: &str, from: u64, until: u64) -> StageFacts {
    StageFacts {
        period: period(name, from, until),
        rate: 100.0,
        from_rate: 100.0,
        until_rate: 100.0,
        steady: true,
    }
}

fn period(name: &str, from: u64, until: u64) -> Period {
    Period { name: name.into(), from: Nanos(from * SECOND), until: Nanos(until * SECOND) }
}

/// A request that went well: sent when due, answered `latency` later by peer 0.
pub(crate) fn row(id: u64, due: u64, latency: u64) -> RequestRow {
    RequestRow {
        world: World::Sim,
        replication: 0,
        id,
        class: 0,
        scheduled_ns: due,
        sent_ns: due,
        connected_ns: due,
        first_byte_ns: due + latency,
        finished_ns: due + latency,
        demand_ns: latency,
        queued_ns: 0,
        service_ns: latency,
        upstream: 0,
        attempts: 1,
        status: 200,
        error: RequestError::None,
        bytes: 100,
    }
}
