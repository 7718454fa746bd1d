//! What each fault does, seen from the client, the balancer and the events.

use lab::record::{AttemptOutcome, EventKind, RequestRow};
use lab::scenario::Scenario;

use crate::rows::{Rows, rows, scenario};

const MS: u64 = 1_000_000;

/// Two backends of 40 workers, 100 requests a second of 25 ms, one fault from 2 s to 4 s at `a`.
fn disturbed(fault: &str, balancer: &str) -> Scenario {
    scenario(&format!(
        r#"
        [scenario]
        duration = "8s"
        [traffic]
        rate = "100/s"
        arrival = {{ process = "uniform" }}
        [traffic.client]
        timeout = "5s"
        [balancer]
        connect_timeout = "500ms"
        read_timeout = "500ms"
        {balancer}
        [[backend]]
        name = "a"
        workers = 40
        service = {{ law = "constant", value = "25ms" }}
        [[backend]]
        name = "b"
        workers = 40
        service = {{ law = "constant", value = "25ms" }}
        [[fault]]
        name = "trouble"
        target = "a"
        at = "2s"
        for = "2s"
        {fault}
        "#
    ))
}

fn run(fault: &str, balancer: &str) -> Rows {
    let (rows, ran) = rows(&disturbed(fault, balancer));
    assert_eq!(ran.counts.planned, rows.requests.len() as u64);
    assert_eq!(rows.times_of(EventKind::FaultBegan), [2_000]);
    assert_eq!(rows.times_of(EventKind::FaultEnded), [4_000]);
    rows
}

fn due(row: &RequestRow, milliseconds: std::ops::Range<u64>) -> bool {
    milliseconds.contains(&(row.scheduled_ns / MS))
}

#[test]
fn a_crash_breaks_what_is_in_flight_and_refuses_what_comes() {
    let rows = run("kind = \"crash\"", "fail_timeout = \"0s\"");
    assert_eq!(rows.requests.iter().filter(|row| row.failed()).count(), 0, "all are retried");
    let closed: Vec<_> =
        rows.attempts.iter().filter(|row| row.outcome == AttemptOutcome::Closed).collect();
    assert!(!closed.is_empty() && closed.iter().all(|row| row.end_ns == 2_000 * MS));
    // Tested by one request in each new second, and refused at once.
    let refused = rows.ended(AttemptOutcome::ConnectFailed);
    assert!((1..=3).contains(&refused), "{refused}");
    assert!(rows.begun(0, 4_000..8_000) > 100, "it serves again after the end");
    assert_eq!(rows.times_of(EventKind::Ejected).len(), 1);
    assert_eq!(rows.times_of(EventKind::Restored).len(), 1);
}

#[test]
fn without_retry_a_crash_is_seen_by_clients() {
    let rows = run("kind = \"crash\"", "retry = { on = [] }\nmax_fails = 0");
    let bad = rows.requests.iter().filter(|row| row.status == 502).count();
    assert!((95..=110).contains(&bad), "every second request of two seconds, not {bad}");
}

#[test]
fn a_hang_times_out_and_its_work_completes_at_the_end() {
    let rows = run("kind = \"hang\"", "retry = { on = [] }\nmax_fails = 0");
    assert_eq!(rows.ended(AttemptOutcome::ConnectTimedOut), 0, "the kernel still shakes hands");
    let late = rows.ended(AttemptOutcome::ReadTimedOut);
    // Those of the last 500 ms are answered when the process goes on; the others are not.
    assert!((75..=80).contains(&late), "{late}");
    let held = rows.requests.iter().filter(|row| row.upstream == 0 && due(row, 3_600..4_000));
    assert!(held.clone().count() == 20 && held.clone().all(|row| row.status == 200));
    // The work of those given up is served before them: 100 jobs over 40 workers, three rounds.
    let last = held.map(|row| row.finished_ns / MS).max();
    assert_eq!(last, Some(4_075));
    let first = rows.requests.iter().find(|row| row.upstream == 0 && due(row, 1_990..2_000));
    assert!(first.is_none_or(|row| row.status == 504 || row.finished_ns >= 4_000 * MS));
}

#[test]
fn a_slow_backend_holds_its_workers_longer() {
    let rows = run("kind = \"slow\"\nfactor = 3", "");
    for row in rows.requests.iter().filter(|row| row.upstream == 0) {
        let slow = due(row, 2_000..4_000);
        assert_eq!(row.service_ns, if slow { 75 * MS } else { 25 * MS }, "{row:?}");
    }
}

#[test]
fn an_error_rate_is_met_without_service() {
    let rows = run("kind = \"error_rate\"\nrate = \"40%\"", "retry = { on = [] }");
    let share = |a: usize, of: usize| a as f64 / of as f64;
    let hit = rows.requests.iter().filter(|row| row.upstream == 0 && due(row, 2_000..4_000));
    let errors = hit.clone().filter(|row| row.status == 500);
    assert!(errors.clone().all(|row| row.latency_ns() == 0 && row.service_ns == 0));
    assert!((0.25..0.55).contains(&share(errors.count(), hit.count())));
    let calm = |row: &&RequestRow| !due(row, 2_000..4_000);
    assert!(rows.requests.iter().filter(calm).all(|row| row.status == 200));
    // With retry on 500 every client is served, by the other one.
    let retried = run("kind = \"error_rate\"\nrate = \"40%\"", "retry = { on = [\"http_500\"] }");
    assert_eq!(retried.with_status(200), retried.requests.len());
    assert!(retried.ended(AttemptOutcome::StatusRetried) > 0);
}

