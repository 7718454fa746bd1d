//! The files of a run: what is written comes back, whole or not at all.

use std::fs;
use std::path::PathBuf;

#[path = "record/directory.rs"]
mod directory;
#[path = "record/documents.rs"]
mod documents;
#[cfg(feature = "files")]
#[path = "record/parquet.rs"]
mod parquet;
#[path = "record/spool.rs"]
mod spool;

/// An empty folder of its own for each test.
fn folder(test: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("record").join(test);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}
