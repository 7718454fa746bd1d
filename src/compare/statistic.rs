//! The numbers by which engines are compared, each with the model's, the live world's, and how far
//! the live world repeats itself.

use serde::{Deserialize, Serialize};

use super::distance::{named_quantiles, relative};
use super::summary::WorldSummary;

/// What a statistic is measured in, and how two values of it are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A latency in ns; a difference is relative.
    Latency,
    /// Requests per second; a difference is relative.
    Rate,
    /// Requests of one round; a difference is a number of requests.
    Count,
    /// A share of all requests, 0 to 1; a difference is one of shares.
    Share,
    /// A span of time in ns, 0 for none; a difference is in ns.
    Time,
}

impl Unit {
    /// How far `value` is from `other`.
    #[must_use]
    pub fn difference(self, value: f64, other: f64) -> f64 {
        match self {
            Self::Latency | Self::Rate => relative(value, other),
            Self::Count | Self::Share | Self::Time => value - other,
        }
    }
}

/// Whether a model is as near to the live world as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nearness {
    /// Within the goal.
    Goal,
    /// Not within the goal, but no farther than two rounds of the live world from each other.
    Repeatability,
    /// Neither.
    Beyond,
}

/// A statistic of every engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistic {
    /// Such as `p99`, `share b1`, `failover crash-b2`.
    pub name: String,
    /// What it is measured in.
    pub unit: Unit,
    /// How far the model should be at most from the live world, in the unit's difference; `None`
    /// where no goal is set.
    pub goal: Option<f64>,
    /// Per engine, in order.
    pub cells: Vec<Cell>,
}

/// A statistic of one engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// In all rounds of the live world together; `None` if it did not run.
    pub live: Option<f64>,
    /// In the model's replication that has the live world's requests; `None` if it did not run.
    pub sim: Option<f64>,
    /// The model from the live world.
    pub difference: Option<f64>,
    /// Largest difference of any two rounds; `None` with fewer than two.
    pub repeatability: Option<f64>,
    /// Whether the difference is small enough; `None` without a goal or a difference.
    pub nearness: Option<Nearness>,
}

/// What a cell is made of.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The model's first replication.
    pub sim: Option<&'a WorldSummary>,
    /// The rounds of the live world together.
    pub live: Option<&'a WorldSummary>,
    /// Each round.
    pub rounds: &'a [WorldSummary],
}

/// Relative difference that a model should keep in p50, p90 and p99.
pub const LATENCY_GOAL: f64 = 0.03;
/// Difference that a model should keep in the share of a backend: one point.
pub const SHARE_GOAL: f64 = 0.01;
/// Difference that a model should keep in failed requests.
pub const FAILED_GOAL: f64 = 3.0;

/// One number of one world.
struct Row {
    name: String,
    unit: Unit,
    goal: Option<f64>,
    value: f64,
}