#[test]
fn a_partition_times_out_connections_and_holds_answers() {
    let policy = "retry = { on = [] }\nmax_fails = 0\nkeepalive = 0";
    let rows = run("kind = \"partition\"", policy);
    let timed_out = rows.ended(AttemptOutcome::ConnectTimedOut);
    assert!((74..=78).contains(&timed_out), "{timed_out}");
    let caught = rows
        .attempts
        .iter()
        .find(|row| row.upstream == 0 && row.start_ns < 2_000 * MS && row.end_ns > 2_000 * MS);
    let caught = caught.expect("25 ms of work began in the 25 ms before");
    assert_eq!(caught.outcome, AttemptOutcome::ReadTimedOut, "its answer is lost for too long");
    let held = rows.requests.iter().filter(|row| row.upstream == 0 && due(row, 3_510..4_000));
    assert!(held.clone().count() > 20);
    assert!(held.clone().all(|row| row.status == 200 && row.finished_ns >= 4_025 * MS));
    // On kept connections requests go out, and nothing comes back.
    let kept = run("kind = \"partition\"", "retry = { on = [] }\nmax_fails = 0\nkeepalive = 32");
    assert!(kept.ended(AttemptOutcome::ReadTimedOut) > caught.number.into());
}

#[test]
fn a_drained_backend_gets_nothing_new() {
    let rows = run("kind = \"drain\"", "");
    assert_eq!(rows.begun(0, 2_000..4_000), 0);
    assert!(rows.begun(0, 0..2_000) > 90 && rows.begun(0, 4_000..8_000) > 180);
    assert!(rows.requests.iter().all(|row| row.status == 200));
    assert_eq!(rows.times_of(EventKind::Drained), [2_000]);
    assert_eq!(rows.times_of(EventKind::Restored), [4_000]);
}

#[test]
fn a_reload_forgets_what_the_old_workers_knew() {
    // `b` is dead for a moment and out for ten seconds, until `a` is drained by a reload.
    let drain = "kind = \"drain\"\n[[fault]]\nname = \"death\"\nkind = \"crash\"\n\
                 target = \"b\"\nat = \"1s\"\nfor = \"500ms\"";
    let begun = |engine: &str| {
        let policy = format!("engine = \"{engine}\"\nmax_fails = 1\nfail_timeout = \"10s\"");
        let (rows, _) = rows(&disturbed(drain, &policy));
        assert!(rows.begun(1, 1_100..2_000) == 0, "{engine}: out by its failure");
        assert_eq!(rows.begun(0, 2_000..4_000), 0, "{engine}: nothing new to the drained one");
        assert!(rows.begun(0, 4_000..8_000) > 150, "{engine}: it is back");
        let late = rows.requests.iter().filter(|row| due(row, 2_000..8_000) && row.failed());
        (rows.begun(1, 2_000..4_000), late.count(), rows.times_of(EventKind::Drained))
    };
    let (at_b, failed, drained) = begun("nginx");
    assert_eq!((at_b, failed, drained), (200, 0, vec![2_000]));
    assert_eq!(begun("own"), (0, 200, vec![2_000]), "lab's proxy changes what it has");
}

#[test]
fn what_is_in_flight_at_a_reload_is_finished_by_the_old_workers() {
    let rows = run("kind = \"drain\"", "engine = \"nginx\"\nalgorithm = \"least_conn\"");
    let across = |row: &&lab::record::AttemptRow| {
        row.upstream == 0 && row.start_ns < 2_000 * MS && row.end_ns > 2_000 * MS
    };
    let finished: Vec<_> = rows.attempts.iter().filter(across).collect();
    assert!(!finished.is_empty() && finished.iter().all(|row| row.status == 200 && row.view == 0));
    assert!(rows.requests.iter().all(|row| row.status == 200));
}

const CHECKS: &str =
    "health = { interval = \"250ms\", timeout = \"100ms\", rise = 2, fall = 2 }\nmax_fails = 0";

#[test]
fn health_checks_take_a_flapping_backend_out_and_back() {
    let rows = run("kind = \"health_flap\"\nrate = \"100%\"", CHECKS);
    assert_eq!(rows.times_of(EventKind::Ejected), [2_250], "the second failed check");
    assert_eq!(rows.times_of(EventKind::Restored), [4_250], "the second passed one");
    assert_eq!(rows.begun(0, 2_251..4_250), 0);
    assert!(rows.requests.iter().all(|row| row.status == 200), "its requests were never bad");
}

#[test]
fn health_checks_of_a_silent_backend_fail_after_their_time_out() {
    for kind in ["hang", "partition"] {
        let rows = run(&format!("kind = \"{kind}\""), CHECKS);
        assert_eq!(rows.times_of(EventKind::Ejected), [2_350], "{kind}");
        let back = rows.times_of(EventKind::Restored);
        assert!(back.len() == 1 && (4_000..=4_250).contains(&back[0]), "{kind}: {back:?}");
    }
    let rows = run("kind = \"crash\"", CHECKS);
    assert_eq!(rows.times_of(EventKind::Ejected), [2_250], "a refused check fails at once");
}

#[test]
fn a_broken_kept_connection_gives_the_try_back() {
    let policy = "retry = { on = [\"error\"], tries = 1 }";
    let kept = run("kind = \"crash\"", policy);
    let fresh = run("kind = \"crash\"", &format!("keepalive = 0\n{policy}"));
    let failed = |rows: &Rows| {
        let at_crash = |row: &&RequestRow| row.failed() && row.finished_ns == 2_000 * MS;
        rows.requests.iter().filter(at_crash).count()
    };
    assert_eq!(failed(&kept), 0, "a kept connection may just have been closed: try again");
    assert!(failed(&fresh) > 0, "a fresh one counts as the only try");
}
