//! Hedging, affinity, retry budget, pause, slow start and outlier detection in the model.

use std::collections::{BTreeMap, BTreeSet};

use lab::record::{AttemptOutcome, EventKind, PickedBecause};

use crate::rows::{Rows, rows, scenario};

fn run(traffic: &str, balancer: &str, backends: &str) -> Rows {
    let (rows, ran) = rows(&scenario(&format!(
        "[scenario]\nduration = \"20s\"\n[traffic]\nrate = \"100/s\"\n{traffic}\n\
         [balancer]\n{balancer}\n{backends}"
    )));
    assert_eq!(ran.counts.planned, rows.requests.len() as u64);
    let ids: BTreeSet<u64> = rows.requests.iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), rows.requests.len(), "a row for each request");
    let tries: BTreeSet<(u64, u16)> =
        rows.attempts.iter().filter(|row| row.number > 0).map(|row| (row.id, row.number)).collect();
    let numbered = rows.attempts.iter().filter(|row| row.number > 0).count();
    assert_eq!(tries.len(), numbered, "an attempt has a number of its own");
    rows.sorted()
}

/// Usually 10 ms, for one in twenty 500 ms.
const TAIL: &str = "[[backend]]\nname = \"b\"\ncount = 4\nworkers = 8\nservice = { law = \
    \"bimodal\", fast = \"10ms\", slow = \"500ms\", slow_share = \"5%\" }\n";

fn p99(rows: &Rows) -> u64 {
    let mut latencies: Vec<u64> = rows.requests.iter().map(|row| row.latency_ns()).collect();
    latencies.sort_unstable();
    latencies[latencies.len() * 99 / 100] / 1_000_000
}

#[test]
fn hedging_takes_the_tail_away_within_its_budget() {
    let plain = run("", "", TAIL);
    let hedged = run("", "[balancer.hedge]\ndelay = \"30ms\"", TAIL);
    assert!(p99(&plain) >= 500 && p99(&hedged) < 100, "{} and {}", p99(&plain), p99(&hedged));
    let hedges: Vec<_> =
        hedged.attempts.iter().filter(|row| row.because == PickedBecause::Hedge).collect();
    let share = hedges.len() as f64 / hedged.requests.len() as f64;
    assert!((0.03..0.08).contains(&share), "one in twenty is late: {share}");
    assert_eq!(hedged.ended(AttemptOutcome::Superseded), hedges.len(), "one of two is cancelled");
    for hedge in hedges {
        let first =
            hedged.attempts.iter().find(|row| row.id == hedge.id && row.number == 1).unwrap();
        assert_ne!(first.upstream, hedge.upstream);
        assert_eq!(hedge.start_ns - first.start_ns, 30_000_000);
    }
    let never = run("", "[balancer.hedge]\ndelay = \"30ms\"\nbudget = \"0%\"", TAIL);
    let late = never.attempts.iter().filter(|row| row.because == PickedBecause::Hedge).count();
    assert!(late <= 30, "one a second, and ten at first: {late}");
}

#[test]
fn a_running_quantile_finds_the_delay_by_itself() {
    let hedged = run("", "[balancer.hedge]\nquantile = \"90%\"\nbudget = \"30%\"", TAIL);
    assert!(p99(&hedged) < 100, "{}", p99(&hedged));
    let started = |row: &&lab::record::AttemptRow| row.because == PickedBecause::Hedge;
    let first = hedged.attempts.iter().filter(started).map(|row| row.start_ns).min().unwrap();
    assert!(first > 800_000_000, "a hundred answers are seen before: {first}");
}

#[test]
fn hedges_survive_faults_and_clients_that_give_up() {
    let faults = "[[fault]]\nname = \"crash\"\nkind = \"crash\"\ntarget = \"b-1\"\nat = \"5s\"\n\
        for = \"3s\"\n[[fault]]\nname = \"cut\"\nkind = \"partition\"\ntarget = \"b-2\"\n\
        at = \"10s\"\nfor = \"3s\"\n";
    let client = "client = { timeout = \"300ms\", in_flight_cap = 40 }";
    let balancer = "max_fails = 0\nconnect_timeout = \"100ms\"\nread_timeout = \"200ms\"\n[balancer.hedge]\n\
        delay = \"5ms\"\nbudget = \"100%\"";
    let rows = run(client, balancer, &format!("{TAIL}{faults}"));
    assert!(rows.ended(AttemptOutcome::Superseded) > 500);
    assert!(rows.ended(AttemptOutcome::ConnectFailed) + rows.ended(AttemptOutcome::Closed) > 0);
    let attempts: BTreeMap<u64, u16> =
        rows.attempts.iter().fold(BTreeMap::new(), |mut most, row| {
            let number = most.entry(row.id).or_default();
            *number = row.number.max(*number);
            most
        });
    for row in &rows.requests {
        assert!(row.attempts <= attempts.get(&row.id).copied().unwrap_or(0), "{row:?}");
    }
}

