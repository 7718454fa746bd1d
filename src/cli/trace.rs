//! `lab trace`: each decision in words, with the state it saw.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::overrides::Overrides;
use super::terminal::{complain, print};
use crate::{scenario, sim};

/// Arguments of `lab trace`.
#[derive(Debug, Args)]
pub(super) struct TraceArgs {
    /// Scenario file
    #[arg(value_name = "SCENARIO")]
    scenario: PathBuf,
    /// How many requests to follow, from the first
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    requests: usize,
    #[command(flatten)]
    overrides: Overrides,
    /// Seed, in place of the scenario's
    #[arg(long)]
    seed: Option<u64>,
}

/// Prints the decisions.
pub(super) fn run(args: &TraceArgs) -> Exit {
    let mut scenario = match scenario::load_with(&args.scenario, args.overrides.pairs()) {
        Ok(scenario) => scenario,
        Err(wrong) => {
            complain(&wrong);
            return Exit::Usage;
        }
    };
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    for step in sim::trace(&scenario, &sim::Options::default(), args.requests) {
        print(&format!("{step}\n"));
    }
    Exit::Held
}
