//! Order of service, limits, and work that outlives its client.

use lab::record::{AttemptOutcome, RequestError};

use crate::rows::{rows, scenario};

/// Ten requests a second of 150 ms each at one worker: every request waits longer.
fn overloaded(backend: &str, client: &str) -> lab::scenario::Scenario {
    scenario(&format!(
        r#"
        [scenario]
        duration = "2s"
        [traffic]
        rate = "10/s"
        arrival = {{ process = "uniform" }}
        [traffic.client]
        {client}
        [[backend]]
        name = "b"
        service = {{ law = "constant", value = "150ms" }}
        {backend}
        "#
    ))
}

#[test]
fn first_in_first_out_waits_in_order() {
    let (rows, ran) = rows(&overloaded("", "timeout = \"60s\""));
    assert_eq!(ran.counts.finished, 20);
    for (place, row) in rows.requests.iter().enumerate() {
        assert_eq!(row.queued_ns, place as u64 * 50_000_000);
        assert_eq!(row.service_ns, 150_000_000);
        assert_eq!(row.latency_ns(), row.queued_ns + row.service_ns);
    }
}

#[test]
fn processor_sharing_slows_everybody_and_nobody_waits() {
    let (rows, _) = rows(&overloaded("discipline = \"ps\"", "timeout = \"60s\""));
    assert!(rows.requests.iter().all(|row| row.queued_ns == 0));
    // The first is alone for 100 ms of its 150; the other 50 take twice as long.
    assert_eq!(rows.requests[0].service_ns, 200_000_000);
    // The work is the same as first in, first out: the worker never rests before the end.
    let last = rows.requests.iter().map(|row| row.finished_ns).max().unwrap_or_default();
    assert!(last.abs_diff(20 * 150_000_000) < 20, "each departure is rounded once: {last}");
}

#[test]
fn speed_divides_the_service_and_not_the_demand() {
    let (rows, _) = rows(&overloaded("speed = 2", "timeout = \"60s\""));
    assert!(rows.requests.iter().all(|row| row.demand_ns == 150_000_000));
    assert!(rows.requests.iter().all(|row| row.service_ns == 75_000_000 && row.queued_ns == 0));
}

#[test]
fn beyond_the_queue_limit_the_answer_is_503_at_once() {
    let (rows, _) = rows(&overloaded("queue_limit = 1", "timeout = \"60s\""));
    let refused: Vec<_> = rows.requests.iter().filter(|row| row.status == 503).collect();
    assert!((5..9).contains(&refused.len()), "a third is too much, not {}", refused.len());
    assert!(refused.iter().all(|row| row.latency_ns() == 0 && row.attempts == 1));
    assert!(rows.requests.iter().all(|row| row.queued_ns <= 150_000_000));
}

#[test]
fn work_of_a_client_that_gave_up_still_holds_the_worker() {
    let (rows, ran) = rows(&overloaded("", "timeout = \"210ms\""));
    let gone = |row: &&lab::record::RequestRow| row.error == RequestError::Timeout;
    // Waits are 0, 50, 100, … whoever gives up: from the third on all do.
    assert_eq!(rows.requests.iter().filter(gone).count(), 18);
    assert_eq!(rows.ended(AttemptOutcome::ClientGone), 18);
    assert!(rows.requests.iter().filter(gone).all(|row| row.latency_ns() == 210_000_000));
    assert_eq!(ran.counts.timed_out, 18);
    // Processor sharing does the same: the work of those who left slows the others down.
    let (shared, _) = self::rows(&overloaded("discipline = \"ps\"", "timeout = \"210ms\""));
    assert!(shared.requests.iter().filter(gone).count() >= 17);
}

#[test]
fn a_read_time_out_leaves_its_work_behind_too() {
    let mut scenario = overloaded("", "timeout = \"60s\"");
    scenario.balancer.read_timeout = lab::units::Span::from_millis(210);
    let (rows, _) = rows(&scenario);
    assert_eq!(rows.with_status(504), 18);
    assert_eq!(rows.ended(AttemptOutcome::ReadTimedOut), 18);
}

#[test]
fn the_waiting_line_at_the_balancer_keeps_the_backend_free() {
    let queue = |timeout: &str| {
        scenario(&format!(
            r#"
            [scenario]
            duration = "2s"
            [traffic]
            rate = "10/s"
            arrival = {{ process = "uniform" }}
            [traffic.client]
            timeout = "60s"
            [balancer.queue]
            length = 3
            timeout = "{timeout}"
            [[backend]]
            name = "b"
            max_conns = 1
            service = {{ law = "constant", value = "150ms" }}
            "#
        ))
    };
    let (full, _) = rows(&queue("10s"));
    assert!(full.requests.iter().all(|row| row.queued_ns == 0));
    assert!(full.with_status(502) >= 3, "the line is full at times");
    let longest = full.requests.iter().map(|row| row.latency_ns()).max();
    assert!(longest > Some(500_000_000) && longest <= Some(600_000_000), "{longest:?}");
    let (impatient, _) = rows(&queue("60ms"));
    let refused = impatient.requests.iter().filter(|row| row.status == 502);
    assert!(refused.clone().count() > 3);
    assert!(refused.clone().all(|row| row.latency_ns() == 60_000_000 && row.attempts == 0));
    assert!(impatient.attempts.iter().any(|row| row.outcome == AttemptOutcome::Refused));
}
