//! `lab capacity`: how much load a system takes, or how few servers are enough.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::model_args::{ModelArgs, OutArgs};
use super::overrides::Overrides;
use super::progress::Bar;
use super::terminal::{complain, paint, print};
use crate::compare::Capacity;
use crate::experiment::{self, Axis, NoAxis, RunError, RunOptions, Search};
use crate::host::{interrupt, priority};
use crate::live::ProviderOptions;
use crate::report::{capacity as report, chart};
use crate::scenario::{self, Check, Relation, Scenario};
use crate::units::{Ratio, World};

/// Arguments of `lab capacity`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lab capacity scenarios/steady.toml --slo 'p99 < 300ms' --slo 'errors < 0.1%'
  lab capacity scenarios/steady.toml --slo 'p99 < 100ms' --servers     fewest servers for its load
  lab capacity scenarios/steady.toml --slo 'mean < 20ms' --no-live --set balancer.algorithm=random")]
pub(super) struct CapacityArgs {
    /// Scenario file
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// What must hold, as in [[check]]; may be repeated. Default: the checks of the scenario
    #[arg(long, value_name = "CHECK")]
    slo: Vec<Check>,
    /// Find the fewest servers that hold at the scenario's load; of the group GROUP if there are several
    #[arg(long, value_name = "GROUP", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    servers: Option<String>,
    /// Ask the model alone
    #[arg(long)]
    no_live: bool,
    /// Most replications of the model at a level
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    replications: u32,
    /// How near the answer is to be found
    #[arg(long, default_value = "1%", value_name = "SHARE")]
    resolution: Ratio,
    #[command(flatten)]
    overrides: Overrides,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Chart(#[from] chart::ChartError),
    #[error(transparent)]
    Axis(#[from] NoAxis),
    #[error("{0}")]
    Usage(String),
}

/// Searches, tries, tells, and says how it ended.
pub(super) fn run(args: &CapacityArgs) -> Exit {
    match try_run(args) {
        Ok(capacity) => exit(&capacity),
        Err(Failure::Run(RunError::Interrupted)) => Exit::Interrupted,
        Err(failure) => {
            complain(&failure);
            match failure {
                Failure::Run(RunError::Scenario(_)) | Failure::Usage(_) | Failure::Axis(_) => {
                    Exit::Usage
                }
                _ => Exit::Failed,
            }
        }
    }
}

fn try_run(args: &CapacityArgs) -> Result<Capacity, Failure> {
    let mut scenario =
        scenario::load_with(&args.scenario, args.overrides.pairs()).map_err(RunError::from)?;
    args.model.seed(&mut scenario);
    let axis = axis(args, &scenario)?;
    let start = axis.place(&scenario)?;
    let calibration = args.model.calibration(&scenario).map_err(RunError::from)?;
    let threads = args.model.threads();
    let how = Search {
        axis,
        slos: slos(args, &scenario)?,
        most: args.replications,
        resolution: args.resolution.0.max(1e-4),
        threads,
        calibration: calibration.clone(),
    };
    let options = RunOptions {
        only: args.no_live.then_some(World::Sim),
        out: args.out.folder.clone(),
        rounds: 1,
        real_time: priority::real_time_permitted(),
        threads,
        calibration,
        known_calibration: None,
        engine_config: None,
        board: None,
        prometheus: None,
        provider: ProviderOptions::default(),
        baseline: None,
    };
    let stop = interrupt::flag().map_err(RunError::Signals)?;
    let bar = Bar::new(scenario.duration, args.out.quiet || args.json);
    let outcome = experiment::capacity(&scenario, &how, start, &options, &bar, &stop);
    bar.clear();
    let outcome = outcome?;
    chart::draw_capacity(&outcome.capacity, outcome.folder())?;
    let (capacity, folder) = outcome.commit().map_err(RunError::from)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&capacity).unwrap_or_default() + "\n"));
    } else if args.out.quiet {
        print(&(report::headline(&capacity) + "\n"));
    } else {
        print(&report::render(&capacity, paint()));
        let runs = if args.no_live { "" } else { ", and the live runs" };
        print(&format!("results in {}: summary.json, capacity.png{runs}\n", folder.display()));
    }
    Ok(capacity)
}

/// An interruption first, then a measurement that is not valid, then an answer that is none or that the
/// live world contradicts.
fn exit(capacity: &Capacity) -> Exit {
    if capacity.partial {
        Exit::Interrupted
    } else if !report::valid(capacity) {
        Exit::Invalid
    } else if capacity.model.answer.is_none() || capacity.confirmed() == Some(false) {
        Exit::CheckFailed
    } else {
        Exit::Held
    }
}

fn axis(args: &CapacityArgs, scenario: &Scenario) -> Result<Axis, Failure> {
    let Some(group) = &args.servers else { return Ok(Axis::Load) };
    if !group.is_empty() {
        return Ok(Axis::Servers(group.clone()));
    }
    let mut groups: Vec<&str> = scenario.backends.iter().map(|it| it.group.as_str()).collect();
    groups.dedup();
    match groups[..] {
        [group] => Ok(Axis::Servers(group.to_owned())),
        _ => Err(Failure::Usage(format!(
            "there are several groups of servers: say which, such as --servers={}",
            groups.first().unwrap_or(&"b")
        ))),
    }
}

/// What must hold in one world: what compares two says nothing of a load.
fn slos(args: &CapacityArgs, scenario: &Scenario) -> Result<Vec<Check>, Failure> {
    let given = if args.slo.is_empty() { &scenario.checks } else { &args.slo };
    let one_world = |check: &&Check| {
        check.subject.world.is_none() && !matches!(check.relation, Relation::Agrees(..))
    };
    let slos: Vec<Check> = given.iter().filter(one_world).cloned().collect();
    if let Some(wrong) = args.slo.iter().find(|check| !one_world(check)) {
        return Err(Failure::Usage(format!(
            "`{}` is about one of the worlds, or about both: a service level is tried in each",
            wrong.text
        )));
    }
    if slos.is_empty() {
        let why = "nothing must hold: give a service level, such as --slo 'p99 < 300ms'";
        return Err(Failure::Usage(why.to_owned()));
    }
    Ok(slos)
}
