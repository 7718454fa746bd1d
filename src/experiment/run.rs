//! One experiment: a scenario to an outcome. Both worlds, the record, the comparison, the checks.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::entry::{Around, Entry};
use super::settle::{Means, settle};
use super::{identity, model};
use crate::compare::{Baseline, Digest, Layout, ModelMode, Results};
use crate::live::{self, LiveError, Watcher};
use crate::monitor::Board;
use crate::record::sink::Both;
use crate::record::{Calibration, Costs, HlogWriter, RecordError, Recorder, RunDirectory};
use crate::scenario::{Diagnostics, Scenario};
use crate::sim::ServiceTimes;
use crate::units::World;

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
    /// Real-time priority for what keeps time in the live world; see [`LiveOptions`](crate::live::LiveOptions).
    pub real_time: bool,
    /// Threads for the model's replications.
    pub threads: usize,
    /// What the host adds, for the model; `None` takes it as zero.
    pub calibration: Option<Calibration>,
    /// A calibration of this host that is not asked for, to show what it would explain.
    pub known_calibration: Option<Calibration>,
    /// A configuration of the user's own for the engine, in place of the scenario's.
    pub engine_config: Option<String>,
    /// Where the run is shown while it lasts.
    pub board: Option<Board>,
    /// A Prometheus that scrapes this run.
    pub prometheus: Option<SocketAddr>,
    /// Where the backends of the live world live.
    pub provider: live::ProviderOptions,
    /// What the results may not be worse than.
    pub baseline: Option<Baseline>,
}

impl RunOptions {
    /// What finding a scenario's warm-up and end needs.
    pub(super) fn means<'a>(&'a self, watcher: &'a dyn Watcher, stop: &'a AtomicBool) -> Means<'a> {
        let (only, threads, calibration) = (self.only, self.threads, self.calibration.as_ref());
        Means { only, threads, calibration, watcher, stop }
    }
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

/// Runs `scenario` with its engine as `options` say, until its end or until `stop` is set.
///
/// # Errors
/// See [`RunError`]; nothing is left behind then.
pub fn run(
    scenario: &Scenario,
    options: &RunOptions,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Outcome, RunError> {
    if options.only != Some(World::Sim) {
        live::check_installed(&scenario.balancer.engine)?;
    }
    let started = identity::wall();
    let id = identity::run_id(started);
    let settled = settle(scenario, &options.means(watcher, stop))?;
    let directory = RunDirectory::create(&options.out, &scenario.name, &id)?;
    let around = Around { options, id: &id, started, watcher, stop };
    let mut entry = Entry::open(&settled.scenario, directory.path(), &around)?;
    entry.warn(&settled.warnings);
    if options.only != Some(World::Sim) {
        for round in 0..options.rounds.max(1) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            entry.round(round, &around)?;
        }
    }
    watcher.phase("comparing");
    let results = entry.finish(&around)?.results;
    Ok(Outcome { results, directory })
}

/// The calibration that a run is to take: the one `asked` for on the command line, or else that of the
/// scenario.
///
/// # Errors
/// When its file cannot be read.
pub fn calibration_of(
    asked: Option<&Path>,
    scenario: &Scenario,
) -> Result<Option<Calibration>, RecordError> {
    let path = asked.or(scenario.host.calibration.as_deref());
    path.map(Calibration::load).transpose()
}

/// What the host adds behind the scenario's engine at its load, as far as that was measured.
pub(super) fn costs_of(scenario: &Scenario, calibration: Option<&Calibration>) -> Option<Costs> {
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
