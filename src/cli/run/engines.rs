//! `lab run --engine a,b,c`: several engines under the same scenario.

use std::path::Path;

use super::shown::Telling;
use super::{Failure, Format, RunArgs, load, options, show, verdict};
use crate::cli::exit::Exit;
use crate::cli::progress::Bar;
use crate::cli::terminal::{paint, print};
use crate::compare::EnginesResults;
use crate::engine::{self, Wiring};
use crate::experiment::{self, RunError};
use crate::host::interrupt;
use crate::report;
use crate::scenario::Scenario;

/// Runs all engines and reports; the worst of them says how it ended.
pub(super) fn try_run(args: &RunArgs) -> Result<Exit, Failure> {
    refuse(args).map_or(Ok(()), |why| Err(Failure::Usage(why)))?;
    let contestants: Vec<Scenario> =
        args.engine.iter().map(|engine| load(args, Some(engine))).collect::<Result<_, _>>()?;
    let mut options = options(args, &contestants[0])?;
    let stop = interrupt::flag().map_err(RunError::Signals)?;
    let shown = show(args, &contestants[0], &mut options)?;
    let bar = Bar::new(contestants[0].duration, args.silent());
    let watcher = Telling { inner: &bar, board: shown.board.as_ref() };
    let outcome = experiment::run_engines(&contestants, &options, &watcher, &stop);
    bar.clear();
    let outcome = outcome?;
    for engine in &outcome.results.engines {
        report::chart::draw_all(&engine.results, &outcome.folder().join(&engine.folder))?;
    }
    report::chart::draw_engines(&outcome.results, outcome.folder())?;
    shown.finish(outcome.folder())?;
    let (results, folder) = outcome.commit().map_err(RunError::from)?;
    let runs: Vec<(String, &crate::compare::Results)> =
        results.engines.iter().map(|it| (it.label.clone(), &it.results)).collect();
    if args.output.format() == Format::Json {
        print(&(serde_json::to_string_pretty(&results).unwrap_or_default() + "\n"));
        args.output.write_junit(&runs)?;
    } else {
        args.output.write(&runs, &args.scenario)?;
    }
    if args.output.format() == Format::Text && !args.out.quiet {
        print(&report::engines::render(&results, paint()));
        let folders: Vec<&str> = results.engines.iter().map(|it| it.folder.as_str()).collect();
        print(&format!(
            "\nresults in {}: summary.json, comparison*.png, and a run of each engine in {}\n",
            folder.display(),
            folders.join(", ")
        ));
    }
    Ok(worst(&results))
}

/// What cannot be asked of several engines at once.
fn refuse(args: &RunArgs) -> Option<String> {
    let twice = args.engine.iter().enumerate().find(|(i, one)| args.engine[..*i].contains(one));
    if let Some((_, engine)) = twice {
        return Some(format!("--engine names {engine} twice"));
    }
    if args.engine_config.is_some() {
        return Some("--engine-config is for one engine: name one with --engine".to_owned());
    }
    if args.baseline.is_given() {
        return Some("--baseline is of one engine: name one with --engine".to_owned());
    }
    args.theory.then(|| "--theory goes with one engine: name one with --engine".to_owned())
}

/// The exit code of several engines: an interruption first, then a measurement that is not valid,
/// then a check that failed.
pub(in crate::cli) fn worst(results: &EnginesResults) -> Exit {
    let exits: Vec<Exit> = results.engines.iter().map(|engine| verdict(&engine.results)).collect();
    [Exit::Interrupted, Exit::Invalid, Exit::CheckFailed]
        .into_iter()
        .find(|exit| exits.contains(exit))
        .unwrap_or(Exit::Held)
}

/// Reads a configuration of the user's own, tries it on the scenario, and shows what is replaced.
pub(super) fn own_configuration(
    path: &Path,
    scenario: &Scenario,
    quiet: bool,
) -> Result<String, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let wiring = Wiring::example(scenario.backends.len());
    let engine = &scenario.balancer.engine;
    let user = engine::user_configuration(engine, &text, scenario, &wiring)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if !quiet {
        print(&user.diff);
        for note in &user.notes {
            print(&format!("note: {note}\n"));
        }
        print(&format!(
            "note: the model follows the scenario, not what else {} says\n\n",
            path.display()
        ));
    }
    Ok(text)
}
