//! `lab compare`: which of two is faster, and how sure that is; or the worlds of one run, the
//! engines of a run of several, from their files.

mod scenarios;

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Exit;
use super::folder;
use super::model_args::{ModelArgs, OutArgs};
use super::overrides::Overrides;
use super::run::{verdict, worst};
use super::terminal::{complain, paint, print};
use crate::compare::Question;
use crate::experiment::{Recorded, RunError, Two, is_of_engines, read_engines};
use crate::report::terminal::{render, render_two};
use crate::report::versus;
use crate::scenario::Measure;
use crate::units::{Ratio, World};

/// Arguments of `lab compare`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lab compare results/steady/latest                       the worlds of one run
  lab compare results/steady/RUN results/steady/RUN       which of two runs was faster
  lab compare scenarios/steady.toml --set balancer.algorithm=least_conn,random
  lab compare old.toml new.toml --at p99.9                in the model, on the same draws
  lab compare --live old.toml new.toml --rounds 6         in the real stack, in turns")]
pub(super) struct CompareArgs {
    /// Folder of a run, such as results/failover/latest, or a scenario file
    #[arg(value_name = "RUN|SCENARIO", value_parser = folder::of_run())]
    one: PathBuf,
    /// A second one, to compare with the first
    #[arg(value_name = "RUN|SCENARIO", value_parser = folder::of_run())]
    other: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Tell them apart by this: mean, p50, p99.9, errors, goodput, …
    #[arg(long, default_value = "p99", value_name = "MEASURE")]
    at: Measure,
    /// A difference smaller than this does not matter
    #[arg(long, default_value = "1%", value_name = "SHARE")]
    margin: Ratio,
    /// Run scenarios in the real stack, in rounds that take turns: A B B A A B …
    #[arg(long)]
    live: bool,
    /// Rounds of each with --live; a median has a 95 % interval from six on
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Most replications of each in the model, which end once the two are told apart
    #[arg(long, default_value_t = 320, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    replications: u32,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,
}

impl CompareArgs {
    fn question(&self) -> Question {
        Question { measure: self.at.clone(), margin: self.margin.0, ..Question::default() }
    }
}

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("{0}")]
    Usage(String),
}

/// Compares, and exits as `lab run` would for one run.
pub(super) fn run(args: &CompareArgs) -> Exit {
    match compare(args) {
        Ok(exit) => exit,
        Err(Failure::Run(RunError::Interrupted)) => Exit::Interrupted,
        Err(failure) => {
            complain(&failure);
            let usage = matches!(failure, Failure::Run(RunError::Scenario(_)) | Failure::Usage(_));
            if usage { Exit::Usage } else { Exit::Failed }
        }
    }
}

fn compare(args: &CompareArgs) -> Result<Exit, Failure> {
    let comparable = matches!(
        args.at,
        Measure::Quantile(_) | Measure::Mean | Measure::Errors | Measure::Goodput
    );
    if !comparable {
        let why = "--at takes a latency (mean, p50, p99.9, …), errors or goodput";
        return Err(Failure::Usage(why.to_owned()));
    }
    let others = args.other.iter();
    let scenarios = std::iter::once(&args.one).chain(others).filter(|it| is_scenario(it)).count();
    match (scenarios, &args.other) {
        (0, _) if args.live || !args.overrides.pairs().is_empty() => {
            let why = "--live and --set are for scenarios, and this is the folder of a run";
            Err(Failure::Usage(why.to_owned()))
        }
        (0, Some(other)) => two_runs(args, other),
        (0, None) => one_run(args),
        (1, Some(_)) => {
            let why = "one is a scenario and the other is not: give two scenarios, or two runs";
            Err(Failure::Usage(why.to_owned()))
        }
        _ => scenarios::compare(args),
    }
}

fn is_scenario(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

fn one_run(args: &CompareArgs) -> Result<Exit, Failure> {
    if is_of_engines(&args.one) {
        return compare_engines(args);
    }
    let results = Recorded::open(&args.one)?.results();
    if args.json {
        print(&(serde_json::to_string_pretty(&results).unwrap_or_default() + "\n"));
    } else {
        print(&render(&results, paint()));
    }
    Ok(verdict(&results))
}

fn two_runs(args: &CompareArgs, other: &Path) -> Result<Exit, Failure> {
    let (one, other) = (Recorded::open(&args.one)?, Recorded::open(other)?);
    let worlds = one.against(&other, &args.question());
    if args.json {
        print(&(serde_json::to_string_pretty(&worlds).unwrap_or_default() + "\n"));
    } else if worlds.is_empty() {
        print("the two runs have no world in common\n");
    } else {
        print(&format!("A is {}\nB is {}\n\n", one.folder().display(), other.folder().display()));
        worlds.iter().for_each(|two| show(two, &one, &other));
    }
    Ok(Exit::Held)
}

/// As `lab run --engine a,b` showed it.
fn compare_engines(args: &CompareArgs) -> Result<Exit, Failure> {
    let results = read_engines(&args.one)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&results).unwrap_or_default() + "\n"));
    } else {
        print(&crate::report::engines::render(&results, paint()));
    }
    Ok(worst(&results))
}

fn show(two: &Two, one: &Recorded, other: &Recorded) {
    print(&render_two(["A", "B"], [&two.one, &two.other], &two.comparison, paint()));
    let Some(versus) = &two.versus else { return };
    print(&versus::render(versus, paint()));
    if versus.world == World::Live && !one.took_turns_with(other) {
        print(
            "  the rounds of A and B did not take turns: what changed on the host between the runs \
             counts as a difference (lab compare --live A.toml B.toml)\n",
        );
    }
    if versus.world == World::Sim && !one.shares_requests_with(other) {
        print(
            "  A and B had other requests: with the same seed and traffic less would tell them apart\n",
        );
    }
    print("\n");
}
