//! Engines side by side: each against its model, and against one another.

use serde::{Deserialize, Serialize};

use super::statistic::{Evidence, Statistic, Unit, statistics};
use super::summary::{Results, WorldSummary};
use crate::engine::Gap;
use crate::record::manifest;
use crate::units::World;

/// Version of the `summary.json` of several engines.
pub const ENGINES_SCHEMA_VERSION: u32 = 1;

/// One engine's part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EngineColumn {
    /// The engine as a scenario names it.
    pub label: String,
    /// Its folder in that of the run.
    pub folder: String,
    /// The program and its settings; `None` if the live world did not run.
    pub facts: Option<manifest::Engine>,
    /// What it cannot do.
    pub gaps: Vec<Gap>,
    /// Its results, as `lab run` with this engine alone would have them.
    pub results: Results,
}

/// One statistic of an engine against that of the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Against {
    /// Live against live.
    pub live: Option<f64>,
    /// Model against model: the rules alone.
    pub sim: Option<f64>,
    /// Whether the live difference is larger than what either engine's rounds differ by; `None`
    /// with fewer than two rounds.
    pub beyond: Option<bool>,
}

/// How the engines differ in one statistic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Apart {
    /// Name of the statistic.
    pub name: String,
    /// What it is measured in.
    pub unit: Unit,
    /// Per engine but the first, in order.
    pub engines: Vec<Against>,
}

/// Everything that `summary.json` of several engines holds and the report shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnginesResults {
    /// Version of this format.
    pub schema_version: u32,
    /// Name of the scenario.
    pub scenario: String,
    /// Id of the run: the name of its folder.
    pub run: String,
    /// The seed.
    pub seed: u64,
    /// Interrupted before its end.
    pub partial: bool,
    /// The order in which each round of the live world ran the engines, drawn by the seed.
    pub order: Vec<Vec<String>>,
    /// Per engine, as they were asked for.
    pub engines: Vec<EngineColumn>,
    /// Each statistic of every engine, live and simulated.
    pub statistics: Vec<Statistic>,
    /// Each statistic against that of the first engine.
    pub apart: Vec<Apart>,
}

/// A run of several engines, before its statistics are compared.
#[derive(Clone, Debug)]
pub struct EnginesRun {
    /// Id of the run.
    pub run: String,
    /// The order of each round.
    pub order: Vec<Vec<String>>,
    /// Per engine; at least one.
    pub engines: Vec<MeasuredEngine>,
}

/// What one engine left.
#[derive(Clone, Debug)]
pub struct MeasuredEngine {
    /// Its part of the report.
    pub column: EngineColumn,
    /// The model's replication that has the live world's requests.
    pub sim: Option<WorldSummary>,
    /// Each round of the live world.
    pub rounds: Vec<WorldSummary>,
}

impl EnginesRun {
    /// Compares the engines.
    #[must_use]
    pub fn results(self) -> EnginesResults {
        let evidence: Vec<Evidence<'_>> = self
            .engines
            .iter()
            .map(|engine| Evidence {
                sim: engine.sim.as_ref(),
                live: engine.column.results.worlds.iter().find(|it| it.world == World::Live),
                rounds: &engine.rounds,
            })
            .collect();
        let statistics = statistics(&evidence);
        let first = self.engines.first().map(|engine| &engine.column.results);
        EnginesResults {
            schema_version: ENGINES_SCHEMA_VERSION,
            scenario: first.map_or_else(String::new, |results| results.scenario.clone()),
            run: self.run,
            seed: first.map_or(0, |results| results.seed),
            partial: self.engines.iter().any(|engine| engine.column.results.partial),
            order: self.order,
            apart: statistics.iter().map(apart).collect(),
            statistics,
            engines: self.engines.into_iter().map(|engine| engine.column).collect(),
        }
    }
}

fn apart(statistic: &Statistic) -> Apart {
    let (first, others) = statistic
        .cells
        .split_first()
        .map_or((Default::default(), &[][..]), |(first, others)| (*first, others));
    let between = |one: Option<f64>, other: Option<f64>| {
        one.zip(other).map(|(one, other)| statistic.unit.difference(one, other))
    };
    let engines = others
        .iter()
        .map(|cell| {
            let live = between(cell.live, first.live);
            let noise = cell.repeatability.zip(first.repeatability);
            Against {
                live,
                sim: between(cell.sim, first.sim),
                beyond: live.zip(noise).map(|(live, (one, other))| live.abs() > one.max(other)),
            }
        })
        .collect();
    Apart { name: statistic.name.clone(), unit: statistic.unit, engines }
}

#[cfg(test)]
mod tests {
    use super::super::statistic::Cell;
    use super::*;

    fn cell(live: f64, sim: f64, repeatability: Option<f64>) -> Cell {
        Cell { live: Some(live), sim: Some(sim), repeatability, ..Cell::default() }
    }

    #[test]
    fn a_difference_counts_when_neither_engine_differs_as_much_from_itself() {
        let of = |first: Option<f64>, second: Option<f64>| {
            let statistic = Statistic {
                name: "p50".to_owned(),
                unit: Unit::Latency,
                goal: None,
                cells: vec![cell(100.0, 100.0, first), cell(110.0, 101.0, second)],
            };
            apart(&statistic).engines[0]
        };
        let seen = of(Some(0.02), Some(0.05));
        assert!((seen.live.unwrap() - 0.1).abs() < 1e-9 && (seen.sim.unwrap() - 0.01).abs() < 1e-9);
        assert_eq!(seen.beyond, Some(true));
        assert_eq!(of(Some(0.02), Some(0.2)).beyond, Some(false));
        assert_eq!(of(None, None).beyond, None);
    }
}
