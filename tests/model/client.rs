//! The client: connections, caps, closed loops, several balancers; and what the host adds.

use lab::record::{Cost, Costs, RequestError};
use lab::scenario::Scenario;
use lab::sim::{Options, ServiceTimes, run};
use lab::units::Span;

use crate::rows::{Rows, rows, scenario};

const MS: u64 = 1_000_000;

fn steady(traffic: &str, client: &str, rest: &str) -> Scenario {
    for_a("4s", traffic, client, rest)
}

fn for_a(duration: &str, traffic: &str, client: &str, rest: &str) -> Scenario {
    scenario(&format!(
        r#"
        [scenario]
        duration = "{duration}"
        [traffic]
        {traffic}
        [traffic.client]
        {client}
        [[backend]]
        name = "b"
        count = 4
        service = {{ law = "exponential", mean = "20ms" }}
        {rest}
        "#
    ))
}

/// The same cost at every quantile.
fn always(milliseconds: u64) -> Cost {
    Cost { median_ns: milliseconds * MS, quantiles_ns: [milliseconds * MS; 21], samples: 1 }
}

#[test]
fn a_limit_of_connections_makes_requests_wait_in_the_client() {
    let (rows, _) = rows(&steady("rate = \"150/s\"", "connections = 2", ""));
    let late = rows.requests.iter().filter(|row| row.sent_ns > row.scheduled_ns).count();
    assert!(late > 100, "two connections are too few for three in flight: {late}");
    let mut edges: Vec<_> =
        rows.requests.iter().flat_map(|row| [(row.finished_ns, -1), (row.sent_ns, 1)]).collect();
    edges.sort_unstable();
    let mut open = 0;
    assert!(edges.iter().all(|(_, step)| {
        open += step;
        open <= 2
    }));
}

#[test]
fn the_in_flight_cap_drops_and_says_so() {
    let (rows, ran) = rows(&steady("rate = \"300/s\"", "in_flight_cap = 5", ""));
    let dropped: Vec<_> =
        rows.requests.iter().filter(|row| row.error == RequestError::Dropped).collect();
    assert!(dropped.len() > 100);
    assert_eq!(ran.counts.dropped, dropped.len() as u64);
    assert!(
        dropped
            .iter()
            .all(|row| row.failed() && row.latency_ns() == 10_000 * MS && row.sent_ns == 0)
    );
}

#[test]
fn users_of_a_closed_loop_wait_for_their_answers() {
    let traffic = "users = 3\nthink = { law = \"exponential\", mean = \"30ms\" }";
    let (rows, ran) = rows(&steady(traffic, "", ""));
    assert!(ran.counts.planned > 150);
    for user in 0..3 {
        let turns: Vec<_> = rows.requests.iter().filter(|row| row.id >> 32 == user).collect();
        for (turn, pair) in turns.windows(2).enumerate() {
            assert_eq!(pair[0].id & 0xffff_ffff, turn as u64);
            assert!(pair[1].scheduled_ns >= pair[0].finished_ns);
        }
    }
}

#[test]
fn opening_a_connection_costs_its_first_request_only() {
    let options = Options {
        costs: Costs {
            connection: always(3),
            hop: always(8),
            occupation: always(1),
            ..Default::default()
        },
        ..Options::default()
    };
    let scenario = steady("rate = \"50/s\"", "requests_per_connection = 10", "");
    let mut rows = Rows::default();
    let _ = run(&scenario, 0, &options, &mut rows);
    let opened = rows.requests.iter().filter(|row| row.connected_ns > row.sent_ns).count();
    let least = rows.requests.len() / 10;
    assert!((least..least + 12).contains(&opened), "{opened} of {}", rows.requests.len());
    for row in &rows.requests {
        let opening = row.connected_ns - row.sent_ns;
        assert!(opening == 0 || opening == 3 * MS);
        assert_eq!(row.service_ns, row.demand_ns + MS, "the worker is held 1 ms longer");
        let parts = opening + 8 * MS + row.queued_ns + row.service_ns;
        assert_eq!(row.latency_sent_ns(), parts, "{row:?}");
    }
}

#[test]
fn measured_service_times_replace_the_planned_ones() {
    let scenario = steady("rate = \"100/s\"", "", "");
    let times: ServiceTimes = (0..50).map(|id| (id, 1, Span(MS * (1 + id)))).collect();
    assert_eq!((times.len(), times.get(3, 1), times.get(3, 2)), (50, Some(Span(4 * MS)), None));
    let options = Options { driven: Some(&times), ..Options::default() };
    let mut driven = Rows::default();
    let _ = run(&scenario, 0, &options, &mut driven);
    let (planned, _) = rows(&scenario);
    for (row, plan) in driven.sorted().requests.iter().zip(&planned.requests) {
        let expected = if row.id < 50 { MS * (1 + row.id) } else { plan.demand_ns };
        assert_eq!((row.service_ns, row.demand_ns), (expected, plan.demand_ns));
    }
}

/// Balancers that see only their own requests send them to the same backends at the same time.
#[test]
fn views_that_share_nothing_herd() {
    let mean = |workers: u32, state: &str| {
        let balancer = format!(
            "[balancer]\nalgorithm = \"least_conn\"\nworkers = {workers}\nstate = \"{state}\""
        );
        let scenario = for_a("60s", "rate = \"160/s\"", "timeout = \"60s\"", &balancer);
        let (rows, _) = rows(&scenario);
        rows.requests.iter().map(|row| row.queued_ns as f64).sum::<f64>()
            / rows.requests.len() as f64
    };
    let (shared, alone) = (mean(8, "shared"), mean(8, "per_worker"));
    assert_eq!(mean(1, "per_worker"), mean(1, "shared"));
    assert!(alone > 1.5 * shared, "wait {alone} alone, {shared} shared");
}

#[test]
fn every_balancer_gets_its_share() {
    let (rows, _) = rows(&steady("rate = \"150/s\"", "", "[balancer]\ninstances = 3"));
    for view in 0..3 {
        let share = rows.attempts.iter().filter(|row| row.view == view).count() as f64
            / rows.attempts.len() as f64;
        assert!((0.25..0.42).contains(&share), "view {view}: {share}");
    }
}

#[test]
fn the_timeline_adds_up() {
    let (rows, ran) = rows(&steady("rate = \"150/s\"", "", ""));
    let whole = rows.timeline.iter().filter(|row| row.upstream == lab::record::NO_UPSTREAM);
    let finished: u64 = whole.clone().map(|row| u64::from(row.finished)).sum();
    assert_eq!(finished, ran.counts.attempts);
    let second =
        |s: u32| rows.timeline.iter().filter(move |row| row.second == s && row.upstream < 4);
    for row in whole {
        assert_eq!(row.finished, second(row.second).map(|row| row.finished).sum::<u32>());
        assert_eq!(row.in_flight, second(row.second).map(|row| row.in_flight).sum::<u32>());
    }
    let busy: f64 =
        rows.timeline.iter().filter(|row| row.upstream < 4).map(|row| f64::from(row.cpu)).sum();
    let served: u64 = rows.requests.iter().map(|row| row.service_ns).sum();
    assert!((busy - served as f64 / 1e9).abs() < 1e-3, "{busy} {served}");
}
