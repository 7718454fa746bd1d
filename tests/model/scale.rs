//! Instances that come and go: when, in what order, and what requests feel of it.

use lab::compare::verdict::evaluate;
use lab::compare::{Digest, Layout, ScalingSummary, Verdict};
use lab::record::scaling::{InstanceNews, Scaled, read};
use lab::record::{NO_UPSTREAM, Sink};
use lab::scenario::Scenario;
use lab::sim::{Options, run};
use lab::units::World;

use crate::rows::{Rows, rows, scenario};

/// 90 requests a second of 25 ms, with which one instance of two workers is busy for all of its
/// time, and two for 56 % of it. It decides each second, by a window of two.
fn overloaded(engine: &str, more: &str, fault: &str) -> Scenario {
    scenario(&format!(
        r#"
        [scenario]
        duration = "20s"
        [traffic]
        rate = "90/s"
        arrival = {{ process = "uniform" }}
        [balancer]
        engine = "{engine}"
        algorithm = "least_conn"
        fail_timeout = "0s"
        [[backend]]
        name = "api"
        workers = 2
        service = {{ law = "constant", value = "25ms" }}
        [autoscaler]
        max = 4
        poll = "1s"
        scrape_interval = "500ms"
        rate_window = "2s"
        start_up = "1500ms"
        {more}
        {fault}
        "#
    ))
}

/// What happened to the group, in milliseconds.
fn story(rows: &Rows) -> Vec<(u64, Scaled)> {
    let of_group = |row| Some((row_at(row), read(row, "api")?));
    rows.events.iter().filter_map(of_group).collect()
}

fn row_at(row: &lab::record::EventRow) -> u64 {
    row.at_ns / 1_000_000
}

fn decisions(rows: &Rows) -> Vec<(u64, u32, u32)> {
    let decided = |(at, row)| match row {
        Scaled::Decided { from, to, .. } => Some((at, from, to)),
        Scaled::Instance(..) => None,
    };
    story(rows).into_iter().filter_map(decided).collect()
}

fn became(rows: &Rows, slot: u32, news: &InstanceNews) -> Vec<u64> {
    let wanted = Scaled::Instance(slot, news.clone());
    story(rows).into_iter().filter(|(_, row)| *row == wanted).map(|(at, _)| at).collect()
}

#[test]
fn an_instance_serves_after_its_start_up_and_not_before() {
    let (rows, ran) = rows(&overloaded("own", "", ""));
    // Prometheus's rate divides by the whole window, so a window half full shows half of it.
    assert_eq!(decisions(&rows), [(2_000, 1, 2)], "56 % is between the marks");
    assert_eq!(became(&rows, 1, &InstanceNews::Ready), [3_500]);
    assert_eq!(rows.begun(1, 0..3_500), 0);
    assert!(rows.begun(1, 3_500..4_500) > 40, "it gets its half at once");
    assert_eq!(ran.counts.failed, 0);
    let ready = rows.timeline.iter().filter(|row| row.upstream == NO_UPSTREAM);
    let ready: Vec<u16> = ready.map(|row| row.instances).take(5).collect();
    assert_eq!(ready, [1, 1, 1, 2, 2], "at the ends of the seconds");
}

/// 40/s on two instances are 25 %: one goes, drained first.
#[test]
fn an_instance_that_leaves_gets_nothing_new_and_finishes_what_it_has() {
    let mut calm = overloaded("own", "cooldown_down = \"3s\"", "");
    calm = with_rate(&calm, "40/s", 2);
    let (rows, ran) = rows(&calm);
    assert_eq!(decisions(&rows), [(1_000, 2, 1)]);
    let [stopped] = became(&rows, 1, &InstanceNews::Stopped)[..] else {
        panic!("{:?}", story(&rows))
    };
    assert!((1_000..=1_050).contains(&stopped), "after what it had, 25 ms at most: {stopped}");
    assert_eq!(rows.begun(1, 1_000..20_000), 0);
    assert_eq!(ran.counts.failed, 0);
    assert!(rows.requests.iter().all(|row| row.attempts == 1), "nothing was tried again");
}

