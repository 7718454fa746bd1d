//! A run of several engines, read back: the folder above those of the engines.

use std::path::Path;

use super::Recorded;
use super::run::RunError;
use crate::compare::{
    ENGINES_SCHEMA_VERSION, EngineColumn, EnginesResults, EnginesRun, MeasuredEngine,
};
use crate::record::RecordError;

const EXPECTED: &str = "a comparison of engines (summary.json)";

/// Whether `folder` is that of several engines, and not of one.
#[must_use]
pub fn is_of_engines(folder: &Path) -> bool {
    !folder.join("run.json").exists() && folder.join("summary.json").exists()
}

/// The results of a run of several engines, computed anew from the rows of each by the rules that
/// `lab run` follows. Labels, gaps and the order of rounds are those that were saved.
///
/// # Errors
/// When a file is missing, damaged or of another version.
pub fn read_engines(folder: &Path) -> Result<EnginesResults, RunError> {
    let saved = saved(&folder.join("summary.json"))?;
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

fn saved(path: &Path) -> Result<EnginesResults, RecordError> {
    let malformed = |error: serde_json::Error| RecordError::Malformed {
        path: path.to_owned(),
        expected: EXPECTED,
        why: error.to_string(),
    };
    let text = std::fs::read_to_string(path).map_err(RecordError::io("read", path))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(malformed)?;
    if let Some(found) = value["schema_version"].as_u64()
        && found != u64::from(ENGINES_SCHEMA_VERSION)
    {
        let (path, supported) = (path.to_owned(), ENGINES_SCHEMA_VERSION);
        return Err(RecordError::Version { path, found, supported });
    }
    serde_json::from_value(value).map_err(malformed)
}
