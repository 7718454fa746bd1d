//! `lab load`: the load generator of the live world, and a load tester for any HTTP server.

mod arguments;
mod ask;
mod files;
mod finished;
mod forms;
mod job;
mod join;
mod onlooker;
mod order;
mod thresholds;
mod urls;
mod validity;
mod view;

use std::process::ExitCode;

use super::exit::Exit;
use super::terminal::{fail, print};
use crate::host::child::die_with_parent;
use crate::host::clock;
use crate::load::{Outcome, Share, program};
use crate::traffic::Source;
use crate::units::{Nanos, Span};
use files::Files;
use finished::Finished;
use onlooker::Onlooker;
use thresholds::{Abort, Threshold};
use validity::Before;

pub(super) use arguments::LoadArgs;

/// From the start of a person's run to its first instant.
const LEAD: Span = Span::from_millis(20);

/// Runs it, and tells how it ended: see the help of [`LoadArgs`].
#[must_use]
pub(super) fn run(arguments: &LoadArgs) -> ExitCode {
    if arguments.supervised {
        die_with_parent();
        return supervised(arguments);
    }
    if let Some(address) = &arguments.join {
        return join::worker::run(address);
    }
    let trial = match arguments.listen_join {
        Some(address) => join::coordinator::run(arguments, address),
        None => alone(arguments),
    };
    match trial {
        Ok(finished) => arguments.tell(&finished),
        Err((exit, error)) => fail(exit, &error),
    }
}

/// A run that did not come about, and why.
type Refused = (Exit, Box<dyn std::error::Error>);

fn usage(error: impl Into<Box<dyn std::error::Error>>) -> Refused {
    (Exit::Usage, error.into())
}

fn failed(error: impl Into<Box<dyn std::error::Error>>) -> Refused {
    (Exit::Failed, error.into())
}

/// Part of a run of a scenario: only the report for the program that started it.
fn supervised(arguments: &LoadArgs) -> ExitCode {
    let zero = arguments.zero.map_or_else(|| clock::now() + LEAD, Nanos);
    let job = arguments.job().and_then(|job| job.config(zero, Share::default()));
    let mut config = match job {
        Ok((config, _)) => config,
        Err(error) => return fail(Exit::Usage, &error),
    };
    config.spool.clone_from(&arguments.spool);
    match program::generate(config, arguments.real_time, &mut ()) {
        Ok(outcome) => {
            // Plain numbers: this cannot fail.
            println!("{}", serde_json::to_string(&outcome.report).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(error) => fail(Exit::Failed, &error),
    }
}

/// This process sends all of it.
fn alone(arguments: &LoadArgs) -> Result<Finished, Refused> {
    let job = arguments.job().map_err(usage)?;
    let (mut config, seed) = job.config(Nanos::ZERO, Share::default()).map_err(usage)?;
    let files = arguments.files().map_err(usage)?;
    config.spool = files.as_ref().map(Files::spool).or_else(|| arguments.spool.clone());
    program::reach(&config).map_err(failed)?;
    config.zero = arguments.zero.map_or_else(|| clock::now() + LEAD, Nanos);
    let started = clock::wall() + config.zero.since(clock::now());
    let words = job.words(&config);
    let mut onlooker = Onlooker::new(arguments, Span(config.end.0), words);
    let outcome = program::generate(config.clone(), arguments.real_time, &mut onlooker);
    onlooker.clear();
    let outcome = outcome.map_err(failed)?;
    let mut finished = arguments.judge(
        outcome,
        onlooker.before,
        matches!(config.traffic.source, Source::Open { .. }),
        onlooker.abort,
    );
    if let Some(files) = files {
        files.finish(&config, &mut finished, started, seed).map_err(failed)?;
    }
    Ok(finished)
}

impl LoadArgs {
    /// The folder for the files, if they are wanted.
    fn files(&self) -> Result<Option<Files>, Box<dyn std::error::Error>> {
        let baseline = self.baseline.read()?;
        match &self.out {
            Some(folder) => Ok(Some(Files::begin(folder, baseline)?)),
            None if baseline.is_some() => {
                Err("--baseline needs --out: its intervals come from the rows of the run".into())
            }
            None => Ok(None),
        }
    }

    fn thresholds(&self) -> Vec<Threshold> {
        self.check.iter().chain(&self.fail_if).cloned().collect()
    }

    fn judge(
        &self,
        outcome: Outcome,
        before: Before,
        open: bool,
        abort: Option<Abort>,
    ) -> Finished {
        let judge = |one: &Threshold| one.judge(&outcome.tally, &outcome.servers);
        Finished {
            thresholds: self.thresholds().iter().map(judge).collect(),
            validity: before.judge(&outcome),
            open,
            regressions: Vec::new(),
            aborted: abort.and_then(|abort| abort.because),
            incomplete: false,
            remarks: Vec::new(),
            outcome,
        }
    }

    /// Prints the result and gives the exit code.
    fn tell(&self, finished: &Finished) -> ExitCode {
        if self.json {
            print(&finished.to_json());
            print("\n");
        } else {
            print(&finished.to_text());
        }
        finished.remarks.iter().for_each(|remark| eprintln!("lab: {remark}"));
        finished.exit()
    }
}
