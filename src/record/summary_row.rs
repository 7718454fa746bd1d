//! One row of statistics as a Parquet file of its own, for many tools to read many of them as one
//! table. It appears whole: written under another name, synced, renamed.

use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Write};
use std::path::Path;

use super::RecordError;
use super::parquet::row;

/// A value and its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A count or an index; 64 bits.
    Count(u64),
    /// A number.
    Number(f64),
    /// A number, or null.
    NumberOrNull(Option<f64>),
    /// A text.
    Text(String),
}

/// Under which the file keeps all that its row sums up, as JSON.
const WHOLE: &str = "lab.point";
const EXPECTED: &str = "a point of a sweep (Parquet)";

/// Writes the row of `columns` to `path`, whose folders are made, with `whole` (JSON) beside it.
/// `scratch` is a folder of the same file system for the file until it is whole.
///
/// # Errors
/// When it cannot be written; there is no file at `path` then, or the one that was there.
pub fn write(
    path: &Path,
    scratch: &Path,
    columns: &[(String, Cell)],
    whole: &str,
) -> Result<(), RecordError> {
    let bytes = row::bytes(path, columns, &[(WHOLE, whole.to_owned())])?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(RecordError::io("create the folder", folder))?;
    }
    replace(path, scratch, &bytes)
}

/// Writes a file so that it appears whole, or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn replace(path: &Path, scratch: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let partial = scratch.join(format!("{name}-{}", unique()));
    for again in [true, false] {
        fs::create_dir_all(scratch).map_err(RecordError::io("create the folder", scratch))?;
        let written = File::create(&partial)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        match written.and_then(|()| fs::rename(&partial, path)) {
            // Another process has ended and taken the empty folder away.
            Err(error) if again && error.kind() == ErrorKind::NotFound => {}
            ended => return ended.map_err(RecordError::io("write", path)),
        }
    }
    Ok(())
}

/// A word that no other writer has: processes in containers on one volume share their numbers.
#[must_use]
pub fn unique() -> String {
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// What [`write()`] kept beside the row of the file at `path`.
///
/// # Errors
/// When it cannot be read, or is something else.
pub fn read(path: &Path) -> Result<String, RecordError> {
    match row::metadata(path, WHOLE) {
        Ok(Some(whole)) => Ok(whole),
        Ok(None) => Err(RecordError::malformed(path, EXPECTED, "lab did not write it")),
        Err(why) => Err(RecordError::malformed(path, EXPECTED, why)),
    }
}
