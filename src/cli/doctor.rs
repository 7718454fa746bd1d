//! `lab doctor`: what is installed, what is missing and where to get it, and whether this host is
//! fit to measure.

mod host;
mod program;

use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::exit::Exit;
use super::terminal::{complain, paint, print};
use crate::experiment::host_facts;
use crate::host::clock;
use crate::host::fitness::Fitness;
use crate::record::manifest::HostFacts;
use crate::report::Paint;
use crate::report::table::width;
use host::{Fact, Verdict};
use program::Program;

/// What `--require` takes beside the names of programs.
const FIT: &str = "fit";

/// Arguments of `lab doctor`.
#[derive(Args, Debug)]
pub(super) struct DoctorArgs {
    /// Exit with 1 if one of these cannot be used; `fit` is a host that is bad in nothing
    #[arg(long, value_name = "NAME,…", value_delimiter = ',', value_parser = required())]
    require: Vec<String>,
    /// The calibration to look at
    #[arg(long, default_value = "results/calibration.json", value_name = "FILE")]
    calibration: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

fn required() -> PossibleValuesParser {
    PossibleValuesParser::new(program::names().chain([FIT]))
}

/// All that was found.
#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    host: HostFacts,
    programs: Vec<Program>,
    fitness: Vec<Fact>,
}

/// Looks, tells, and fails only for what was required.
pub(super) fn run(args: &DoctorArgs) -> Exit {
    let host = host_facts();
    // Before anything is started, which would be a load of its own.
    let mut fitness = host::judge(&Fitness::look());
    fitness.push(host::calibration(&args.calibration, &host.name, clock::wall()));
    let found =
        Findings { version: env!("CARGO_PKG_VERSION"), host, programs: program::look(), fitness };
    if args.json {
        print(&(serde_json::to_string_pretty(&found).unwrap_or_default() + "\n"));
    } else {
        print(&found.text(paint()));
    }
    let lacking: Vec<&str> =
        args.require.iter().map(String::as_str).filter(|it| !found.has(it)).collect();
    if lacking.is_empty() {
        return Exit::Held;
    }
    complain(&format!("required, and not to be had here: {}", lacking.join(", ")));
    Exit::Failed
}

impl Findings {
    fn has(&self, name: &str) -> bool {
        if name == FIT {
            return self.fitness.iter().all(|fact| fact.verdict != Verdict::Bad);
        }
        self.programs.iter().any(|program| program.name == name && program.is_usable())
    }

    fn text(&self, paint: Paint) -> String {
        let HostFacts { name, cores, cpu_model, kernel, .. } = &self.host;
        let cpu = if cpu_model.is_empty() { String::new() } else { format!(" of {cpu_model}") };
        let mut text = format!("lab {} on {name}: {cores} cores{cpu}, {kernel}\n\n", self.version);
        text += &format!("{}\n", paint.bold("Programs"));
        let rows: Vec<[String; 3]> =
            self.programs.iter().map(|program| row(program, paint)).collect();
        text += &columns(&rows);
        text += &format!("\n{}\n", paint.bold("Fit to measure"));
        let rows: Vec<[String; 3]> = self.fitness.iter().map(|it| fact_row(it, paint)).collect();
        text += &columns(&rows);
        text + &format!("\n{}\n", self.summary(paint))
    }

    fn summary(&self, paint: Paint) -> String {
        let missing = self.programs.iter().filter(|program| !program.is_usable()).count();
        let programs = match missing {
            0 => "every program is here".to_owned(),
            1 => "1 program cannot be used".to_owned(),
            some => format!("{some} programs cannot be used"),
        };
        let worst = self.fitness.iter().map(|fact| fact.verdict).max();
        let host = match worst.unwrap_or(Verdict::Good) {
            Verdict::Good => paint.good("this host is fit to measure"),
            Verdict::Fair => paint.warning("this host can measure, and could do better"),
            Verdict::Bad => paint.bad("live measurements here are likely to be invalid now"),
        };
        format!("{programs}; {host}. The model needs none of it.")
    }
}

fn row(program: &Program, paint: Paint) -> [String; 3] {
    let state = match (&program.path, &program.trouble) {
        (Some(_), None) => paint.good(program.version.as_deref().unwrap_or("here")),
        (Some(_), Some(_)) => paint.warning(program.version.as_deref().unwrap_or("here")),
        (None, _) => paint.warning("missing"),
    };
    let mut about = program.purpose.to_owned();
    if let Some(trouble) = &program.trouble {
        about += &format!("\n{}", paint.warning(trouble));
    }
    if !program.is_usable() {
        about += &format!("\n{}", paint.dim(program.get));
    }
    [program.name.to_owned(), state, about]
}

fn fact_row(fact: &Fact, paint: Paint) -> [String; 3] {
    let sign = match fact.verdict {
        Verdict::Good => paint.good("good"),
        Verdict::Fair => paint.warning("fair"),
        Verdict::Bad => paint.bad("BAD"),
    };
    let mut value = fact.value.clone();
    if !fact.advice.is_empty() {
        value += &format!("\n{}", paint.dim(&fact.advice));
    }
    [fact.name.to_owned(), sign, value]
}

/// Three columns to the left; further lines of the last stand under its first.
fn columns(rows: &[[String; 3]]) -> String {
    let widest = |column: usize| rows.iter().map(|row| width(&row[column])).max().unwrap_or(0);
    let (first, second) = (widest(0), widest(1));
    let pad = |cell: &str, to: usize| cell.to_owned() + &" ".repeat(to - width(cell));
    let mut text = String::new();
    for [name, state, about] in rows {
        for (number, line) in about.lines().enumerate() {
            let (name, state) =
                if number == 0 { (name.as_str(), state.as_str()) } else { ("", "") };
            text += &format!("  {}  {}  {line}\n", pad(name, first), pad(state, second));
        }
    }
    text
}
