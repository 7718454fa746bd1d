//! `lab explain`: why a check came out as it did.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::folder;
use super::terminal::{complain, paint, print};
use crate::compare::explanation::{EXPLANATION_SCHEMA_VERSION, Explanation};
use crate::experiment::explain::{ExplainError, Wanted, explain};
use crate::experiment::is_of_engines;
use crate::report::explanation::render;

const EXAMPLES: &str = "\
Examples:
  lab explain results/failover/latest                  every check that failed
  lab explain results/failover/latest 3                the third check of the report
  lab explain results/failover/latest 'p99 < 300ms'    any check, of the scenario or not
  lab explain results/failover/latest 'failed < 1' --json";

/// Arguments of `lab explain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// Folder of a run, such as results/failover/latest
    #[arg(value_name = "RUN", value_parser = folder::of_run())]
    run: PathBuf,
    /// A check: its text, or its number in the report; without it, every check that failed
    #[arg(value_name = "CHECK")]
    check: Option<String>,
    /// How many of the requests that decide a check are told in full
    #[arg(long, default_value_t = 3, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(0..=100))]
    requests: u16,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Explains.
pub(super) fn run(args: &ExplainArgs) -> Exit {
    if is_of_engines(&args.run) {
        complain(&format!(
            "{} is a comparison of engines: name the folder of one engine in it",
            args.run.display()
        ));
        return Exit::Usage;
    }
    let wanted = match &args.check {
        None => Wanted::Failed,
        Some(text) => {
            text.trim().parse().map_or_else(|_| Wanted::Text(text.clone()), Wanted::Number)
        }
    };
    match explain(&args.run, &wanted, usize::from(args.requests)) {
        Ok(told) => {
            show(&told, args.json);
            Exit::Held
        }
        Err(error) => {
            complain(&error);
            match error {
                ExplainError::Unknown(_) => Exit::Usage,
                ExplainError::Run(_) => Exit::Failed,
            }
        }
    }
}

fn show(told: &[Explanation], json: bool) {
    if json {
        let all = serde_json::json!({
            "schema_version": EXPLANATION_SCHEMA_VERSION,
            "explanations": told,
        });
        print(&(serde_json::to_string_pretty(&all).unwrap_or_default() + "\n"));
    } else if told.is_empty() {
        print("no check failed\n");
    } else {
        let told: Vec<String> = told.iter().map(|it| render(it, paint())).collect();
        print(&told.join("\n"));
    }
}
