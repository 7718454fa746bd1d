//! `lab check`: a scenario without running it.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::terminal::{complain, print};
use crate::scenario;

/// Arguments of `lab check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Scenario files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Checks every file and says what is wrong with each.
pub(super) fn run(args: &CheckArgs) -> Exit {
    let mut exit = Exit::Held;
    for file in &args.files {
        match scenario::load(file) {
            Ok(scenario) => print(&format!(
                "{}: fine: {} over {}, {} backends, {} faults, {} checks\n",
                file.display(),
                scenario.name,
                scenario.duration,
                scenario.backends.len(),
                scenario.faults.len(),
                scenario.checks.len()
            )),
            Err(wrong) => {
                complain(&wrong);
                exit = Exit::Usage;
            }
        }
    }
    exit
}
