//! `--baseline summary.json --fail-on 'p99 +5%'`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::compare::{Baseline, Results, SUMMARY_SCHEMA_VERSION};
use crate::scenario::Change;

/// An earlier run, and what may not be worse.
#[derive(Args, Debug)]
pub(super) struct BaselineArgs {
    /// An earlier run that this one must not be worse than: its folder, or its summary.json
    #[arg(long, value_name = "RUN")]
    baseline: Option<PathBuf>,
    /// Exit with 3 if this became worse by more than it says, beyond noise, such as `p99 +5%`,
    /// `errors +0.1%` (points), `goodput -2%`, `live.p99(class = api) +20ms`; may be repeated
    #[arg(long, value_name = "CHANGE", requires = "baseline", default_values = ["p99 +5%", "errors +0.1%"])]
    fail_on: Vec<Change>,
}

impl BaselineArgs {
    pub(super) const fn is_given(&self) -> bool {
        self.baseline.is_some()
    }

    /// The baseline, if one is given.
    pub(super) fn read(&self) -> Result<Option<Baseline>, String> {
        let Some(path) = &self.baseline else { return Ok(None) };
        Ok(Some(Baseline { results: read(path)?, limits: self.fail_on.clone() }))
    }
}

fn read(path: &Path) -> Result<Results, String> {
    let file = if path.is_dir() { path.join("summary.json") } else { path.to_owned() };
    let shown = file.display();
    let bytes = std::fs::read(&file).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let results: Results = serde_json::from_slice(&bytes).map_err(|error| {
        format!("{shown} is no summary of one run; give its folder or its summary.json: {error}")
    })?;
    if results.schema_version != SUMMARY_SCHEMA_VERSION {
        return Err(format!(
            "{shown} has version {} of the format, and this lab reads {SUMMARY_SCHEMA_VERSION}: run \
             the baseline again",
            results.schema_version
        ));
    }
    if results.partial {
        return Err(format!("{shown} is of a run that was interrupted: no baseline"));
    }
    Ok(results)
}
