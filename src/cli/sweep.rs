//! `lab sweep`: a scenario at many points, in the model.

mod axes;

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::exit::Exit;
use super::model_args::{ModelArgs, OutArgs};
use super::overrides::Overrides;
use super::terminal::{complain, paint, print};
use crate::experiment::sweep::{self, Pending, Sweep, SweepError};
use crate::host::interrupt;
use crate::record::{RecordError, summary_row};
use crate::report;
use crate::scenario::SweepFacts;
use crate::scenario::sweep::{LOAD, Measure};
use crate::sweep::{Shard, ShardError, SweepResults};

/// Arguments of `lab sweep`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  lab sweep scenarios/sweep-policies.toml
  lab sweep scenarios/mm1.toml --set balancer.algorithm=random,random_two --set load=0.5..0.95
  lab sweep site.toml --set 'backend.b.service.mean=5ms..80ms log' --set load=0.3..0.9 --samples 100
  lab sweep site.toml --check --quiet      exit with 3 if a check fails at any point
  lab sweep site.toml --shard 2/4      a quarter of the points; any four shares make the whole
  lab sweep results/site/sweep-3f9a1c2e7d10      show it again, from its folder

A value with commas is a list, LOW..HIGH a range; `load` is the offered load as a share of what the
servers can serve. Points that are done are never run again: start the same command after a kill, or
on other hosts with a shared folder. In a Slurm array or a Kubernetes Indexed Job the share is taken
from the task's index.")]
pub(super) struct SweepArgs {
    /// Scenario file, or the folder of a sweep to show it
    #[arg(value_name = "SCENARIO")]
    target: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// Points of a Latin hypercube over the ranges, in place of a grid
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
    /// The statistic by which points are compared, in place of the scenario's
    #[arg(long, value_enum)]
    measure: Option<MeasureWord>,
    /// Key of the axis whose values are compared, in place of the scenario's
    #[arg(long, value_name = "KEY")]
    compare: Option<String>,
    /// Replications of each point, in place of the scenario's
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    replications: Option<u32>,
    #[command(flatten)]
    model: ModelArgs,
    /// Exit with 3 if a check of the scenario fails at a point
    #[arg(long)]
    check: bool,
    /// Run share K of N alone, such as 2/4
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Number of shares, where a batch system says only which one this is
    #[arg(long, value_name = "N", env = "LAB_SHARDS", value_parser = clap::value_parser!(u32).range(1..))]
    shards: Option<u32>,
    #[command(flatten)]
    out: OutArgs,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

/// [`Measure`] as an argument.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum MeasureWord {
    Mean,
    P50,
    P90,
    P99,
    #[value(name = "p99.9")]
    P999,
    Errors,
    Goodput,
    Retries,
}

