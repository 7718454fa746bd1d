//! The folder of a sweep.
//!
//! `points/` is a Hive-partitioned data set: a folder `key=value` for each axis on a grid, and in
//! it a file of one row for each point. What was drawn from a range is a column. Beside the row the
//! file keeps all that lab knows of the point, so that a report needs nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{Sweep, SweepError, SweepManifest};
use crate::compare::Verdict;
use crate::record::RecordError;
use crate::record::summary_row::{self, Cell};
use crate::scenario;
use crate::scenario::sweep::Measure;
use crate::sweep::{
    POINT_SCHEMA_VERSION, Point, PointResult, SWEEP_SCHEMA_VERSION, Setting, SweepResults, points,
};

const MANIFEST: &str = "sweep.json";
const SUMMARY: &str = "summary.json";
const SCRATCH: &str = ".partial";
const EXPECTED: &str = "a sweep of lab (sweep.json)";

/// The sweep whose results are in `folder`, to be read.
///
/// # Errors
/// When there is none, or another lab wrote it.
pub fn open(folder: &Path) -> Result<Sweep, SweepError> {
    let path = folder.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => SweepError::NoSweep(folder.to_owned()),
        _ => RecordError::io("read", &path)(error).into(),
    })?;
    let malformed = |error: serde_json::Error| RecordError::malformed(&path, EXPECTED, error);
    let value: serde_json::Value = serde_json::from_str(&text).map_err(malformed)?;
    let version = value.get("schema_version").and_then(serde_json::Value::as_u64);
    if version != Some(u64::from(SWEEP_SCHEMA_VERSION)) {
        let (found, supported) = (version.unwrap_or(0), SWEEP_SCHEMA_VERSION);
        return Err(RecordError::Version { path, found, supported }.into());
    }
    let manifest: SweepManifest = serde_json::from_value(value).map_err(malformed)?;
    let base = scenario::parse_with(&manifest.text, Path::new(MANIFEST), &manifest.overrides)?;
    let points = points(&manifest.facts)?;
    Ok(Sweep { manifest, base, points, folder: folder.to_owned() })
}

/// What a point came to, from its file.
pub(super) fn read_point(path: &Path) -> Result<PointResult, RecordError> {
    let malformed = |why: String| RecordError::malformed(path, "a point of a sweep (Parquet)", why);
    let whole = summary_row::read(path)?;
    let result: PointResult =
        serde_json::from_str(&whole).map_err(|error| malformed(error.to_string()))?;
    if result.schema_version != POINT_SCHEMA_VERSION {
        let found = u64::from(result.schema_version);
        let (path, supported) = (path.to_owned(), POINT_SCHEMA_VERSION);
        return Err(RecordError::Version { path, found, supported });
    }
    Ok(result)
}

impl Sweep {
    /// The file of a point.
    pub(super) fn path(&self, point: &Point) -> PathBuf {
        let mut path = self.folder.join("points");
        for setting in point.settings.iter().filter(|setting| setting.on_grid) {
            path.push(format!("{}={}", escaped(&setting.key), escaped(&setting.label)));
        }
        path.join(format!("part-{:05}.parquet", point.index))
    }

    /// Keeps what the sweep is; the same bytes, whoever writes them.
    pub(super) fn write_manifest(&self) -> Result<(), RecordError> {
        fs::create_dir_all(&self.folder)
            .map_err(RecordError::io("create the folder", &self.folder))?;
        self.write_json(MANIFEST, &self.manifest)
    }

    pub(super) fn write_point(
        &self,
        point: &Point,
        result: &PointResult,
    ) -> Result<(), RecordError> {
        let whole = serde_json::to_string(result)
            .map_err(|error| RecordError::malformed(&self.folder, EXPECTED, error))?;
        summary_row::write(&self.path(point), &self.scratch(), &columns(result), &whole)
    }

