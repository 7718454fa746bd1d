//! `lab check`: a scenario without running it.

use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Exit;
use super::terminal::{complain, print};
use crate::engine;
use crate::scenario::{self, Engine};

/// Arguments of `lab check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Say what these engines cannot do, in place of the scenario's
    #[arg(long, value_name = "ENGINE", value_delimiter = ',')]
    engine: Vec<Engine>,
}

/// Checks every file and says what is wrong with each.
pub(super) fn run(args: &CheckArgs) -> Exit {
    let mut exit = Exit::Held;
    for file in &args.files {
        let fine = match &args.engine[..] {
            [] => check(file, &[], true),
            engines => engines.iter().enumerate().all(|(number, engine)| {
                check(file, &[("balancer.engine".to_owned(), engine.name())], number == 0)
            }),
        };
        if !fine {
            exit = Exit::Usage;
        }
    }
    exit
}

/// Whether `file` is right; says what is in it, if `summary` is wanted, and what its engine cannot do.
fn check(file: &Path, overrides: &[(String, String)], summary: bool) -> bool {
    let scenario = match scenario::load_with(file, overrides) {
        Ok(scenario) => scenario,
        Err(wrong) => {
            complain(&wrong);
            return false;
        }
    };
    if summary {
        print(&format!(
            "{}: fine: {} over {}, {}, {}, {}\n",
            file.display(),
            scenario.name,
            scenario.duration,
            counted(scenario.backends.len(), "backend"),
            counted(scenario.faults.len(), "fault"),
            counted(scenario.checks.len(), "check")
        ));
    }
    let engine = &scenario.balancer.engine;
    for gap in engine::gaps(&scenario, engine) {
        print(&format!("  note: {engine}: {gap}\n"));
    }
    true
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
