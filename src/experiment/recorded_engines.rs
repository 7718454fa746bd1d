//! A run of several engines, read back: the folder above those of the engines.

use std::path::Path;

use super::Recorded;
use super::run::RunError;
use super::saved::saved_engines;
use crate::compare::{EngineColumn, EnginesResults, EnginesRun, MeasuredEngine};

/// Whether `folder` is that of several engines, and not of one.
#[must_use]
pub fn is_of_engines(folder: &Path) -> bool {
    // A run of the generator alone has a summary, too, beside its own result.
    let has = |name: &str| folder.join(name).exists();
    has("summary.json") && !has("run.json") && !has("load.json")
}

/// The results of a run of several engines, computed anew from the rows of each by the rules that
/// `lab run` follows. Labels, gaps and the order of rounds are those that were saved.
///
/// # Errors
/// When a file is missing, damaged or of another version.
pub fn read_engines(folder: &Path) -> Result<EnginesResults, RunError> {
    let saved = saved_engines(folder)?;
    let mut engines = Vec::new();
    for column in saved.engines {
        let recorded = Recorded::open(&folder.join(&column.folder))?;
        let (sim, rounds) = recorded.summaries();
        let facts = recorded.engine_facts();
        let results = recorded.results();
        engines.push(MeasuredEngine {
            column: EngineColumn { facts, results, ..column },
            sim,
            rounds,
        });
    }
    Ok(EnginesRun { run: saved.run, order: saved.order, engines }.results())
}
