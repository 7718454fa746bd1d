//! `lab diff`: in what two scenarios differ, by what they mean.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use serde::Serialize;
use serde_json::Value as Json;

use super::exit::Exit;
use super::folder;
use super::terminal::{complain, paint, print};
use crate::record::RecordError;
use crate::record::manifest::Manifest;
use crate::report::Paint;
use crate::scenario::difference::{Difference, Differences, Written, differences};
use crate::scenario::{self, Diagnostics};

/// Arguments of `lab diff`.
#[derive(Args, Debug)]
pub(super) struct DiffArgs {
    /// A scenario, or the folder of a run, whose scenario and overrides are taken
    #[arg(value_name = "A", value_hint = ValueHint::AnyPath, value_parser = folder::of_run())]
    a: PathBuf,
    /// Another
    #[arg(value_name = "B", value_hint = ValueHint::AnyPath, value_parser = folder::of_run())]
    b: PathBuf,
    /// Print the differences as JSON
    #[arg(long)]
    json: bool,
    /// Print nothing: the exit code alone
    #[arg(long, short)]
    quiet: bool,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
enum DiffError {
    #[error(transparent)]
    Scenario(#[from] Diagnostics),
    #[error(transparent)]
    Run(#[from] RecordError),
    #[error("cannot read {}: {error}", .path.display())]
    Read { path: PathBuf, error: std::io::Error },
    #[error(
        "{} is no run: it has no run.json (the runs of several engines have one in each folder)",
        .0.display()
    )]
    NoRun(PathBuf),
}

/// A scenario out of a file or a run.
struct Source {
    text: String,
    path: PathBuf,
    overrides: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Told<'a> {
    a: &'a Path,
    b: &'a Path,
    same: bool,
    #[serde(flatten)]
    found: &'a Differences,
}

/// Compares and tells.
pub(super) fn run(args: &DiffArgs) -> Exit {
    let found = match compare(args) {
        Ok(found) => found,
        Err(error) => {
            complain(&error);
            return Exit::Usage;
        }
    };
    let same = found.differences.is_empty();
    if args.json && !args.quiet {
        let told = Told { a: &args.a, b: &args.b, same, found: &found };
        print(&(serde_json::to_string_pretty(&told).unwrap_or_default() + "\n"));
    } else if !args.quiet {
        print(&text(args, &found, paint()));
    }
    if same { Exit::Held } else { Exit::Failed }
}

fn compare(args: &DiffArgs) -> Result<Differences, DiffError> {
    let (a, b) = (Source::open(&args.a)?, Source::open(&args.b)?);
    Ok(differences(a.written(), b.written())?)
}

impl Source {
    fn open(path: &Path) -> Result<Self, DiffError> {
        if path.is_dir() {
            return Self::of_run(path);
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| DiffError::Read { path: path.to_owned(), error })?;
        Ok(Self { text, path: path.to_owned(), overrides: Vec::new() })
    }

    /// What was run: the file, what the command line replaced in it, and its seed and replications
    /// where these are not those of the file.
    fn of_run(folder: &Path) -> Result<Self, DiffError> {
        let file = folder.join("run.json");
        if !file.exists() {
            return Err(DiffError::NoRun(folder.to_owned()));
        }
        let run = Manifest::load(&file)?;
        let mut overrides = run.scenario.overrides;
        let written = scenario::parse_with(&run.scenario.text, &run.scenario.path, &overrides).ok();
        if written.as_ref().is_none_or(|scenario| scenario.seed != run.seed) {
            overrides.push(("scenario.seed".to_owned(), run.seed.to_string()));
        }
        let replicated = written.is_none_or(|scenario| scenario.replications != run.replications);
        if run.replications > 0 && replicated {
            let replications = run.replications.to_string();
            overrides.push(("scenario.replications".to_owned(), replications));
        }
        Ok(Self { text: run.scenario.text, path: run.scenario.path, overrides })
    }

    fn written(&self) -> Written<'_> {
        Written { text: &self.text, path: &self.path, overrides: &self.overrides }
    }
}

fn text(args: &DiffArgs, found: &Differences, paint: Paint) -> String {
    let mut text = String::new();
    if found.differences.is_empty() {
        text += "no difference";
    } else {
        text += &paint.bad(&format!("--- {}\n", args.a.display()));
        text += &paint.good(&format!("+++ {}\n", args.b.display()));
        found.differences.iter().for_each(|it| text += &shown(it, paint));
    }
    let same = match found.same_meaning.len() {
        0 => String::new(),
        1 => format!("written differently with the same meaning: {}\n", found.same_meaning[0]),
        _ => format!(
            "written differently with the same meaning: {}\n",
            found.same_meaning.join(", ")
        ),
    };
    match (found.differences.is_empty(), same.is_empty()) {
        (true, true) => text + "\n",
        (true, false) => format!("{text}; {same}"),
        (false, _) => text + &paint.dim(&same),
    }
}

/// The key, then the values under each other, as diff(1) shows lines.
fn shown(it: &Difference, paint: Paint) -> String {
    let unsaid = it.default.as_ref().map(|default| format!("not written: {default}"));
    let line = |sign: char, value: Option<&Json>| match (value, &unsaid) {
        (Some(value), _) => Some(format!("{sign} {}", toml(value))),
        (None, Some(unsaid)) => Some(format!("{sign} {unsaid}")),
        (None, None) => None,
    };
    let mut text = format!("{}\n", paint.bold(&it.key));
    if let Some(line) = line('-', it.a.as_ref()) {
        text += &format!("  {}\n", paint.bad(&line));
    }
    if let Some(line) = line('+', it.b.as_ref()) {
        text += &format!("  {}\n", paint.good(&line));
    }
    text
}

/// A value on one line, as one would write it in a scenario.
fn toml(value: &Json) -> String {
    match value {
        Json::String(text) => toml::Value::from(text.as_str()).to_string(),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Json::Object(table) if table.is_empty() => "{}".to_owned(),
        Json::Object(table) => {
            let pair = |(key, value): (&String, &Json)| format!("{key} = {}", toml(value));
            format!("{{ {} }}", table.iter().map(pair).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
