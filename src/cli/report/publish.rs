//! `lab report --publish`: pictures and an index in a folder that one commits.

use std::fs;
use std::path::{Path, PathBuf};

use super::ReportError;
use crate::experiment::{is_of_engines, saved_engines, saved_results};
use crate::record::{Manifest, RecordError};
use crate::report::{chart, published};

/// Fills `to`; what else is in it stays. The number of pictures.
pub(super) fn publish(run: &Path, to: &Path) -> Result<usize, ReportError> {
    let scratch = scratch(to);
    let written = fill(run, &scratch).and_then(|pictures| {
        take_over(&scratch, to)?;
        Ok(pictures)
    });
    let _ = fs::remove_dir_all(&scratch);
    written
}

fn fill(run: &Path, to: &Path) -> Result<usize, ReportError> {
    // Read before anything is made.
    let engines = is_of_engines(run).then(|| saved_engines(run)).transpose()?;
    let results = if engines.is_none() { Some(saved_results(run)?) } else { None };
    let first = engines.as_ref().and_then(|results| results.engines.first());
    let folder = first.map_or_else(|| run.to_owned(), |engine| run.join(&engine.folder));
    let manifest = Manifest::load(&folder.join("run.json"))?;
    fs::create_dir_all(to).map_err(RecordError::io("create", to))?;
    let name = |path: PathBuf| path.file_name().map(|it| it.to_string_lossy().into_owned());
    let (pictures, index) = match (&engines, &results) {
        (Some(results), _) => {
            let pictures = chart::draw_engines(results, to)?;
            let pictures: Vec<String> = pictures.into_iter().filter_map(name).collect();
            let index = published::index_of_engines(results, Some(&manifest), &pictures);
            (pictures, index)
        }
        (None, Some(results)) => {
            let pictures = chart::draw_all(results, to)?;
            let pictures: Vec<String> = pictures.into_iter().filter_map(name).collect();
            let index = published::index(results, &manifest, &pictures);
            (pictures, index)
        }
        (None, None) => return Ok(0),
    };
    let path = to.join("README.md");
    fs::write(&path, index).map_err(RecordError::io("write", &path))?;
    Ok(pictures.len())
}

/// Beside the folder, so that its files can be renamed into it.
fn scratch(to: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(to.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    to.with_file_name(name)
}

fn take_over(from: &Path, to: &Path) -> Result<(), RecordError> {
    fs::create_dir_all(to).map_err(RecordError::io("create", to))?;
    for entry in fs::read_dir(from).map_err(RecordError::io("read", from))? {
        let path = entry.map_err(RecordError::io("read", from))?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        fs::rename(&path, &target).map_err(RecordError::io("write", &target))?;
    }
    Ok(())
}
