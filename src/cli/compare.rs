//! `lab compare`: the worlds of one run, the engines of a run of several, or two runs, from their
//! files.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::run::{verdict, worst};
use super::terminal::{complain, paint, print};
use crate::experiment::{Recorded, RunError, Two, is_of_engines, read_engines};
use crate::report::terminal::{render, render_two};

/// Arguments of `lab compare`.
#[derive(Debug, Args)]
pub(super) struct CompareArgs {
    /// Folder of a run, such as results/failover/latest
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Folder of a second run, to compare with the first
    #[arg(value_name = "RUN")]
    other: Option<PathBuf>,
    /// Print the comparison as JSON
    #[arg(long)]
    json: bool,
}

/// Compares, and exits as `lab run` would for one run.
pub(super) fn run(args: &CompareArgs) -> Exit {
    match compare(args) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&error);
            Exit::Failed
        }
    }
}

fn compare(args: &CompareArgs) -> Result<Exit, RunError> {
    if args.other.is_none() && is_of_engines(&args.run) {
        return compare_engines(args);
    }
    let one = Recorded::open(&args.run)?;
    let Some(other) = &args.other else {
        let results = one.results();
        if args.json {
            print(&(serde_json::to_string_pretty(&results).unwrap_or_default() + "\n"));
        } else {
            print(&render(&results, paint()));
        }
        return Ok(verdict(&results));
    };
    let other = Recorded::open(other)?;
    let worlds = one.against(&other);
    if args.json {
        print(&(serde_json::to_string_pretty(&worlds).unwrap_or_default() + "\n"));
    } else if worlds.is_empty() {
        print("the two runs have no world in common\n");
    } else {
        print(&format!("A is {}\nB is {}\n\n", one.folder().display(), other.folder().display()));
        worlds.iter().for_each(show);
    }
    Ok(Exit::Held)
}

/// As `lab run --engine a,b` showed it.
fn compare_engines(args: &CompareArgs) -> Result<Exit, RunError> {
    let results = read_engines(&args.run)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&results).unwrap_or_default() + "\n"));
    } else {
        print(&crate::report::engines::render(&results, paint()));
    }
    Ok(worst(&results))
}

fn show(two: &Two) {
    print(&render_two(["A", "B"], [&two.one, &two.other], &two.comparison, paint()));
}