fn with_rate(scenario: &Scenario, rate: &str, count: u32) -> Scenario {
    let overrides = [("traffic.rate", rate.to_owned()), ("backend.api.count", count.to_string())];
    let overrides = overrides.map(|(key, value)| (key.to_owned(), value));
    lab::scenario::parse_with(&scenario.text, &scenario.path, &overrides)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn what_cannot_finish_in_time_is_cut_off() {
    let text = overloaded("own", "min = 2\ndrain_timeout = \"300ms\"", "").text;
    let text = text.replace("value = \"25ms\"", "value = \"2s\"").replace("90/s", "20/s");
    let text = text.replace("workers = 2", "workers = 100\ncount = 3");
    let slow = lab::scenario::parse(&text, "slow.toml").unwrap_or_else(|e| panic!("{e}"));
    let (rows, ran) = rows(&slow);
    let [stopped] = became(&rows, 2, &InstanceNews::Stopped)[..] else {
        panic!("{:?}", story(&rows))
    };
    assert_eq!(stopped, decisions(&rows)[0].0 + 300);
    assert_eq!(ran.counts.failed, 0, "they are tried again at the others");
    assert!(ran.counts.retried > 0);
}

const CRASH: &str = "[[fault]]\nname = \"crash\"\nkind = \"crash\"\ntarget = \"api-1\"\nat = \"8300ms\"\n\
    for = \"6s\"\n";

#[test]
fn one_that_dies_is_replaced_at_once_whatever_the_cooldown() {
    for engine in ["own", "nginx"] {
        let (rows, _) = rows(&overloaded(engine, "cooldown_up = \"1m\"", CRASH));
        let ended = InstanceNews::Ended("crash".to_owned());
        assert_eq!(became(&rows, 0, &ended), [8_300], "{engine}");
        let after: Vec<_> = decisions(&rows).into_iter().filter(|(at, ..)| *at >= 8_300).collect();
        assert_eq!(after, [(8_300, 1, 2)], "{engine}: and no other when the fault ends");
        assert_eq!(became(&rows, 0, &InstanceNews::Ready), [9_800], "{engine}");
        assert_eq!(rows.begun(0, 8_300..9_800), 0, "{engine}");
        assert!(rows.begun(0, 9_800..10_800) > 40, "{engine}");
    }
}

#[test]
fn a_fault_on_an_instance_that_is_not_there_does_nothing() {
    let fault = CRASH.replace("api-1", "api-4");
    let (with, _) = rows(&overloaded("own", "", &fault));
    let (without, _) = rows(&overloaded("own", "", ""));
    assert_eq!(with.requests, without.requests);
    assert_eq!(became(&with, 3, &InstanceNews::Ended("crash".to_owned())), [0; 0]);
}

/// The old workers of a reloaded balancer finish what they have; the new ones know who is there.
#[test]
fn a_balancer_that_reloads_loses_no_request() {
    let busy = overloaded("nginx", "", "");
    let (rows, ran) = rows(&busy);
    assert_eq!(became(&rows, 1, &InstanceNews::Ready), [3_500]);
    assert!(rows.begun(1, 3_500..4_500) > 40);
    assert_eq!((ran.counts.failed, ran.counts.retried), (0, 0));
    let (rows, ran) = crate::rows::rows(&with_rate(&busy, "40/s", 2));
    assert_eq!(decisions(&rows)[0], (1_000, 2, 1));
    assert_eq!(rows.begun(1, 1_000..20_000), 0);
    assert_eq!((ran.counts.failed, ran.counts.retried), (0, 0));
}

/// Each metric sees what it should of the same overload, and acts on it.
#[test]
fn every_metric_is_seen() {
    for (metric, marks) in [
        ("utilization", "up = \"70%\"\ndown = \"10%\""),
        ("cpu", "up = \"70%\"\ndown = \"10%\""),
        ("in_flight", "up = 2.5\ndown = 0.1"),
        ("queue", "up = 1\ndown = 0.01"),
        ("requests", "up = \"60/s\"\ndown = \"1/s\""),
    ] {
        let more = format!("metric = \"{metric}\"\n[autoscaler.threshold]\n{marks}");
        let text = overloaded("own", &more, "").text.replace("90/s", "120/s");
        let scenario = lab::scenario::parse(&text, "m.toml").unwrap_or_else(|e| panic!("{e}"));
        let (rows, _) = rows(&scenario);
        let first = decisions(&rows)[0];
        assert!(first.0 <= 3_000 && (first.1, first.2) == (1, 2), "{metric}: {first:?}");
    }
}

#[test]
fn a_trace_tells_of_the_autoscaler() {
    let steps = lab::sim::trace(&overloaded("own", "", ""), &Options::default(), 400);
    let told: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let tells = |text: &str| told.iter().any(|line| line.contains(text));
    assert!(tells("autoscaler: 1 → 2 (start 2): mean utilization"), "{told:#?}");
    assert!(tells("api-2 is ready and serves"));
}

fn scaling(path: &str, overrides: &[(&str, &str)]) -> (ScalingSummary, Vec<(String, Verdict)>) {
    let overrides: Vec<(String, String)> =
        overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let scenario = lab::scenario::load_with(path, &overrides).unwrap_or_else(|e| panic!("{e}"));
    let mut digest = Digest::new(&Layout::new(&scenario), World::Sim);
    run(&scenario, 0, &Options::default(), &mut digest);
    let results = evaluate(&scenario.checks, std::slice::from_ref(&digest), &[]);
    let verdicts = results.into_iter().map(|result| (result.text, result.verdict)).collect();
    (digest.summary().scaling.expect("an autoscaler"), verdicts)
}

/// The steps of the load, what they cost, and how long capacity took.
#[test]
fn the_classic_one_follows_the_load_up_and_down() {
    for seed in ["42", "1", "2", "3"] {
        let (scaling, verdicts) = scaling("scenarios/autoscale.toml", &[("scenario.seed", seed)]);
        assert!(verdicts.iter().all(|(_, verdict)| *verdict != Verdict::Failed), "{verdicts:?}");
        let sizes: Vec<u32> = scaling.events.iter().map(|event| event.to).collect();
        let most = sizes.iter().copied().max().unwrap_or_default();
        assert!((3..=5).contains(&most), "{seed}: {sizes:?}");
        assert_eq!(sizes.last(), Some(&1), "{seed}: {sizes:?}");
        let [step] = &scaling.steps[..] else { panic!("{seed}: {:?}", scaling.steps) };
        assert_eq!((step.stage.as_str(), step.at_ns), ("busy", 12_000_000_000));
        let lag = step.metric_lag_ns.expect("it is the utilization") as f64 / 1e9;
        assert!((1.0..=4.0).contains(&lag), "{seed}: the window is 3 s: {lag}");
        assert_eq!(step.start_up_ns, 2_000_000_000, "{seed}");
        assert!((84.0..84.0 * 5.0).contains(&scaling.instance_seconds));
    }
}

/// The same steady load: with cooldowns it settles, without it never does.
#[test]
fn a_naive_controller_oscillates_and_this_one_does_not() {
    for seed in ["42", "1", "2"] {
        let seed = [("scenario.seed", seed)];
        let (ours, _) = scaling("scenarios/thrash.toml", &seed);
        let (naive, _) = scaling("scenarios/thrash-naive.toml", &seed);
        assert_eq!(ours.flaps_per_hour, 0.0, "{:?}", ours.events);
        assert_eq!(ours.ready.last().map(|(_, ready)| *ready), Some(4), "{:?}", ours.events);
        assert!(naive.flaps_per_hour > 100.0, "{:?}", naive.events);
        assert!(naive.scale_events > 5.0 * ours.scale_events.max(1.0));
    }
}

/// Nobody who takes no timeline is told of less.
#[test]
fn a_run_without_a_timeline_scales_alike() {
    struct Requests(Vec<lab::record::RequestRow>);
    impl Sink for Requests {
        const ATTEMPTS: bool = false;
        const TIMELINE: bool = false;
        fn request(&mut self, row: &lab::record::RequestRow) {
            self.0.push(*row);
        }
    }
    let scenario = overloaded("own", "", CRASH);
    let mut plain = Requests(Vec::new());
    run(&scenario, 0, &Options::default(), &mut plain);
    plain.0.sort_by_key(|row| row.id);
    assert_eq!(plain.0, rows(&scenario).0.requests);
}
