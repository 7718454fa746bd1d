//! `lab run`: a scenario in both worlds.

mod engines;
mod output;
mod provider;
mod shown;

pub(super) use engines::worst;
pub(super) use output::Format;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::shown::{ShowArgs, ShowError, Shown, Telling};
use super::baseline::BaselineArgs;
use super::exit::Exit;
use super::model_args::{ModelArgs, OutArgs};
use super::overrides::Overrides;
use super::progress::Bar;
use super::terminal::{complain, paint, print};
use crate::compare::{Results, Verdict};
use crate::experiment::{self, RunError, RunOptions};
use crate::host::{interrupt, priority};
use crate::policy::scale::Metric;
use crate::record::Calibration;
use crate::report;
use crate::scenario::{self, AutoscalerFacts, Engine, MetricSource, Scenario};
use crate::units::World;

pub(super) use provider::{cores, memory};

/// Arguments of `lab run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Scenario file
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// Run one world alone
    #[arg(long, value_enum)]
    only: Option<Only>,
    #[command(flatten)]
    overrides: Overrides,
    /// The balancer, in place of the scenario's: own, nginx, haproxy, envoy or
    /// url:http://HOST:PORT/PATH; several, with commas between, are compared
    #[arg(long, value_name = "ENGINE", value_delimiter = ',')]
    engine: Vec<Engine>,
    /// Run the engine with this configuration of your own; only where it listens, its servers'
    /// addresses and its own files are replaced
    #[arg(long, value_name = "FILE")]
    engine_config: Option<PathBuf>,
    #[command(flatten)]
    provider: provider::ProviderArgs,
    /// Rounds of the live world, to see how far it repeats itself
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Replications of the model, in place of the scenario's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    replications: Option<u32>,
    #[command(flatten)]
    model: ModelArgs,
    /// Show the value of queueing theory beside the model's, where there is a formula
    #[arg(long)]
    theory: bool,
    /// Keep the live world's generator and backends at normal priority, even where real-time
    /// priority is permitted
    #[arg(long)]
    normal_priority: bool,
    #[command(flatten)]
    show: ShowArgs,
    #[command(flatten)]
    baseline: BaselineArgs,
    #[command(flatten)]
    output: output::OutputArgs,
    #[command(flatten)]
    out: OutArgs,
}

