//! What the model found, tried in the live world.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Search, four_digits, live_holds, search};
use crate::compare::{CAPACITY_SCHEMA_VERSION, Capacity, Probe};
use crate::experiment::entry::{Around, Entry, save};
use crate::experiment::identity;
use crate::experiment::run::{RunError, RunOptions};
use crate::experiment::settle::settle;
use crate::live::{self, Watcher};
use crate::record::{RecordError, RunDirectory};
use crate::scenario::{Engine, Scenario};
use crate::units::{Span, World};

/// Loads at which the live world is tried, as shares of the answer.
const AROUND: [f64; 3] = [0.9, 1.0, 1.1];

/// A capacity while its folder is written. Dropping it without [`CapacityOutcome::commit`] leaves
/// nothing behind.
#[derive(Debug)]
pub struct CapacityOutcome {
    /// What was found.
    pub capacity: Capacity,
    directory: RunDirectory,
}

impl CapacityOutcome {
    /// Where files, such as charts, can be added before it is complete.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Completes it: its folder gets its final name.
    ///
    /// # Errors
    /// When it cannot.
    pub fn commit(self) -> Result<(Capacity, PathBuf), RecordError> {
        let folder = self.directory.commit()?;
        Ok((self.capacity, folder))
    }
}

/// Finds the capacity of `scenario` in the model from its own level `start` on, and tries it live unless
/// `options.only` is the model.
///
/// # Errors
/// See [`RunError`]; nothing is left behind then.
pub fn capacity(
    scenario: &Scenario,
    how: &Search,
    start: f64,
    options: &RunOptions,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<CapacityOutcome, RunError> {
    let live = options.only != Some(World::Sim);
    if live {
        live::check_installed(&scenario.balancer.engine)?;
    }
    let options = RunOptions { only: None, ..options.clone() };
    let mut scenario = settle(scenario, &options.means(watcher, stop))?.scenario;
    scenario.checks.clone_from(&how.slos);
    (scenario.replications, scenario.precision, scenario.until) = (1, None, None);
    let started = identity::wall();
    let id = identity::run_id(started);
    let name = format!("{}-capacity", scenario.name);
    let model = search(&scenario, how, start, watcher, stop)?;
    let directory = RunDirectory::create(&options.out, &name, &id)?;
    let mut capacity = Capacity {
        schema_version: CAPACITY_SCHEMA_VERSION,
        scenario: scenario.name.clone(),
        run: id.clone(),
        seed: scenario.seed,
        slos: how.slos.iter().map(|slo| slo.text.clone()).collect(),
        unit: how.axis.unit(&scenario).to_owned(),
        fewest: how.axis.helps(),
        model,
        live: Vec::new(),
        partial: false,
    };
    let around = Around { options: &options, id: &id, started, watcher, stop };
    let levels = if live { levels(&capacity, how, &scenario) } else { Vec::new() };
    for (number, level) in levels.into_iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let at = how.axis.at(&scenario, level)?;
        let folder = format!("probe-{}", number + 1);
        let path = directory.path().join(&folder);
        std::fs::create_dir(&path).map_err(RecordError::io("create the folder", &path))?;
        watcher.phase(&format!("live at {level} {}", capacity.unit));
        watcher.passed(Span::ZERO);
        if let Some(probe) = probe(&at, level, folder, &path, &around)? {
            capacity.live.push(probe);
        }
    }
    capacity.partial = stop.load(Ordering::Relaxed);
    save(&capacity, directory.path())?;
    Ok(CapacityOutcome { capacity, directory })
}

/// Around the answer, within what the scenario's engine can be given.
fn levels(capacity: &Capacity, how: &Search, scenario: &Scenario) -> Vec<f64> {
    let Some(answer) = capacity.model.answer else { return Vec::new() };
    let elsewhere = matches!(scenario.balancer.engine, Engine::Elsewhere(_));
    if capacity.fewest && elsewhere {
        return Vec::new();
    }
    let mut levels: Vec<f64> = match how.axis.is_whole(scenario) {
        true if answer < 20.0 || capacity.fewest => vec![answer - 1.0, answer, answer + 1.0],
        true => AROUND.iter().map(|share| (answer * share).round()).collect(),
        false => AROUND.iter().map(|share| four_digits(answer * share)).collect(),
    };
    levels.retain(|level| *level > 0.0);
    levels.dedup();
    levels
}

fn probe(
    at: &Scenario,
    level: f64,
    folder: String,
    path: &std::path::Path,
    around: &Around<'_>,
) -> Result<Option<Probe>, RunError> {
    let mut entry = Entry::open(at, path, around)?;
    entry.round(0, around)?;
    let results = entry.finish(around)?.results;
    if results.partial {
        return Ok(None);
    }
    let Some(live) = results.worlds.iter().find(|it| it.world == World::Live) else {
        return Ok(None);
    };
    let mut of_the_model =
        results.checks.iter().filter(|it| it.world == Some(World::Sim)).peekable();
    let model_holds = of_the_model
        .peek()
        .is_some()
        .then(|| of_the_model.all(|check| check.verdict == crate::compare::Verdict::Held));
    Ok(Some(Probe {
        level,
        holds: live_holds(&results.checks),
        model_holds,
        p50_ns: live.latency.p50.value,
        p99_ns: live.latency.p99.value,
        goodput: live.goodput,
        apart: results.comparison.as_ref().map_or_else(Vec::new, |it| it.quantiles.clone()),
        validity: results.validity.clone(),
        folder,
    }))
}