    /// Writes the summary of a sweep that is complete.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_summary(&self, results: &SweepResults) -> Result<(), SweepError> {
        self.write_json(SUMMARY, results)?;
        // Empty, unless a run was killed while it wrote, or another one is still at work.
        let _ = fs::remove_dir(self.scratch());
        Ok(())
    }

    /// A folder for files that are not whole yet.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.folder.join(SCRATCH)
    }

    fn write_json(&self, name: &str, value: &impl serde::Serialize) -> Result<(), RecordError> {
        let path = self.folder.join(name);
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|error| RecordError::malformed(&path, EXPECTED, error))?;
        text.push('\n');
        summary_row::replace(&path, &self.scratch(), text.as_bytes())
    }
}

/// As Hive and those after it write what cannot stand in the name of a folder.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+') {
            shown.push(char::from(byte));
        } else {
            shown.push_str(&format!("%{byte:02X}"));
        }
    }
    shown
}

/// Name of a column of numbers: the key, and the unit in words.
fn column_of(setting: &Setting) -> String {
    match &*setting.unit {
        "" => setting.key.clone(),
        "%" => format!("{}_percent", setting.key),
        unit => format!("{}_{}", setting.key, unit.replace('/', "per_")),
    }
}

fn columns(result: &PointResult) -> Vec<(String, Cell)> {
    let mut columns = vec![
        ("point".to_owned(), Cell::Count(u64::from(result.index))),
        ("sweep".to_owned(), Cell::Text(result.sweep.clone())),
    ];
    for setting in &result.settings {
        match setting.number {
            // A plain number is what readers make of the folder's name.
            Some(number) if !setting.on_grid || !setting.unit.is_empty() => {
                columns.push((column_of(setting), Cell::Number(number)));
            }
            _ => {}
        }
    }
    columns.extend([
        ("replications".to_owned(), Cell::Count(u64::from(result.replications))),
        ("requests".to_owned(), Cell::Count(result.requests)),
        ("failed".to_owned(), Cell::Count(result.failed)),
        ("retried".to_owned(), Cell::Count(result.retried)),
        ("offered_per_s".to_owned(), Cell::Number(result.offered)),
    ]);
    for measure in Measure::ALL {
        let estimate = result.measured(measure).estimate;
        let (name, unit) = match measure {
            Measure::P999 => ("p999", "_ns"),
            Measure::Goodput => ("goodput", "_per_s"),
            latency if latency.is_latency() => (latency.name(), "_ns"),
            share => (share.name(), ""),
        };
        columns.push((format!("{name}{unit}"), Cell::Number(estimate.value)));
        columns.push((format!("{name}_low{unit}"), Cell::NumberOrNull(estimate.low)));
        columns.push((format!("{name}_high{unit}"), Cell::NumberOrNull(estimate.high)));
    }
    columns.push(("max_ns".to_owned(), Cell::Number(result.max_ns)));
    columns.push(("jain".to_owned(), Cell::Number(result.jain)));
    for (name, verdict) in [
        ("checks_held", Verdict::Held),
        ("checks_failed", Verdict::Failed),
        ("checks_undecided", Verdict::Undecided),
    ] {
        columns.push((name.to_owned(), Cell::Count(result.count(verdict))));
    }
    let failed = result.failed_checks().collect::<Vec<_>>().join("; ");
    columns.push(("failed_checks".to_owned(), Cell::Text(failed)));
    columns.push(("warnings".to_owned(), Cell::Text(result.warnings.join("; "))));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_hold_any_value() {
        assert_eq!(escaped("least_conn"), "least_conn");
        assert_eq!(escaped("280/s"), "280%2Fs");
        assert_eq!(escaped("a=b %µ"), "a%3Db%20%25%C2%B5");
        let setting = |unit: &str| Setting {
            key: "traffic.rate".to_owned(),
            toml: String::new(),
            label: String::new(),
            number: Some(1.0),
            unit: unit.to_owned(),
            on_grid: true,
        };
        assert_eq!(column_of(&setting("/s")), "traffic.rate_per_s");
        assert_eq!(column_of(&setting("ms")), "traffic.rate_ms");
        assert_eq!(column_of(&setting("")), "traffic.rate");
    }
}
