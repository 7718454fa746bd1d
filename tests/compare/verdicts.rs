//! Checks evaluated on rows whose statistics are plain to see.

use lab::compare::verdict::evaluate;
use lab::compare::{CheckResult, Digest, Verdict};
use lab::record::{RequestRow, Sink};
use lab::scenario::{Check, Measure, Relation, Subject, Tolerance};
use lab::units::World;

use super::world;

const MS: f64 = 1e6;

fn subject(measure: Measure) -> Subject {
    Subject {
        world: None,
        measure,
        class: None,
        stage: None,
        during: None,
        before: None,
        after: None,
    }
}

fn check(subject: Subject, relation: Relation) -> Check {
    Check { text: "as written".into(), subject, relation }
}

/// 100 requests per second. Latencies are 1 to 100 ms, evenly; ten times that for class `web`
/// during the crash. Peer 0 serves five in eight. What is due at 40.5 s fails, once.
fn digest(world: World, slower: u64) -> Digest {
    let mut digest = Digest::new(&world::disturbed(), world);
    for i in 0..6_000u64 {
        let due = i * 10_000_000;
        let class = (i / 100 % 2) as u16;
        let tenfold = class == 1 && (4_000..5_000).contains(&i);
        let latency = (i * 37 % 100 + 1) * 1_000_000 * slower * if tenfold { 10 } else { 1 };
        digest.request(&RequestRow {
            world,
            class,
            upstream: u32::from(i % 8 >= 5),
            status: if i == 4_050 { 500 } else { 200 },
            ..world::row(i, due, latency)
        });
    }
    digest
}

fn decide(check: Check) -> Vec<CheckResult> {
    evaluate(&[check], &[digest(World::Sim, 1)], &[digest(World::Live, 2)])
}

fn verdicts(check: Check) -> Vec<(Option<World>, Verdict)> {
    decide(check).into_iter().map(|result| (result.world, result.verdict)).collect()
}

/// The verdict in the model alone.
fn in_sim(mut subject: Subject, relation: Relation) -> Verdict {
    subject.world = Some(World::Sim);
    let found = verdicts(check(subject, relation));
    assert_eq!(found.len(), 1);
    found[0].1
}

#[test]
fn a_check_without_a_world_is_tried_in_each() {
    let found = verdicts(check(subject(Measure::Quantile(0.5)), Relation::Below(60.0 * MS)));
    assert_eq!(found, [(Some(World::Sim), Verdict::Held), (Some(World::Live), Verdict::Failed)]);
}