impl RunArgs {
    /// Whether nothing but what was asked for goes to stdout, and no progress to stderr.
    fn silent(&self) -> bool {
        self.out.quiet || self.output.format() == Format::Json
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Only {
    /// The model
    Sim,
    /// The real stack
    Live,
}

/// Runs, reports, and says how it ended.
pub(super) fn run(args: &RunArgs) -> Exit {
    let ended = match args.engine.len() {
        0 | 1 => try_run(args).map(|results| verdict(&results)),
        _ => engines::try_run(args),
    };
    match ended {
        Ok(exit) => exit,
        Err(Failure::Run(RunError::Interrupted)) => Exit::Interrupted,
        Err(failure) => {
            complain(&failure);
            let usage = matches!(failure, Failure::Run(RunError::Scenario(_)) | Failure::Usage(_));
            if usage { Exit::Usage } else { Exit::Failed }
        }
    }
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Chart(#[from] report::chart::ChartError),
    #[error(transparent)]
    Show(#[from] ShowError),
    #[error(transparent)]
    Output(#[from] output::OutputError),
    #[error("{0}")]
    Usage(String),
}

fn try_run(args: &RunArgs) -> Result<Results, Failure> {
    let scenario = load(args, args.engine.first())?;
    let mut options = options(args, &scenario)?;
    let stop = interrupt::flag().map_err(RunError::Signals)?;
    let shown = show(args, &scenario, &mut options)?;
    let bar = Bar::new(scenario.duration, args.silent());
    let watcher = Telling { inner: &bar, board: shown.board.as_ref() };
    let outcome = experiment::run(&scenario, &options, &watcher, &stop);
    bar.clear();
    let outcome = outcome?;
    let charts = report::chart::draw_all(&outcome.results, outcome.folder())?;
    shown.finish(outcome.folder())?;
    let (results, folder) = outcome.commit().map_err(RunError::from)?;
    args.output.write(&[(results.scenario.clone(), &results)], &args.scenario)?;
    if args.output.format() == Format::Text && !args.out.quiet {
        print(&report::terminal::render(&results, paint()));
        let engine = &scenario.balancer.engine;
        let gaps = crate::engine::gaps(&scenario, engine);
        print(&report::parity::gaps([(&*engine.name(), &gaps[..])], paint()));
        if args.theory {
            let model = results.worlds.iter().find(|world| world.world == World::Sim);
            let predictions = experiment::theory::for_scenario(&scenario);
            print(&super::theory::beside(predictions.as_deref(), model));
        }
        print(&files(&folder, charts.len()));
    }
    Ok(results)
}

/// How it is to be run. A configuration of the user's own is read and tried on the scenario, and
/// what is replaced in it is shown.
fn options(args: &RunArgs, scenario: &Scenario) -> Result<RunOptions, Failure> {
    Ok(RunOptions {
        only: args.only.map(|only| match only {
            Only::Sim => World::Sim,
            Only::Live => World::Live,
        }),
        out: args.out.folder.clone(),
        rounds: args.rounds,
        real_time: !args.normal_priority && priority::real_time_permitted(),
        threads: args.model.threads(),
        calibration: args.model.calibration(scenario).map_err(RunError::from)?,
        known_calibration: Calibration::load(&args.out.folder.join("calibration.json")).ok(),
        engine_config: args
            .engine_config
            .as_ref()
            .map(|path| engines::own_configuration(path, scenario, args.silent()))
            .transpose()
            .map_err(Failure::Usage)?,
        board: None,
        prometheus: None,
        provider: args.provider.options(),
        baseline: args.baseline.read().map_err(Failure::Usage)?,
    })
}

/// Shows the run, if that was asked for, and lets it know where.
fn show(args: &RunArgs, scenario: &Scenario, options: &mut RunOptions) -> Result<Shown, Failure> {
    let asked = args.show.metrics.or(args.show.prometheus).is_some();
    if asked && options.only == Some(World::Sim) {
        let why = "--metrics and --prometheus show the live world: leave --only sim out";
        return Err(Failure::Usage(why.to_owned()));
    }
    let asks = |autoscaler: &AutoscalerFacts| autoscaler.source == MetricSource::Prometheus;
    let needed = options.only != Some(World::Sim) && scenario.autoscaler.as_ref().is_some_and(asks);
    if needed && args.show.prometheus.is_none() {
        let why = "the autoscaler's `source` is \"prometheus\": run one beside with --prometheus";
        return Err(Failure::Usage(why.to_owned()));
    }
    if let Some(why) = unknown_metric(args, scenario, options.only) {
        return Err(Failure::Usage(why));
    }
    let shown =
        Shown::start(&args.show, scenario.autoscaler.as_ref(), &args.out.folder, args.silent())?;
    options.board.clone_from(&shown.board);
    options.prometheus = shown.prometheus();
    Ok(shown)
}

/// An external metric that a world which runs cannot know, and what would be right.
fn unknown_metric(args: &RunArgs, scenario: &Scenario, only: Option<World>) -> Option<String> {
    let metrics = &scenario.autoscaler.as_ref()?.scale.metrics;
    let name = metrics.iter().find_map(|metric| match metric {
        Metric::External(external) if external.series.is_empty() => Some(&external.name),
        _ => None,
    })?;
    if only != Some(World::Live) {
        return Some(format!(
            "the model cannot ask for the metric `{name}`: write what it is into its `series`, or \
             run with --only live"
        ));
    }
    args.show.prometheus.is_none().then(|| {
        format!("the metric `{name}` is asked of Prometheus: run one beside with --prometheus")
    })
}

/// The scenario with what the command line replaces, with `engine` if one is given.
fn load(args: &RunArgs, engine: Option<&Engine>) -> Result<Scenario, RunError> {
    let mut pairs = args.overrides.pairs().to_vec();
    pairs.extend(engine.map(|engine| ("balancer.engine".to_owned(), engine.name())));
    let mut scenario = scenario::load_with(&args.scenario, &pairs)?;
    args.model.seed(&mut scenario);
    scenario.replications = args.replications.unwrap_or(scenario.replications);
    Ok(scenario)
}

/// Cores that lab may use.
pub(super) fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn files(folder: &std::path::Path, charts: usize) -> String {
    format!(
        "results in {}: requests, attempts, timeline and events as Parquet, latency.hlog, summary.json, run.json, {charts} charts\n",
        folder.display()
    )
}

/// A partial run says so first; then whether it may be believed; then whether its checks held.
pub(super) fn verdict(results: &Results) -> Exit {
    if results.partial {
        return Exit::Interrupted;
    }
    if results.validity.as_ref().is_some_and(|validity| !validity.valid()) {
        return Exit::Invalid;
    }
    let mut told = results.checks.iter().chain(&results.regressions);
    if told.any(|check| check.verdict == Verdict::Failed) {
        return Exit::CheckFailed;
    }
    Exit::Held
}
