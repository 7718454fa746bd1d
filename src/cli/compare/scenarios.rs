//! Two scenarios, or one with two values of a key: in the model on the same draws, or in the real
//! stack in turns.

use serde::Serialize;

use super::{CompareArgs, Failure};
use crate::cli::exit::Exit;
use crate::cli::overrides::values;
use crate::cli::progress::Bar;
use crate::cli::run::verdict;
use crate::cli::terminal::{paint, print};
use crate::compare::Versus;
use crate::experiment::{self, Race, RunError, RunOptions, TurnsOutcome};
use crate::host::{interrupt, priority};
use crate::live::ProviderOptions;
use crate::report::versus;
use crate::scenario::{self, Scenario};
use crate::units::Span;

/// One of the two.
struct Side {
    label: String,
    scenario: Scenario,
}

/// What `--json` prints for the model.
#[derive(Serialize)]
struct Printed<'a> {
    a: &'a str,
    b: &'a str,
    seed: u64,
    common_numbers: bool,
    versus: &'a Versus,
}

/// Compares the scenarios of `args`.
pub(super) fn compare(args: &CompareArgs) -> Result<Exit, Failure> {
    let sides = sides(args)?;
    if args.live { in_turns(args, sides) } else { in_model(args, &sides) }
}

fn in_model(args: &CompareArgs, sides: &[Side; 2]) -> Result<Exit, Failure> {
    let [a, b] = sides;
    let race = Race {
        question: args.question(),
        most: args.replications,
        threads: args.model.threads(),
        calibration: args.model.calibration(&a.scenario).map_err(RunError::from)?,
    };
    let stop = interrupt::flag().map_err(RunError::Signals)?;
    let bar = Bar::new(Span::from_secs(1), args.out.quiet || args.json);
    let found = experiment::race(&a.scenario, &b.scenario, &race, &bar, &stop);
    bar.clear();
    let versus = found?;
    let common_numbers = a.scenario.traffic == b.scenario.traffic
        && (a.scenario.duration, a.scenario.warm_up) == (b.scenario.duration, b.scenario.warm_up);
    if args.json {
        let seed = a.scenario.seed;
        let printed = Printed { a: &a.label, b: &b.label, seed, common_numbers, versus: &versus };
        print(&(serde_json::to_string_pretty(&printed).unwrap_or_default() + "\n"));
        return Ok(Exit::Held);
    }
    show(args, [&a.label, &b.label], Some(&versus));
    if !common_numbers && !args.out.quiet {
        print("  their traffic differs, so A and B have the same seed and other requests\n");
    }
    Ok(Exit::Held)
}

fn in_turns(args: &CompareArgs, [a, b]: [Side; 2]) -> Result<Exit, Failure> {
    let stop = interrupt::flag().map_err(RunError::Signals)?;
    let options = RunOptions {
        only: None,
        out: args.out.folder.clone(),
        rounds: args.rounds,
        real_time: priority::real_time_permitted(),
        threads: 1,
        calibration: None,
        known_calibration: None,
        engine_config: None,
        board: None,
        prometheus: None,
        provider: ProviderOptions::default(),
        baseline: None,
    };
    let bar = Bar::new(a.scenario.duration, args.out.quiet || args.json);
    let sides = [&a.scenario, &b.scenario];
    let labels = [a.label.clone(), b.label.clone()];
    let outcome = experiment::take_turns(sides, labels, &args.question(), &options, &bar, &stop);
    bar.clear();
    let outcome: TurnsOutcome = outcome?;
    let (turns, results) = (outcome.turns.clone(), outcome.results.clone());
    let folder = outcome.commit().map_err(RunError::from)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&turns).unwrap_or_default() + "\n"));
    } else {
        show(args, [&turns.labels[0], &turns.labels[1]], turns.versus.as_ref());
        if !args.out.quiet {
            for (side, results) in ["A", "B"].iter().zip(&results) {
                let text = crate::report::terminal::validity(results, paint());
                print(&format!("{side}: {text}"));
            }
            print(&format!("results in {}: comparison and the runs a and b\n", folder.display()));
        }
    }
    let exits = results.each_ref().map(verdict);
    Ok([Exit::Interrupted, Exit::Invalid]
        .into_iter()
        .find(|exit| exits.contains(exit))
        .unwrap_or(Exit::Held))
}

fn show(args: &CompareArgs, labels: [&str; 2], found: Option<&Versus>) {
    let Some(found) = found else {
        print("no whole round of each was measured\n");
        return;
    };
    if args.out.quiet {
        print(&format!("{}\n", versus::headline(found)));
        return;
    }
    let [a, b] = labels;
    print(&format!("A is {a}\nB is {b}\n\n{}", versus::render(found, paint())));
}

/// A and B: two files, or one file with the two values that a key of `--set` has.
fn sides(args: &CompareArgs) -> Result<[Side; 2], Failure> {
    let split: Vec<(&String, Vec<String>)> =
        args.overrides.pairs().iter().map(|(key, value)| (key, values(value))).collect();
    let varied: Vec<_> = split.iter().filter(|(_, values)| values.len() > 1).collect();
    let wrong = |why: &str| Err(Failure::Usage(why.to_owned()));
    match (&args.other, &varied[..]) {
        (None, []) => wrong(
            "one scenario alone is compared with nothing: give a second, or a key with two values, \
             such as --set balancer.algorithm=least_conn,random",
        ),
        (None, [(_, values)]) if values.len() > 2 => {
            wrong("two values are compared; for more there is `lab sweep`")
        }
        (None, [_, _, ..]) | (Some(_), [_, ..]) => {
            wrong("only one key can have two values, and only with one scenario")
        }
        _ => {
            let side = |number: usize| -> Result<Side, Failure> {
                let file = args.other.as_ref().filter(|_| number == 1).unwrap_or(&args.one);
                let value = |values: &Vec<String>| values[number.min(values.len() - 1)].clone();
                let pairs: Vec<(String, String)> =
                    split.iter().map(|(key, values)| ((*key).clone(), value(values))).collect();
                let mut scenario = scenario::load_with(file, &pairs).map_err(RunError::from)?;
                args.model.seed(&mut scenario);
                let varied =
                    varied.first().map(|(key, values)| format!(" with {key} = {}", value(values)));
                let label = format!("{}{}", file.display(), varied.unwrap_or_default());
                Ok(Side { label, scenario })
            };
            Ok([side(0)?, side(1)?])
        }
    }
}
