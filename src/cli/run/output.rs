//! In which form the results are told, for people and for CI.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::terminal::print;
use crate::compare::Results;
use crate::report::{github, junit, markdown};

/// A form of the results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Format {
    /// Tables
    #[default]
    Text,
    /// All numbers, as in summary.json
    Json,
    /// A summary for a comment or a page
    Markdown,
    /// Annotations of a GitHub workflow; the summary goes to $GITHUB_STEP_SUMMARY
    Github,
}

/// How results are told.
#[derive(Args, Debug)]
pub(in crate::cli) struct OutputArgs {
    /// Print the results as JSON
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Print the results in this form
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write checks, baseline and validity as JUnit XML, too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Why something could not be told.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum OutputError {
    #[error("cannot write {}: {error}", path.display())]
    Write { path: PathBuf, error: std::io::Error },
    #[error("cannot write JUnit XML: {0}")]
    Junit(String),
}

impl OutputArgs {
    pub(in crate::cli) const fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    /// Tells everything but the tables of a terminal. `runs` are names with their results.
    pub(in crate::cli) fn write(
        &self,
        runs: &[(String, &Results)],
        scenario: &Path,
    ) -> Result<(), OutputError> {
        let all = |of: &dyn Fn(&Results) -> String| {
            runs.iter().map(|(_, results)| of(results)).collect::<Vec<_>>().join("\n")
        };
        match self.format() {
            Format::Text => {}
            Format::Json => {
                print(&all(&|it| serde_json::to_string_pretty(it).unwrap_or_default() + "\n"));
            }
            Format::Markdown => print(&all(&markdown::render)),
            Format::Github => {
                let file = scenario.display().to_string();
                let annotations: Vec<String> =
                    runs.iter().map(|(_, it)| github::annotations(it, &file)).collect();
                print(&annotations.concat());
                append_step_summary(&all(&markdown::render))?;
            }
        }
        self.write_junit(runs)
    }

    /// The JUnit file, if it is wanted.
    pub(in crate::cli) fn write_junit(
        &self,
        runs: &[(String, &Results)],
    ) -> Result<(), OutputError> {
        let Some(path) = &self.junit else { return Ok(()) };
        let text = junit::render(runs).map_err(|error| OutputError::Junit(error.to_string()))?;
        // Whole, or not at all.
        let partial = path.with_extension("partial");
        let failed = |error| OutputError::Write { path: path.clone(), error };
        std::fs::write(&partial, text).map_err(failed)?;
        std::fs::rename(&partial, path).map_err(failed)
    }
}

/// GitHub shows this file on the page of the job; several steps may write to it.
fn append_step_summary(text: &str) -> Result<(), OutputError> {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").map(PathBuf::from) else {
        print(text);
        return Ok(());
    };
    let file = OpenOptions::new().create(true).append(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()));
    written.map_err(|error| OutputError::Write { path, error })
}
