//! Results as a run saved them in its `summary.json`, without computing them anew.

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::compare::{ENGINES_SCHEMA_VERSION, EnginesResults, Results, SUMMARY_SCHEMA_VERSION};
use crate::record::RecordError;

/// The results of the run in `folder`.
///
/// # Errors
/// When the file is missing, damaged or of another version.
pub fn saved_results(folder: &Path) -> Result<Results, RecordError> {
    load(folder, SUMMARY_SCHEMA_VERSION, "the results of a run (summary.json)")
}

/// The results of the run of several engines in `folder`.
///
/// # Errors
/// As [`saved_results`].
pub fn saved_engines(folder: &Path) -> Result<EnginesResults, RecordError> {
    load(folder, ENGINES_SCHEMA_VERSION, "a comparison of engines (summary.json)")
}

fn load<T: DeserializeOwned>(
    folder: &Path,
    supported: u32,
    expected: &'static str,
) -> Result<T, RecordError> {
    let path = folder.join("summary.json");
    let malformed = |error: serde_json::Error| RecordError::Malformed {
        path: path.clone(),
        expected,
        why: error.to_string(),
    };
    let text = std::fs::read_to_string(&path).map_err(RecordError::io("read", &path))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(malformed)?;
    match value["schema_version"].as_u64() {
        Some(found) if found != u64::from(supported) => {
            Err(RecordError::Version { path, found, supported })
        }
        _ => serde_json::from_value(value).map_err(malformed),
    }
}
