//! Every group of a summary against sorting all rows.

use lab::compare::{Digest, GroupKind, Layout, WorldSummary};
use lab::record::{NO_UPSTREAM, RequestError, RequestRow, Sink};
use lab::units::World;
use proptest::prelude::*;

use super::world;

fn rows() -> impl Strategy<Value = Vec<RequestRow>> {
    let row = (0u64..60_000, 0u64..2_000, 0u64..50, 0u16..2, 0u32..4, 0u16..4, 0u8..10);
    prop::collection::vec(row, 1..600).prop_map(|rows| {
        rows.into_iter()
            .enumerate()
            .map(|(id, (due_ms, latency_ms, late_ms, class, upstream, attempts, fate))| {
                RequestRow {
                    class,
                    sent_ns: (due_ms + late_ms.min(latency_ms)) * 1_000_000,
                    upstream: if upstream == 3 { NO_UPSTREAM } else { upstream },
                    attempts,
                    status: if fate == 1 { 503 } else { 200 },
                    error: if fate == 0 { RequestError::Timeout } else { RequestError::None },
                    ..world::row(id as u64, due_ms * 1_000_000, latency_ms * 1_000_000)
                }
            })
            .collect()
    })
}

fn digest(layout: &Layout, rows: &[RequestRow]) -> Digest {
    let mut digest = Digest::new(layout, World::Sim);
    rows.iter().for_each(|row| digest.request(row));
    digest
}

fn close(found: f64, exact: f64) -> bool {
    (found - exact).abs() <= exact.abs() / 2048.0
}

fn check_latency(found: &lab::compare::Latency, mut values: Vec<u64>) -> Result<(), TestCaseError> {
    if values.is_empty() {
        prop_assert_eq!(found.max.value, 0.0);
        return Ok(());
    }
    values.sort_unstable();
    let at = |q: f64| values[((q * values.len() as f64).ceil() as usize).max(1) - 1] as f64;
    for (estimate, q) in
        [(found.p50, 0.5), (found.p90, 0.9), (found.p99, 0.99), (found.p999, 0.999)]
    {
        prop_assert!(close(estimate.value, at(q)), "{} is not {}", estimate.value, at(q));
        prop_assert!(estimate.low.is_none_or(|low| low <= estimate.value));
        prop_assert!(estimate.high.is_none_or(|high| high >= estimate.value));
    }
    let mean = values.iter().sum::<u64>() as f64 / values.len() as f64;
    prop_assert!((found.mean.value - mean).abs() <= 1e-9 * mean.max(1.0));
    prop_assert_eq!(found.max.value, *values.last().unwrap() as f64);
    Ok(())
}

fn check_groups(summary: &WorldSummary, rows: &[RequestRow]) -> Result<(), TestCaseError> {
    for group in &summary.groups {
        let (from, until) = match (group.kind, group.name.as_str()) {
            (GroupKind::Class, _) => (10, 60),
            (GroupKind::Stage, "low") => (10, 30),
            (GroupKind::Stage, _) => (30, 60),
            (GroupKind::Before, _) => (10, 40),
            (GroupKind::During, _) => (40, 50),
            (GroupKind::After, _) => (50, 60),
        };
        let inside: Vec<&RequestRow> = rows
            .iter()
            .filter(|row| (from..until).contains(&(row.scheduled_ns / 1_000_000_000)))
            .filter(|row| {
                group.kind != GroupKind::Class || ["api", "web"][row.class as usize] == group.name
            })
            .collect();
        let failed = inside.iter().filter(|row| row.failed()).count() as u64;
        prop_assert_eq!((group.requests, group.failed), (inside.len() as u64, failed));
        prop_assert_eq!(group.retried, inside.iter().filter(|row| row.attempts > 1).count() as u64);
        let goodput = (group.requests - failed) as f64 / (until - from) as f64;
        prop_assert!((group.goodput - goodput).abs() < 1e-9);
        check_latency(&group.latency, inside.iter().map(|row| row.latency_ns()).collect())?;
        check_latency(&group.latency_sent, inside.iter().map(|r| r.latency_sent_ns()).collect())?;
        for (peer, share) in group.shares.iter().enumerate() {
            let requests = inside.iter().filter(|row| row.upstream == peer as u32).count() as u64;
            prop_assert_eq!(share.requests, requests);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_group_is_exact(rows in rows()) {
        let layout = world::disturbed();
        let summary = digest(&layout, &rows).summary();
        let measured: Vec<&RequestRow> =
            rows.iter().filter(|row| row.scheduled_ns >= layout.warm_up.0).collect();
        prop_assert_eq!(summary.requests, measured.len() as u64);
        prop_assert_eq!(summary.groups.len(), 2 + 2 + 3);
        check_latency(&summary.latency, measured.iter().map(|row| row.latency_ns()).collect())?;
        check_groups(&summary, &rows)?;

        let during: Vec<&&RequestRow> = measured
            .iter()
            .filter(|row| row.scheduled_ns >= 40_000_000_000 && row.failed())
            .collect();
        let last = during.iter().map(|row| row.finished_ns - 40_000_000_000).max();
        prop_assert_eq!(summary.faults[0].failed, during.len() as u64);
        prop_assert_eq!(summary.faults[0].failover_ns, last);

        let failures: u64 = summary.failures.iter().map(|(_, count)| count).sum();
        prop_assert_eq!(failures, summary.failed);
        let due: u64 = summary.seconds.iter().map(|second| second.offered).sum();
        let ended: u64 = summary.seconds.iter().map(|s| s.succeeded + s.failed).sum();
        prop_assert_eq!((due, ended), (rows.len() as u64, rows.len() as u64));
    }

    #[test]
    fn merging_gives_what_one_digest_of_all_rows_gives(rows in rows(), split in 0.0f64..1.0) {
        let layout = world::disturbed();
        let cut = (rows.len() as f64 * split) as usize;
        let mut merged = digest(&layout, &rows[..cut]);
        merged.merge(&digest(&layout, &rows[cut..]));
        let (merged, all) = (merged.summary(), digest(&layout, &rows).summary());
        prop_assert_eq!(merged.latency, all.latency);
        prop_assert_eq!(merged.latency_sent, all.latency_sent);
        prop_assert_eq!(merged.curve, all.curve);
        prop_assert_eq!(merged.failures, all.failures);
        prop_assert_eq!(merged.replications, 2);
        // Rates are those of one replication.
        prop_assert!((merged.goodput * 2.0 - all.goodput).abs() < 1e-9);
    }
}

#[test]
fn the_order_of_rows_makes_no_difference() {
    let layout = world::disturbed();
    let rows: Vec<RequestRow> = (0..5_000)
        .map(|i| world::row(i, i * 12_000_000, 1_000_000 * (1 + i * 7919 % 900)))
        .collect();
    let mut by_end = rows.clone();
    by_end.sort_by_key(|row| row.finished_ns);
    let (a, b) = (digest(&layout, &rows).summary(), digest(&layout, &by_end).summary());
    assert_eq!(a, b);
}

#[test]
fn a_run_that_was_cut_short_has_the_rates_of_its_time() {
    let layout = world::steady(60);
    let mut digest = Digest::new(&layout, World::Live);
    (0..3_000).for_each(|i| digest.request(&world::row(i, i * 10_000_000, 1_000_000)));
    digest.end_at(lab::units::Nanos(30_000_000_000));
    assert!((digest.summary().goodput - 100.0).abs() < 1e-9);
}
