//! Random scenarios: nothing panics, nothing is lost, nothing happens before its cause.

use std::collections::BTreeSet;

use lab::record::{AttemptOutcome, NO_UPSTREAM, RequestRow};
use proptest::prelude::*;

use crate::rows::{Rows, rows};

fn one_of(choices: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(choices).prop_map(str::to_owned)
}

fn traffic() -> impl Strategy<Value = String> {
    let process = one_of(&[
        "{ process = \"poisson\" }",
        "{ process = \"uniform\" }",
        "{ process = \"pareto\", alpha = 1.8 }",
        "{ process = \"mmpp\", burst_ratio = 5, burst = \"100ms\", quiet = \"300ms\" }",
    ]);
    let open = (20..400u32, process).prop_map(|(rate, process)| {
        format!("[traffic]\nrate = \"{rate}/s\"\narrival = {process}\n")
    });
    let closed = (1..30u32, 0..100u32).prop_map(|(users, think)| {
        let think = format!("think = {{ law = \"exponential\", mean = \"{}ms\" }}", think + 1);
        format!("[traffic]\nusers = {users}\n{think}\n")
    });
    let client = (20..2_000u32, 0..20u32, 0..4u32, 0..40u32).prop_map(|(timeout, c, r, cap)| {
        format!(
            "[traffic.client]\ntimeout = \"{timeout}ms\"\nconnections = {c}\n\
             requests_per_connection = {r}\nin_flight_cap = {cap}\n"
        )
    });
    (prop_oneof![open, closed], client).prop_map(|(source, client)| source + &client)
}

fn balancer() -> impl Strategy<Value = String> {
    let decisions = (
        one_of(&["round_robin", "least_conn", "random", "random_two"]),
        1..4u32,
        one_of(&["shared", "per_worker"]),
        (20..600u32, 20..600u32, 0..5u32),
        (0..4u32, 1..3u32),
    )
        .prop_map(|(algorithm, workers, state, (connect, read, keepalive), (fails, back))| {
            format!(
                "[balancer]\nalgorithm = \"{algorithm}\"\nworkers = {workers}\ninstances = 2\n\
                 state = \"{state}\"\nconnect_timeout = \"{connect}ms\"\n\
                 read_timeout = \"{read}ms\"\nkeepalive = {keepalive}\nmax_fails = {fails}\n\
                 fail_timeout = \"{back}s\"\n"
            )
        });
    let retry = one_of(&[
        "",
        "[balancer.retry]\non = [\"error\", \"timeout\", \"http_500\", \"http_503\"]\n",
        "[balancer.retry]\non = []\n",
        "[balancer.retry]\non = [\"error\", \"http_503\"]\ntries = 2\ntimeout = \"100ms\"\n",
    ]);
    let health = one_of(&[
        "[balancer.health]\ninterval = \"200ms\"\ntimeout = \"50ms\"\nrise = 1\nfall = 2\n",
        "[balancer.health]\ninterval = \"1s\"\n",
    ]);
    let queue = one_of(&["", "[balancer.queue]\nlength = 6\ntimeout = \"80ms\"\n"]);
    (decisions, retry, health, queue).prop_map(|(a, b, c, d)| a + &b + &c + &d)
}

fn backends() -> impl Strategy<Value = String> {
    let group = (
        1..3u32,
        1..5u32,
        0..6u32,
        one_of(&["fifo", "ps"]),
        (0..5u32, 1..30u32, 1..4u32),
        one_of(&["exponential", "constant"]),
    )
        .prop_map(|(count, workers, limit, discipline, (conns, mean, weight), law)| {
            let key = if law == "constant" { "value" } else { "mean" };
            format!(
                "count = {count}\nworkers = {workers}\nqueue_limit = {limit}\nmax_conns = {conns}\n\
                 discipline = \"{discipline}\"\nweight = {weight}\nhealth_failure = \"5%\"\n\
                 service = {{ law = \"{law}\", {key} = \"{mean}ms\" }}\n"
            )
        });
    (proptest::collection::vec(group, 1..3), any::<bool>()).prop_map(|(groups, backup)| {
        let mut text = String::new();
        for (place, group) in groups.iter().enumerate() {
            text += &format!("[[backend]]\nname = \"g{place}\"\n{group}");
        }
        if backup {
            text += "[[backend]]\nname = \"spare\"\nbackup = true\n\
                     service = { law = \"constant\", value = \"9ms\" }\n";
        }
        text
    })
}

fn faults() -> impl Strategy<Value = String> {
    let kind = one_of(&[
        "kind = \"crash\"",
        "kind = \"hang\"",
        "kind = \"slow\"\nfactor = 4",
        "kind = \"error_rate\"\nrate = \"30%\"",
        "kind = \"health_flap\"\nrate = \"70%\"",
        "kind = \"partition\"",
        "kind = \"drain\"",
    ]);
    let fault = (kind, 0..1_500u32, 50..1_400u32);
    proptest::collection::vec(fault, 0..5).prop_map(|faults| {
        let mut text = String::new();
        for (place, (kind, at, length)) in faults.iter().enumerate() {
            text += &format!(
                "[[fault]]\nname = \"f{place}\"\ntarget = \"g0\"\nat = \"{at}ms\"\n\
                 for = \"{length}ms\"\n{kind}\n"
            );
        }
        text
    })
}

fn is_in_order(row: &RequestRow) -> bool {
    let reached =
        [row.scheduled_ns, row.sent_ns, row.connected_ns, row.first_byte_ns, row.finished_ns];
    let reached: Vec<_> = reached.into_iter().filter(|at| *at > 0).collect();
    reached.windows(2).all(|pair| pair[0] <= pair[1])
}

fn check(rows: &Rows) -> Result<(), TestCaseError> {
    let ids: BTreeSet<_> = rows.requests.iter().map(|row| row.id).collect();
    prop_assert_eq!(ids.len(), rows.requests.len(), "one row for each request");
    for row in &rows.requests {
        prop_assert!(is_in_order(row), "{:?}", row);
        prop_assert_eq!(row.attempts == 0, row.upstream == NO_UPSTREAM);
        let took = row.finished_ns - row.scheduled_ns;
        prop_assert!(
            row.status == 0 || row.queued_ns + row.service_ns <= took || row.status != 200
        );
    }
    let tries = rows.attempts.iter().filter(|row| row.outcome != AttemptOutcome::Refused).count();
    let counted: usize = rows.requests.iter().map(|row| usize::from(row.attempts)).sum();
    prop_assert_eq!(tries, counted, "each attempt ends exactly once");
    for row in &rows.attempts {
        prop_assert!(row.start_ns <= row.end_ns);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_whatever_happens(
        traffic in traffic(),
        balancer in balancer(),
        backends in backends(),
        faults in faults(),
        seed in 0..1_000u32,
    ) {
        let text = format!(
            "schema_version = 1\n[scenario]\nseed = {seed}\nduration = \"3s\"\n{traffic}{balancer}{backends}{faults}"
        );
        // Faults of which one would hide the other are refused.
        let Ok(scenario) = lab::scenario::parse(&text, "random.toml") else {
            return Err(TestCaseError::reject("overlapping faults"));
        };
        let (rows, ran) = rows(&scenario);
        prop_assert_eq!(ran.counts.planned, ran.counts.finished);
        prop_assert_eq!(ran.counts.finished, rows.requests.len() as u64);
        check(&rows)?;
    }
}