#[test]
fn a_session_stays_with_its_backend() {
    let keyed = "keys = { count = 50 }";
    let affinity = "[balancer.affinity]\n";
    let backends = TAIL.replace("count = 4", "count = 5");
    let plan = |balancer: &str| {
        let rows = run(keyed, balancer, &backends);
        rows.requests.iter().map(|row| (row.id, row.upstream)).collect::<Vec<_>>()
    };
    // Whose session a request is does not depend on the balancer: the number of places that
    // sessions meet does.
    let (bound, free) = (plan(affinity), plan(""));
    let keys = keys_of(&bound);
    let spread = |picks: &[(u64, u32)]| {
        let mut places: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
        for ((_, upstream), key) in picks.iter().zip(&keys) {
            places.entry(*key).or_default().insert(*upstream);
        }
        places.values().map(BTreeSet::len).sum::<usize>() as f64 / places.len() as f64
    };
    assert!(spread(&free) > 3.0, "{}", spread(&free));
    // Requests of one session that overlap before the first answer may go to two.
    assert!(spread(&bound) < 1.3, "{}", spread(&bound));
}

fn keys_of(picks: &[(u64, u32)]) -> Vec<u64> {
    use lab::traffic::Plan;
    use lab::units::Seed;
    let scenario = scenario(&format!(
        "[scenario]\nduration = \"20s\"\n[traffic]\nrate = \"100/s\"\nkeys = {{ count = 50 }}\n{TAIL}"
    ));
    let plan = Plan::new(&scenario.traffic, Seed::new(scenario.seed, 0), scenario.end());
    let keys: BTreeMap<u64, u64> =
        plan.arrivals().map(|request| (request.id, request.key)).collect();
    picks.iter().map(|(id, _)| keys[id]).collect()
}

/// Half of the answers of one of two backends are 500.
const FAULTY: &str = "[[backend]]\nname = \"b\"\ncount = 2\nworkers = 8\nservice = { law = \
    \"constant\", value = \"10ms\" }\n[[fault]]\nname = \"errors\"\nkind = \"error_rate\"\nrate = \
    \"100%\"\ntarget = \"b-1\"\nat = \"5s\"\nfor = \"10s\"\n";

#[test]
fn retries_beyond_the_budget_are_withheld_and_recorded() {
    let retry = "max_fails = 0\n[balancer.retry]\non = [\"http_500\"]\n";
    let free = run("", retry, FAULTY);
    assert_eq!(free.with_status(500), 0);
    let budget = format!("{retry}[balancer.retry.budget]\nratio = \"10%\"\nmin_per_second = 0\n");
    let bound = run("", &budget, FAULTY);
    let withheld = bound.ended(AttemptOutcome::RetryWithheld);
    assert!(withheld > 100, "{withheld}");
    assert_eq!(bound.with_status(500), withheld, "what is not retried is passed on");
    let retried = bound.requests.iter().filter(|row| row.attempts > 1).count();
    assert!(retried * 9 < bound.requests.len(), "{retried} of {}", bound.requests.len());
}

#[test]
fn a_pause_comes_before_a_retry() {
    let retry = "max_fails = 0\n[balancer.retry]\non = [\"http_500\"]\n[balancer.retry.backoff]\n\
        base = \"40ms\"\n";
    let rows = run("", retry, FAULTY);
    let mut pauses = Vec::new();
    for again in rows.attempts.iter().filter(|row| row.number == 2) {
        let first = rows.attempts.iter().find(|row| row.id == again.id && row.number == 1).unwrap();
        pauses.push((again.start_ns - first.end_ns) as f64 / 1e6);
    }
    let mean = pauses.iter().sum::<f64>() / pauses.len() as f64;
    assert!(pauses.len() > 300 && pauses.iter().all(|pause| *pause < 40.0));
    assert!((18.0..22.0).contains(&mean), "uniform below 40 ms: {mean}");
}

#[test]
fn an_outlier_is_ejected_and_returns_slowly() {
    let outlier = "max_fails = 0\nslow_start = \"4s\"\n[balancer.outlier]\ninterval = \"1s\"\n\
        base_ejection_time = \"2s\"\nmax_ejection_percent = \"50%\"\n";
    let rows = run("", outlier, FAULTY);
    let out = rows.times_of(EventKind::Ejected);
    let back = rows.times_of(EventKind::Restored);
    assert!(out.len() >= 3 && back.len() == out.len(), "{out:?} {back:?}");
    assert!((5_000..5_300).contains(&out[0]), "{out:?}");
    // The last return is after the fault: its share then grows from a tenth to a half.
    let last = *back.last().unwrap();
    assert!(last > 15_000, "{back:?}");
    let share = |from: u64, until: u64| {
        let within = |row: &&lab::record::RequestRow| {
            (last + from..last + until).contains(&(row.scheduled_ns / 1_000_000))
        };
        let all = rows.requests.iter().filter(within).count();
        let here = rows.requests.iter().filter(within).filter(|row| row.upstream == 0).count();
        here as f64 / all.max(1) as f64
    };
    assert!(share(0, 500) < 0.2, "{}", share(0, 500));
    assert_eq!(rows.with_status(500), rows.ended(AttemptOutcome::Passed) - rows.with_status(200));
}
