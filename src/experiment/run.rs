//! One experiment: a scenario to an outcome. Both worlds, the record, the comparison, the checks.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{identity, judge, model, reality};
use crate::compare::{self, Digest, Evidence, Layout, ModelMode, Results};
use crate::host::date;
use crate::live::{LiveError, LiveOptions, LiveRun, Watcher};
use crate::record::manifest::{FaultProof, MANIFEST_SCHEMA_VERSION, ScenarioText};
use crate::record::sink::Both;
use crate::record::{
    Calibration, Costs, HlogWriter, Manifest, Names, RecordError, Recorder, RunDirectory,
};
use crate::scenario::{Diagnostics, Scenario};
use crate::sim::{Options, ServiceTimes};
use crate::units::{Span, World};

/// Everything that rows are written to.
pub(super) type Files = Both<Recorder, HlogWriter>;

/// How a scenario is to be run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// One world alone.
    pub only: Option<World>,
    /// Where results go; a folder per scenario and run is made below it.
    pub out: PathBuf,
    /// Rounds of the live world; at least 1.
    pub rounds: u32,
    /// Real-time priority for what keeps time in the live world; see [`LiveOptions`].
    pub real_time: bool,
    /// Threads for the model's replications.
    pub threads: usize,
    /// What the host adds, for the model; `None` takes it as zero.
    pub calibration: Option<Calibration>,
    /// A calibration of this host that is not asked for, to show what it would explain.
    pub known_calibration: Option<Calibration>,
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The scenario is wrong.
    #[error(transparent)]
    Scenario(#[from] Diagnostics),
    /// Files could not be written or read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The live world failed.
    #[error(transparent)]
    Live(#[from] LiveError),
    /// A file for this run alone could not be made.
    #[error("cannot write {}: {error}", path.display())]
    Scratch {
        /// Which.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// Ctrl-C cannot be watched.
    #[error("cannot watch for signals: {0}")]
    Signals(std::io::Error),
    /// Too few requests were answered to measure anything.
    #[error("too few requests were answered to measure the host: is it overloaded?")]
    TooLittle,
    /// Interrupted where nothing is worth keeping.
    #[error("interrupted")]
    Interrupted,
}

/// What a run came to. Dropping it without [`Outcome::commit`] leaves nothing behind.
#[derive(Debug)]
pub struct Outcome {
    /// Its numbers.
    pub results: Results,
    directory: RunDirectory,
}

impl Outcome {
    /// Where files, such as charts, can be added before the run is complete.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.directory.path()
    }

    /// Completes the run: its folder gets its final name.
    ///
    /// # Errors
    /// When it cannot.
    pub fn commit(self) -> Result<(Results, PathBuf), RecordError> {
        let folder = self.directory.commit()?;
        Ok((self.results, folder))
    }
}

/// Runs `scenario` as `options` say, until its end or until `stop` is set.
///
/// # Errors
/// See [`RunError`]; nothing is left behind then.
pub fn run(
    scenario: &Scenario,
    options: &RunOptions,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Outcome, RunError> {
    let started = identity::wall();
    let id = identity::run_id(started);
    let directory = RunDirectory::create(&options.out, &scenario.name, &id)?;
    let layout = Layout::new(scenario);
    let names = Names::new(
        scenario.backends.iter().map(|backend| backend.name.clone()),
        scenario.traffic.classes.iter().map(|class| class.name.clone()),
    );
    let mut recorder = Both(
        Recorder::threaded(directory.path(), &scenario.name, &names)?,
        HlogWriter::create(
            &directory.path().join("latency.hlog"),
            hlog_interval(scenario),
            started,
        )?,
    );

    let mut modelled = Vec::new();
    if options.only != Some(World::Live) {
        watcher.phase("model");
        let sim = Options {
            costs: costs_of(scenario, options.calibration.as_ref()).unwrap_or_default(),
            stop: Some(stop),
            ..Options::default()
        };
        (modelled, recorder) = model::run(scenario, &layout, &sim, recorder, options.threads)?;
    }
    let mut rounds = Vec::new();
    if options.only != Some(World::Sim) {
        rounds = live_rounds(scenario, &layout, options, &directory, &mut recorder, watcher, stop)?;
    }
    recorder.0.finish()?;
    recorder.1.finish()?;

    watcher.phase("comparing");
    let partial = stop.load(Ordering::Relaxed);
    let calibration = options.calibration.as_ref().or(options.known_calibration.as_ref());
    let costs = costs_of(scenario, calibration);
    let models = match rounds.first() {
        Some(round) if !modelled.is_empty() => {
            other_models(scenario, &layout, costs.as_ref(), &round.service_times)
        }
        _ => Vec::new(),
    };
    let (sim, pairs, sim_warnings) = model::unpack(modelled);
    let live: Vec<Digest> = rounds.iter().map(|round| round.digest.clone()).collect();
    let mut results = compare::results(&Evidence {
        scenario: &scenario.name,
        run: &id,
        seed: scenario.seed,
        partial,
        sim: &sim,
        live: &live,
        pairs: pairs.as_ref().zip(rounds.first().map(|round| &round.pairs)),
        models: &models,
        checks: &scenario.checks,
        validity: judge::validity(&rounds, &live),
    });
    if let Some(world) = results.worlds.iter_mut().find(|world| world.world == World::Sim) {
        add_new(&mut world.warnings, sim_warnings);
    }
    manifest(scenario, options, &results, &rounds, &date::rfc3339(started))
        .save(&directory.path().join("run.json"))?;
    save_results(&results, directory.path())?;
    Ok(Outcome { results, directory })
}

fn live_rounds(
    scenario: &Scenario,
    layout: &Layout,
    options: &RunOptions,
    directory: &RunDirectory,
    recorder: &mut Files,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Vec<reality::Round>, RunError> {
    let mut rounds = Vec::new();
    for round in 0..options.rounds.max(1) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let scratch = directory.path().join(format!("spool-{round}"));
        let live = LiveOptions {
            // The file itself: what it names, such as a trace, is relative to it.
            scenario_file: scenario.path.clone(),
            overrides: scenario.overrides.clone(),
            real_time: options.real_time,
            engine_config: None,
            scratch: scratch.clone(),
            seed: scenario.seed,
            round,
        };
        rounds.push(reality::round(scenario, layout, &live, recorder, watcher, stop)?);
        // Everything in it is in the Parquet files now.
        let _ = std::fs::remove_dir_all(&scratch);
    }
    Ok(rounds)
}

/// What the host adds behind the scenario's engine at its load, as far as that was measured.
fn costs_of(scenario: &Scenario, calibration: Option<&Calibration>) -> Option<Costs> {
    calibration?.costs(&scenario.balancer.engine.name(), scenario.traffic.mean_rate())
}

/// The model run in other ways beside a live round whose service times are `measured`, to see
/// where a difference comes from.
pub(super) fn other_models(
    scenario: &Scenario,
    layout: &Layout,
    calibrated: Option<&Costs>,
    measured: &ServiceTimes,
) -> Vec<(ModelMode, Digest)> {
    let zero = Costs::default();
    let run =
        |mode, costs: &Costs, driven| (mode, model::digest_of(scenario, layout, costs, driven));
    let mut models = vec![run(ModelMode::Planned, &zero, None)];
    if let Some(costs) = calibrated {
        models.push(run(ModelMode::Calibrated, costs, None));
    }
    // What only adds to latency is still the calibration's; what holds the worker was measured.
    models.push(run(ModelMode::Driven, calibrated.unwrap_or(&zero), Some(measured)));
    models
}

/// A second, or more where the log would have more than some hundred histograms.
fn hlog_interval(scenario: &Scenario) -> Span {
    Span::from_secs(1).max(scenario.duration / 600)
}

fn add_new(warnings: &mut Vec<String>, more: Vec<String>) {
    for warning in more {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
}

fn manifest(
    scenario: &Scenario,
    options: &RunOptions,
    results: &Results,
    rounds: &[reality::Round],
    started: &str,
) -> Manifest {
    let sim_ran = options.only != Some(World::Live);
    Manifest {
        schema_version: MANIFEST_SCHEMA_VERSION,
        run: results.run.clone(),
        started: started.to_owned(),
        partial: results.partial,
        scenario: ScenarioText {
            path: scenario.path.clone(),
            overrides: scenario.overrides.clone(),
            ..ScenarioText::new(&scenario.name, &scenario.text)
        },
        seed: scenario.seed,
        replications: if sim_ran { scenario.replications } else { 0 },
        rounds: rounds.len() as u32,
        real_time: options.real_time && !rounds.is_empty(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: identity::host_facts(),
        engine: rounds.last().map(|round| round.run.engine.clone()).unwrap_or_default(),
        costs: costs_of(scenario, options.calibration.as_ref()),
        validity: serde_json::to_value(&results.validity).unwrap_or_default(),
        faults: rounds.iter().flat_map(|round| proofs(&round.run)).collect(),
    }
}

fn proofs(run: &LiveRun) -> impl Iterator<Item = FaultProof> {
    run.proofs.iter().map(|proof| FaultProof {
        fault: format!("{} on {}", proof.fault, proof.target),
        round: run.round,
        before: proof.before.clone(),
        during: proof.during.clone(),
        after: proof.after.clone(),
        bit: proof.bit,
    })
}

fn save_results(results: &Results, folder: &Path) -> Result<(), RunError> {
    let path = folder.join("summary.json");
    let mut text = serde_json::to_string_pretty(results).unwrap_or_default();
    text.push('\n');
    std::fs::write(&path, text).map_err(|error| RunError::Scratch { path, error })
}
