//! The results of two worlds put together, and kept as JSON.

use lab::compare::{
    Digest, Evidence, LiveFacts, ModelMode, PairSample, Results, results, validity,
};
use lab::record::{RequestRow, Sink};
use lab::units::World;

use super::world;

/// Latencies of 50 to 150 ms; live, 10 ms more, and every hundredth request retried elsewhere.
fn row(world: World, replication: u32, id: u64) -> RequestRow {
    let latency = 50_000_000 + (id * 7_919 + u64::from(replication) * 31) % 100 * 1_000_000;
    let live = world == World::Live;
    let retried = live && id.is_multiple_of(100);
    RequestRow {
        world,
        replication,
        upstream: if retried { 1 } else { 0 },
        attempts: if retried { 2 } else { 1 },
        ..world::row(id, id * 10_000_000, latency + if live { 10_000_000 } else { 0 })
    }
}

fn rows(world: World, replication: u32) -> impl Iterator<Item = RequestRow> {
    (0..6_000).map(move |id| row(world, replication, id))
}

fn collect<S: Sink>(mut sink: S, rows: impl Iterator<Item = RequestRow>) -> S {
    rows.for_each(|row| sink.request(&row));
    sink
}

/// JSON has neither NaN nor infinity, so a number that is none would be lost. (Reading may move the
/// last bit of a number, so text is compared, with fewer digits.)
fn assert_kept(results: &Results) {
    let json = serde_json::to_value(results).unwrap();
    let read: Results = serde_json::from_str(&json.to_string()).unwrap();
    let rounded = |results: &Results| format!("{results:.3?}");
    assert!(rounded(&read) == rounded(results), "{json}");
    assert!(!rounded(results).contains("NaN") && !rounded(results).contains("inf"));
}

#[test]
fn two_worlds_become_one_result() {
    let layout = world::disturbed();
    let digest =
        |world, replication| collect(Digest::new(&layout, world), rows(world, replication));
    let sim: Vec<Digest> = (0..3).map(|i| digest(World::Sim, i)).collect();
    let live: Vec<Digest> = (0..2).map(|i| digest(World::Live, i)).collect();
    let pairs = [World::Sim, World::Live]
        .map(|world| collect(PairSample::new(&layout, PairSample::CAP), rows(world, 0)));
    let models = [(ModelMode::Planned, digest(World::Sim, 0))];
    let found = results(&Evidence {
        scenario: "together",
        run: "run-1",
        seed: 7,
        sim: &sim,
        live: &live,
        pairs: Some((&pairs[0], &pairs[1])),
        models: &models,
        validity: Some(validity::judge(&LiveFacts::default())),
        ..Evidence::default()
    });

    assert_eq!(found.worlds.iter().map(|w| w.replications).collect::<Vec<_>>(), [3, 2]);
    let comparison = found.comparison.as_ref().unwrap();
    // 5000 requests after the warm-up, one in a hundred retried in each round.
    assert_eq!((comparison.failed_difference, comparison.retried_difference), (0, 50));
    assert!((comparison.wasserstein_ns / 1e7 - 1.0).abs() < 0.01, "{}", comparison.wasserstein_ns);
    assert!((comparison.share_points - 1.0).abs() < 1e-9);
    let paired = comparison.paired.unwrap();
    assert_eq!((paired.pairs, paired.p50_ns, paired.same_peer), (5_000, 1e7, 0.99));
    assert_eq!(comparison.attribution[0].differences, comparison.quantiles);
    assert_eq!(comparison.repeatability.len(), 5);
    assert!(comparison.repeatability[4].relative < 0.01);

    assert_kept(&found);
}

#[test]
fn worlds_without_a_request_are_no_numbers_but_no_harm() {
    let layout = world::disturbed();
    let (sim, live) = ([Digest::new(&layout, World::Sim)], [Digest::new(&layout, World::Live)]);
    let found = results(&Evidence { sim: &sim, live: &live, ..Evidence::default() });
    assert_kept(&found);
    assert!(results(&Evidence::default()).worlds.is_empty());
}
