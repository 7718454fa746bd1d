//! `lab report`: a run as one page of HTML, or as pictures to commit.

mod publish;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use self::publish::publish;
use super::exit::Exit;
use super::folder;
use super::terminal::{complain, print};
use crate::compare::EnginesResults;
use crate::experiment::{RunError, is_of_engines, recorded_scenario, saved_engines, saved_results};
use crate::record::{Manifest, RecordError};
use crate::report::chart::ChartError;
use crate::report::html::{self, Part};

const EXAMPLES: &str = "\
Examples:
  lab report results/failover/latest
  lab report results/failover/latest -o failover.html
  lab report results/failover/latest --publish docs/failover";

/// Arguments of `lab report`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReportArgs {
    /// Folder of a run, such as results/failover/latest
    #[arg(value_name = "RUN", value_parser = folder::of_run())]
    run: PathBuf,
    /// The page to write [default: report.html in the run's folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write pictures and a README.md that shows them into this folder, to be committed, in place of
    /// the page
    #[arg(long, value_name = "FOLDER", conflicts_with = "output")]
    publish: Option<PathBuf>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
enum ReportError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Chart(#[from] ChartError),
}

impl From<RecordError> for ReportError {
    fn from(error: RecordError) -> Self {
        Self::Run(error.into())
    }
}

/// Writes the page.
pub(super) fn run(args: &ReportArgs) -> Exit {
    match write(args) {
        Ok(()) => Exit::Held,
        Err(error) => {
            complain(&error);
            Exit::Failed
        }
    }
}

fn write(args: &ReportArgs) -> Result<(), ReportError> {
    if let Some(folder) = &args.publish {
        let pictures = publish(&args.run, folder)?;
        print(&format!("{}: README.md and {pictures} pictures\n", folder.display()));
        return Ok(());
    }
    let page = page(&args.run)?;
    let path = args.output.clone().unwrap_or_else(|| args.run.join("report.html"));
    write_whole(&path, &page)?;
    print(&format!("{} ({:.1} MB)\n", path.display(), page.len() as f64 / 1e6));
    Ok(())
}

fn page(folder: &Path) -> Result<String, RunError> {
    if !is_of_engines(folder) {
        let results = saved_results(folder)?;
        let manifest = Manifest::load(&folder.join("run.json"))?;
        let scenario = recorded_scenario(&manifest)?;
        let part =
            Part { label: "", folder, manifest: &manifest, scenario: &scenario, results: &results };
        return Ok(html::render(&[part], None)?);
    }
    page_of_engines(folder, &saved_engines(folder)?)
}

fn page_of_engines(folder: &Path, results: &EnginesResults) -> Result<String, RunError> {
    let mut read = Vec::new();
    for engine in &results.engines {
        let folder = folder.join(&engine.folder);
        let manifest = Manifest::load(&folder.join("run.json"))?;
        let scenario = recorded_scenario(&manifest)?;
        read.push((folder, manifest, scenario));
    }
    let parts: Vec<Part<'_>> = results
        .engines
        .iter()
        .zip(&read)
        .map(|(engine, (folder, manifest, scenario))| Part {
            label: &engine.label,
            folder,
            manifest,
            scenario,
            results: &engine.results,
        })
        .collect();
    Ok(html::render(&parts, Some(results))?)
}

/// Under another name first: a page is whole or not there.
fn write_whole(path: &Path, text: &str) -> Result<(), RecordError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let scratch = path.with_file_name(name);
    let written = fs::write(&scratch, text).and_then(|()| fs::rename(&scratch, path));
    if written.is_err() {
        let _ = fs::remove_file(&scratch);
    }
    written.map_err(RecordError::io("write", path))
}