impl From<MeasureWord> for Measure {
    fn from(word: MeasureWord) -> Self {
        match word {
            MeasureWord::Mean => Self::Mean,
            MeasureWord::P50 => Self::P50,
            MeasureWord::P90 => Self::P90,
            MeasureWord::P99 => Self::P99,
            MeasureWord::P999 => Self::P999,
            MeasureWord::Errors => Self::Errors,
            MeasureWord::Goodput => Self::Goodput,
            MeasureWord::Retries => Self::Retries,
        }
    }
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Sweep(#[from] SweepError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Chart(#[from] report::chart::ChartError),
    #[error(transparent)]
    Shard(#[from] ShardError),
    #[error("{0}")]
    Usage(String),
    #[error("cannot watch for signals: {0}")]
    Signals(std::io::Error),
}

impl Failure {
    const fn exit(&self) -> Exit {
        match self {
            Self::Sweep(SweepError::Record(_))
            | Self::Record(_)
            | Self::Chart(_)
            | Self::Signals(_) => Exit::Failed,
            Self::Sweep(_) | Self::Shard(_) | Self::Usage(_) => Exit::Usage,
        }
    }
}

/// Runs what is left of the sweep, shows it if it is complete, and says how it ended.
pub(super) fn run(args: &SweepArgs) -> Exit {
    match try_run(args) {
        Ok(exit) => exit,
        Err(failure) => {
            complain(&failure);
            failure.exit()
        }
    }
}

fn try_run(args: &SweepArgs) -> Result<Exit, Failure> {
    if args.target.is_dir() {
        return show_again(args);
    }
    let sweep = prepare(args)?;
    let shard = shard(args)?;
    let pending = sweep.check(shard)?;
    let stop = interrupt::flag().map_err(Failure::Signals)?;
    if pending.done > 0 {
        args.say(&format!("{} of {} points are done already", pending.done, pending.of));
    }
    let bar = bar(&pending, args);
    let threads = args.model.threads();
    let done = sweep.run(&pending, threads, &stop, &|weight| bar.inc(weight));
    bar.finish_and_clear();
    let done = done?;
    if done < pending.todo.len() {
        let (done, of) = (pending.done + done, pending.of);
        args.say(&format!("interrupted: {done} of {of} points are done; the same command goes on"));
        return Ok(Exit::Interrupted);
    }
    show(&sweep, shard, args)
}

/// The sweep as the scenario and the command line have it.
fn prepare(args: &SweepArgs) -> Result<Sweep, Failure> {
    let mut swept = Vec::new();
    let mut fixed = Vec::new();
    for (key, value) in args.overrides.pairs() {
        match axes::axis(key, value).map_err(Failure::Usage)? {
            Some(axis) => swept.push(axis),
            None if key == LOAD => {
                let why = "a single `load` is no sweep: give several, such as --set load=0.5,0.8";
                return Err(Failure::Usage(why.to_owned()));
            }
            None => fixed.push((key.clone(), value.clone())),
        }
    }
    let number = |key: &str, value: String| (key.to_owned(), value);
    fixed.extend(args.model.seed.map(|seed| number("scenario.seed", seed.to_string())));
    fixed.extend(args.replications.map(|count| number("scenario.replications", count.to_string())));
    let calibration = args.model.calibration.as_deref();
    let change = |facts: &mut SweepFacts| {
        // A key that the command line fixes is no axis any more.
        facts.axes.retain(|axis| !fixed.iter().any(|(key, _)| *key == axis.key));
        for axis in swept {
            match facts.axes.iter_mut().find(|other| other.key == axis.key) {
                Some(other) => *other = axis,
                None => facts.axes.push(axis),
            }
        }
        facts.samples = args.samples.or(facts.samples);
        facts.measure = args.measure.map_or(facts.measure, Into::into);
        facts.compare = args.compare.clone().or_else(|| facts.compare.clone());
        facts.compare = facts.compare.take().filter(|it| facts.axes.iter().any(|a| a.key == *it));
    };
    let sweep = Sweep::prepare(&args.target, &fixed, calibration, &args.out.folder, change)?;
    if let Some(key) = &args.compare
        && !sweep.compares(key)
    {
        return Err(Failure::Usage(format!("--compare {key}: the sweep has no axis of that key")));
    }
    Ok(sweep)
}

/// The share that was asked for, or that of a task of a batch system.
fn shard(args: &SweepArgs) -> Result<Shard, Failure> {
    if let Some(shard) = args.shard {
        return Ok(shard);
    }
    let variable = |name: &str| std::env::var(name).ok();
    let Some((shard, why)) = Shard::from_environment(variable, args.shards)? else {
        return Ok(Shard::WHOLE);
    };
    args.say(&format!("shard {shard}, by {why}"));
    Ok(shard)
}

impl SweepArgs {
    fn say(&self, what: &str) {
        if !self.out.quiet && !self.json {
            eprintln!("lab: {what}");
        }
    }
}

/// A bar over the requests that are left.
fn bar(pending: &Pending, args: &SweepArgs) -> ProgressBar {
    let seen = !args.out.quiet && !args.json && std::io::stderr().is_terminal();
    let target = if seen { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let requests = pending.todo.iter().map(|(_, weight)| weight).sum();
    let bar = ProgressBar::with_draw_target(Some(requests), target);
    let style = ProgressStyle::with_template("{msg} {wide_bar:.blue} {percent:>3}%  {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(format!("{} points", pending.todo.len()));
    if seen {
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
    }
    bar
}

/// The results if every point is done, else what is missing.
fn show(sweep: &Sweep, shard: Shard, args: &SweepArgs) -> Result<Exit, Failure> {
    let results = sweep.results()?;
    let missing = sweep.len() - results.points.len();
    if missing > 0 {
        let share =
            if shard.is_whole() { String::new() } else { format!("shard {shard} is done: ") };
        let (there, of) = (results.points.len(), sweep.len());
        args.say(&format!(
            "{share}{there} of {of} points of the sweep are in {}",
            sweep.folder().display()
        ));
        return Ok(verdict(&results, args));
    }
    let charts = draw(sweep, &results)?;
    sweep.write_summary(&results)?;
    tell(&results, args);
    if !args.out.quiet && !args.json {
        print(&format!(
            "results in {}: points/ as Hive-partitioned Parquet, summary.json, {charts} charts\n",
            sweep.folder().display()
        ));
    }
    Ok(verdict(&results, args))
}

/// A sweep goes where checks fail on purpose, so that alone is no failure unless it is said to be one.
fn verdict(results: &SweepResults, args: &SweepArgs) -> Exit {
    let failed = results.checks.iter().any(|check| check.failed > 0);
    if args.check && failed { Exit::CheckFailed } else { Exit::Held }
}

fn tell(results: &SweepResults, args: &SweepArgs) {
    if args.json {
        print(&(serde_json::to_string_pretty(results).unwrap_or_default() + "\n"));
    } else if !args.out.quiet {
        print(&report::sweep::render(results, paint()));
    }
}

/// A sweep from its folder, as far as it has come. What is complete is drawn.
fn show_again(args: &SweepArgs) -> Result<Exit, Failure> {
    let sweep = sweep::open(&args.target)?;
    let results = sweep.results()?;
    if results.points.len() == sweep.len() {
        return show(&sweep, Shard::WHOLE, args);
    }
    args.say(&format!("{} of {} points are done", results.points.len(), sweep.len()));
    tell(&results, args);
    Ok(verdict(&results, args))
}

/// Draws every chart where nobody sees it half done, then moves it.
fn draw(sweep: &Sweep, results: &SweepResults) -> Result<usize, Failure> {
    let folder = sweep.scratch().join(format!("charts-{}", summary_row::unique()));
    let made = std::fs::create_dir_all(&folder);
    made.map_err(RecordError::io("create the folder", &folder))?;
    let charts = report::chart::draw_sweep(results, &folder)?;
    for chart in &charts {
        let to = sweep.folder().join(chart.file_name().unwrap_or_default());
        std::fs::rename(chart, &to).map_err(RecordError::io("write", &to))?;
    }
    // Empty now, and hidden if it stays.
    let _ = std::fs::remove_dir(&folder);
    Ok(charts.len())
}