/// Every statistic of the engines, whose backends and faults are the same.
#[must_use]
pub fn statistics(engines: &[Evidence<'_>]) -> Vec<Statistic> {
    let Some(first) = engines.iter().find_map(|engine| engine.live.or(engine.sim)) else {
        return Vec::new();
    };
    rows(first)
        .into_iter()
        .enumerate()
        .map(|(place, row)| Statistic {
            cells: engines.iter().map(|engine| cell(engine, place, &row)).collect(),
            name: row.name,
            unit: row.unit,
            goal: row.goal,
        })
        .collect()
}

fn cell(engine: &Evidence<'_>, place: usize, row: &Row) -> Cell {
    let value = |world: &WorldSummary| {
        rows(world).into_iter().nth(place).filter(|it| it.name == row.name).map(|it| it.value)
    };
    let (live, sim) = (engine.live.and_then(value), engine.sim.and_then(value));
    let difference = sim.zip(live).map(|(sim, live)| row.unit.difference(sim, live));
    let rounds: Vec<f64> = engine.rounds.iter().filter_map(value).collect();
    let repeatability = (rounds.len() > 1).then(|| largest_difference(row.unit, &rounds));
    let nearness = row.goal.zip(difference).map(|(goal, difference)| {
        let difference = difference.abs();
        match repeatability {
            _ if difference <= goal => Nearness::Goal,
            Some(own) if difference <= own => Nearness::Repeatability,
            _ => Nearness::Beyond,
        }
    });
    Cell { live, sim, difference, repeatability, nearness }
}

/// Of all pairs the extremes differ most, and most of all from the smaller.
fn largest_difference(unit: Unit, values: &[f64]) -> f64 {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    unit.difference(high, low)
}

fn rows(world: &WorldSummary) -> Vec<Row> {
    let row = |name: &str, unit, goal, value| Row { name: name.to_owned(), unit, goal, value };
    let per_round = |count: u64| count as f64 / f64::from(world.replications.max(1));
    let mut rows: Vec<Row> = named_quantiles(&world.latency)
        .into_iter()
        .filter(|(name, _)| *name != "max")
        .map(|(name, value)| {
            row(name, Unit::Latency, (name != "p99.9").then_some(LATENCY_GOAL), value)
        })
        .collect();
    rows.push(row("failed", Unit::Count, Some(FAILED_GOAL), per_round(world.failed)));
    rows.push(row("retried", Unit::Count, None, per_round(world.retried)));
    rows.push(row("goodput", Unit::Rate, None, world.goodput));
    for peer in &world.shares {
        let name = format!("share {}", peer.name);
        rows.push(row(&name, Unit::Share, Some(SHARE_GOAL), peer.share));
    }
    for fault in &world.faults {
        let name = format!("failover {}", fault.fault);
        rows.push(row(&name, Unit::Time, None, fault.failover_ns.unwrap_or(0) as f64));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Digest;
    use crate::compare::digest::tests::row as request;
    use crate::compare::layout::tests::steady;
    use crate::record::Sink;
    use crate::units::World;

    fn world(world: World, latency: u64) -> WorldSummary {
        let mut digest = Digest::new(&steady(60), world);
        (0..1000).for_each(|i| digest.request(&request(i, i * 1_000_000, latency + i)));
        digest.summary()
    }

    fn p50(sim: u64, rounds: &[u64]) -> Cell {
        let sim = world(World::Sim, sim);
        let rounds: Vec<_> = rounds.iter().map(|at| world(World::Live, *at)).collect();
        let evidence = Evidence { sim: Some(&sim), live: rounds.first(), rounds: &rounds };
        let all = statistics(&[evidence]);
        assert_eq!(all[0].name, "p50");
        all[0].cells[0]
    }

    #[test]
    fn a_model_is_near_by_the_goal_or_by_what_the_live_world_repeats() {
        let goal = p50(102_000_000, &[100_000_000]);
        assert_eq!((goal.nearness, goal.repeatability), (Some(Nearness::Goal), None));
        assert!((goal.difference.unwrap() - 0.02).abs() < 0.001);
        assert_eq!(p50(105_000_000, &[100_000_000]).nearness, Some(Nearness::Beyond));
        let noisy = p50(105_000_000, &[100_000_000, 106_000_000]);
        assert_eq!(noisy.nearness, Some(Nearness::Repeatability));
        assert!((noisy.repeatability.unwrap() - 0.06).abs() < 0.001);
        assert_eq!(p50(107_000_000, &[100_000_000, 106_000_000]).nearness, Some(Nearness::Beyond));
    }

    #[test]
    fn counts_are_of_one_round_and_differ_by_requests() {
        let mut sim = world(World::Sim, 5);
        let mut live = world(World::Live, 5);
        (sim.failed, live.failed, live.replications) = (9, 10, 2);
        let evidence = Evidence { sim: Some(&sim), live: Some(&live), rounds: &[] };
        let all = statistics(&[evidence]);
        let failed = all.iter().find(|one| one.name == "failed").unwrap();
        assert_eq!(failed.cells[0].live, Some(5.0));
        assert_eq!(failed.cells[0].difference, Some(4.0));
        assert_eq!(failed.cells[0].nearness, Some(Nearness::Beyond));
        assert!(all.iter().any(|one| one.name == "share a-1" && one.goal == Some(SHARE_GOAL)));
    }

    #[test]
    fn a_world_that_did_not_run_leaves_its_place_empty() {
        let sim = world(World::Sim, 5);
        let all = statistics(&[Evidence { sim: Some(&sim), live: None, rounds: &[] }]);
        let cell = all[0].cells[0];
        assert!(cell.sim.is_some());
        assert_eq!((cell.live, cell.difference, cell.nearness), (None, None, None));
        assert!(statistics(&[]).is_empty());
    }
}