#[test]
fn every_measure_and_relation_is_decided() {
    use Verdict::{Failed, Held, Undecided};
    let web_during = |measure| Subject {
        class: Some("web".into()),
        during: Some("crash".into()),
        ..subject(measure)
    };
    let of_stage = |name: &str, measure| Subject { stage: Some(name.into()), ..subject(measure) };
    let after = |measure| Subject { after: Some("crash".into()), ..subject(measure) };
    let percent = |value: f64| Relation::Within(value, Tolerance::Absolute(0.02));
    for (case, (subject, relation, expected)) in [
        (subject(Measure::Quantile(1.0)), Relation::AtMost(1000.0 * MS), Held),
        (subject(Measure::Quantile(1.0)), Relation::Below(1000.0 * MS), Failed),
        (after(Measure::Quantile(1.0)), Relation::Below(101.0 * MS), Held),
        (web_during(Measure::Quantile(0.5)), Relation::Above(450.0 * MS), Held),
        (web_during(Measure::Quantile(0.5)), Relation::AtLeast(550.0 * MS), Failed),
        (
            of_stage("low", Measure::Mean),
            Relation::Within(50.5 * MS, Tolerance::Relative(0.01)),
            Held,
        ),
        (of_stage("high", Measure::Mean), Relation::Below(51.0 * MS), Failed),
        (subject(Measure::Failed), Relation::AtMost(1.0), Held),
        (subject(Measure::Failed), Relation::Below(1.0), Failed),
        (subject(Measure::Errors), Relation::Below(0.001), Held),
        (of_stage("low", Measure::Errors), Relation::Above(0.0), Failed),
        (subject(Measure::Retried), Relation::AtMost(0.0), Held),
        (subject(Measure::Goodput), Relation::Within(100.0, Tolerance::Relative(0.01)), Held),
        (subject(Measure::Spread("a-1".into())), percent(0.625), Held),
        (subject(Measure::Spread("a-2".into())), percent(0.30), Failed),
        (subject(Measure::Spread("a".into())), percent(0.98), Held),
        (subject(Measure::Spread("nobody".into())), percent(0.5), Undecided),
        (subject(Measure::Jain), Relation::Above(0.999), Held),
        // Due at 40.5 s and answered after (4050 * 37 % 100 + 1) = 51 ms.
        (subject(Measure::Failover), Relation::Within(551.0 * MS, Tolerance::Absolute(0.0)), Held),
        (web_during(Measure::Failover), Relation::Below(1e9), Undecided),
        (
            Subject { class: Some("none".into()), ..subject(Measure::Mean) },
            Relation::Above(0.0),
            Undecided,
        ),
        (
            Subject { during: Some("none".into()), ..subject(Measure::Mean) },
            Relation::Above(0.0),
            Undecided,
        ),
        // Nothing is due before 40 s and after 50 s.
        (
            Subject { before: Some("crash".into()), ..after(Measure::Mean) },
            Relation::Above(0.0),
            Undecided,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(in_sim(subject.clone(), relation), expected, "case {case}: {subject:?}");
    }
}

#[test]
fn two_worlds_are_held_against_one_another() {
    let of = |world, measure| Subject { world: Some(world), ..subject(measure) };
    let agrees = |measure: Measure, tolerance| {
        let live = of(World::Live, measure.clone());
        decide(check(of(World::Sim, measure), Relation::Agrees(live, tolerance)))
    };
    let found = agrees(Measure::Quantile(0.9), Tolerance::Relative(0.1));
    assert_eq!((found.len(), found[0].world, found[0].verdict), (1, None, Verdict::Failed));
    assert!(found[0].measured.contains("sim ") && found[0].measured.contains("-50"), "{found:?}");
    let half = agrees(Measure::Quantile(0.9), Tolerance::Relative(0.51));
    assert_eq!(half[0].verdict, Verdict::Held);
    let same = agrees(Measure::Jain, Tolerance::Absolute(0.0));
    assert_eq!(same[0].verdict, Verdict::Held);
}

/// The live rounds have the plan of the model's first replication; the others saw other traffic.
#[test]
fn live_is_held_against_the_replication_with_its_plan() {
    let of = |world| Subject { world: Some(world), ..subject(Measure::Quantile(0.9)) };
    let agree = check(of(World::Sim), Relation::Agrees(of(World::Live), Tolerance::Relative(0.0)));
    let sim = [digest(World::Sim, 1), digest(World::Sim, 3)];
    let live = [digest(World::Live, 1)];
    let verdict = |sim: &[_]| evaluate(std::slice::from_ref(&agree), sim, &live)[0].verdict;
    assert_eq!(verdict(&sim), Verdict::Held);
    assert_eq!(verdict(&sim[1..]), Verdict::Failed);
}

#[test]
fn a_world_that_did_not_run_leaves_its_checks_undecided() {
    let sim = [digest(World::Sim, 1)];
    let of_live = Subject { world: Some(World::Live), ..subject(Measure::Mean) };
    let checks = [
        check(of_live.clone(), Relation::Above(0.0)),
        check(
            Subject { world: Some(World::Sim), ..subject(Measure::Mean) },
            Relation::Agrees(of_live, Tolerance::Relative(0.1)),
        ),
        check(subject(Measure::Mean), Relation::Above(0.0)),
    ];
    let found = evaluate(&checks, &sim, &[]);
    let verdicts: Vec<Verdict> = found.iter().map(|result| result.verdict).collect();
    assert_eq!(verdicts, [Verdict::Undecided, Verdict::Undecided, Verdict::Held]);
    assert!(found[0].measured.contains("the live world did not run"), "{found:?}");
    let none = evaluate(&checks[2..], &[], &[]);
    assert_eq!(none[0].verdict, Verdict::Undecided);
}

#[test]
fn a_value_too_near_its_bound_is_said_to_be() {
    let p50 = |bound: f64| {
        let subject = Subject { world: Some(World::Sim), ..subject(Measure::Quantile(0.5)) };
        decide(check(subject, Relation::Below(bound * MS))).remove(0).measured
    };
    // Latencies are spread evenly in each batch, so the interval is narrow.
    assert!(
        p50(53.05).contains("95 %") || p50(52.5).contains("95 %"),
        "{} {}",
        p50(53.05),
        p50(52.5)
    );
    assert!(!p50(80.0).contains("95 %"), "{}", p50(80.0));
}

#[test]
fn counts_of_several_replications_are_those_of_one() {
    let replications = [digest(World::Sim, 1), digest(World::Sim, 1), digest(World::Sim, 1)];
    let found = evaluate(
        &[check(subject(Measure::Failed), Relation::Within(1.0, Tolerance::Absolute(0.0)))],
        &replications,
        &[],
    );
    assert_eq!(found[0].verdict, Verdict::Held);
    assert!(found[0].measured.contains("average of 3 runs"), "{found:?}");
}
