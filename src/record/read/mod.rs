//! The four files, back as rows: one row group after the other, so memory does not grow with the
//! run.
//!
//! Rows hold indices, the files names: the names of peers and classes come with the file's
//! metadata, in the order of their index. A file that lab did not write, or of which a part is
//! missing, is an error and never a panic.

mod cells;
mod rows;

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Once;

use polars::prelude::{
    ChunkedArray, Column, DataFrame, ParallelStrategy, ParquetReader, PolarsNumericType,
    PolarsResult, SerReader,
};
use serde::Serialize;

pub use self::cells::{Cells, cells};
use super::tables::{SCHEMA_VERSION, words};
use super::{AttemptRow, EventRow, NO_UPSTREAM, Names, RecordError, RequestRow, TimelineRow};

const EXPECTED: &str = "a record of lab (Parquet)";
const MAGIC: [u8; 4] = *b"PAR1";

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableFacts {
    /// Name of the scenario.
    pub scenario: String,
    /// The names behind the indices in its rows.
    pub names: Names,
    /// Rows in the file.
    pub rows: u64,
}

/// What the file at `path` says of itself, without reading its rows.
///
/// # Errors
/// When it cannot be read, is not a whole Parquet file written by lab, or has another version.
pub fn facts(path: &Path) -> Result<TableFacts, RecordError> {
    Table::open(path).map(|table| table.facts)
}

/// Gives every row of a `requests.parquet` to `take`, in the file's order.
///
/// # Errors
/// As [`facts`], and when a column is missing or holds something else.
pub fn requests(path: &Path, take: impl FnMut(&RequestRow)) -> Result<TableFacts, RecordError> {
    Table::open(path)?.rows(take)
}

/// Gives every row of an `attempts.parquet` to `take`, in the file's order.
///
/// # Errors
/// As [`requests`].
pub fn attempts(path: &Path, take: impl FnMut(&AttemptRow)) -> Result<TableFacts, RecordError> {
    Table::open(path)?.rows(take)
}

/// Gives every row of a `timeline.parquet` to `take`, in the file's order.
///
/// # Errors
/// As [`requests`].
pub fn timeline(path: &Path, take: impl FnMut(&TimelineRow)) -> Result<TableFacts, RecordError> {
    Table::open(path)?.rows(take)
}

/// Gives every row of an `events.parquet` to `take`, in the file's order.
///
/// # Errors
/// As [`requests`].
pub fn events(path: &Path, take: impl FnMut(&EventRow)) -> Result<TableFacts, RecordError> {
    Table::open(path)?.rows(take)
}

/// An open file.
struct Table<'a> {
    path: &'a Path,
    file: File,
    facts: TableFacts,
    groups: Vec<usize>,
}

impl<'a> Table<'a> {
    fn open(path: &'a Path) -> Result<Self, RecordError> {
        let mut file = File::open(path).map_err(RecordError::io("read", path))?;
        check_frame(path, &mut file)?;
        let mut reader = ParquetReader::new(clone(path, &file)?);
        let metadata = guarded(path, || reader.get_metadata().cloned())?;
        let value = |key: &str| {
            let mut pairs = metadata.key_value_metadata().iter().flatten();
            let found = pairs.find(|pair| pair.key == key).and_then(|pair| pair.value.clone());
            found.ok_or_else(|| RecordError::malformed(path, EXPECTED, "lab did not write it"))
        };
        check_version(path, &value("lab.schema_version")?)?;
        let names = Names {
            upstreams: list(path, &value("lab.upstreams")?)?,
            classes: list(path, &value("lab.classes")?)?,
        };
        let groups: Vec<usize> = metadata.row_groups.iter().map(|group| group.num_rows()).collect();
        let rows = groups.iter().sum::<usize>() as u64;
        let facts = TableFacts { scenario: value("lab.scenario")?, names, rows };
        Ok(Self { path, file, facts, groups })
    }

    fn rows<R: ReadRow>(self, mut take: impl FnMut(&R)) -> Result<TableFacts, RecordError> {
        let mut start = 0;
        let mut rows = Vec::new();
        for count in &self.groups {
            // A reader per group: it maps the file, and unmaps what it touched when it ends.
            let reader = ParquetReader::new(clone(self.path, &self.file)?)
                .read_parallel(ParallelStrategy::None)
                .with_slice(Some((start, *count)));
            let frame = guarded(self.path, || reader.finish())?;
            rows.clear();
            rows.resize(frame.height(), R::EMPTY);
            R::fill(&mut rows, &Columns { frame: &frame, names: &self.facts.names })
                .map_err(|why| RecordError::malformed(self.path, EXPECTED, why))?;
            rows.iter().for_each(&mut take);
            start += count;
        }
        Ok(self.facts)
    }
}

fn clone(path: &Path, file: &File) -> Result<File, RecordError> {
    file.try_clone().map_err(RecordError::io("read", path))
}

thread_local! {
    /// Whether a panic of this thread will be told as an error, and so needs no words of its own.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs a part of polars, which may panic over a damaged file where it should return an error.
fn guarded<T>(path: &Path, part: impl FnOnce() -> PolarsResult<T>) -> Result<T, RecordError> {
    static QUIET_HOOK: Once = Once::new();
    QUIET_HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !GUARDED.get() {
                loud(panic);
            }
        }));
    });
    GUARDED.set(true);
    let result = catch_unwind(AssertUnwindSafe(part));
    GUARDED.set(false);
    match result {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(RecordError::malformed(path, EXPECTED, error)),
        Err(_) => Err(RecordError::malformed(path, EXPECTED, "it is damaged")),
    }
}

/// Looks at both ends of the file before anyone trusts its metadata: Parquet files end in the
/// length of the metadata and a magic word, so a torn one shows here.
fn check_frame(path: &Path, file: &mut File) -> Result<(), RecordError> {
    let io = |error| RecordError::io("read", path)(error);
    let length = file.metadata().map_err(io)?.len();
    let malformed = |why: &str| Err(RecordError::malformed(path, EXPECTED, why));
    if length < 12 {
        return malformed("it is too short: it was not written to its end");
    }
    let mut head = [0; 4];
    file.read_exact(&mut head).map_err(io)?;
    let mut tail = [0; 8];
    file.seek(SeekFrom::End(-8)).and_then(|_| file.read_exact(&mut tail)).map_err(io)?;
    file.rewind().map_err(io)?;
    let metadata = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    match (head == MAGIC, tail[4..] == MAGIC) {
        (false, _) => malformed("it is not a Parquet file"),
        (true, false) => malformed("its end is missing: it was not written to its end"),
        (true, true) if metadata > length - 12 => malformed("its metadata is damaged"),
        (true, true) => Ok(()),
    }
}

fn check_version(path: &Path, text: &str) -> Result<(), RecordError> {
    match text.parse() {
        Ok(found) if found == u64::from(SCHEMA_VERSION) => Ok(()),
        Ok(found) => {
            Err(RecordError::Version { path: path.to_owned(), found, supported: SCHEMA_VERSION })
        }
        Err(_) => Err(RecordError::malformed(path, EXPECTED, "its version is not a number")),
    }
}

fn list(path: &Path, text: &str) -> Result<Vec<String>, RecordError> {
    serde_json::from_str(text)
        .map_err(|error| RecordError::malformed(path, EXPECTED, format!("its names: {error}")))
}

/// A row that can be filled column by column.
trait ReadRow: Clone {
    /// What the columns fill.
    const EMPTY: Self;
    /// Fills `rows` from `columns`, or says what is wrong.
    fn fill(rows: &mut [Self], columns: &Columns<'_>) -> Result<(), String>;
}

/// The columns of a row group.
struct Columns<'a> {
    frame: &'a DataFrame,
    names: &'a Names,
}

type Filled = Result<(), String>;

impl Columns<'_> {
    fn column(&self, name: &str) -> Result<&Column, String> {
        self.frame.column(name).map_err(|_| format!("it has no column `{name}`"))
    }

    fn small<R>(&self, rows: &mut [R], name: &str, set: impl Fn(&mut R, u32)) -> Filled {
        let values = self.column(name)?.u32().map_err(|_| wrong(name, "whole numbers"))?;
        fill_numbers(rows, name, values, set)
    }

    fn unsigned<R>(&self, rows: &mut [R], name: &str, set: impl Fn(&mut R, u64)) -> Filled {
        let values = self.column(name)?.u64().map_err(|_| wrong(name, "whole numbers"))?;
        fill_numbers(rows, name, values, set)
    }

    fn signed<R>(&self, rows: &mut [R], name: &str, set: impl Fn(&mut R, u64)) -> Filled {
        let values = self.column(name)?.i64().map_err(|_| wrong(name, "whole numbers"))?;
        fill_numbers(rows, name, values, |row, value| set(row, value.max(0) as u64))
    }

    /// As `signed`; a null is the value that `other` finds in the row.
    fn signed_or<R>(
        &self,
        rows: &mut [R],
        name: &str,
        other: impl Fn(&R) -> u64,
        set: impl Fn(&mut R, u64),
    ) -> Filled {
        let values = self.column(name)?.i64().map_err(|_| wrong(name, "whole numbers"))?;
        for (row, value) in rows.iter_mut().zip(values.iter()) {
            let value = value.map_or_else(|| other(row), |value| value.max(0) as u64);
            set(row, value);
        }
        Ok(())
    }

    fn float<R>(&self, rows: &mut [R], name: &str, set: impl Fn(&mut R, f32)) -> Filled {
        let values = self.column(name)?.f32().map_err(|_| wrong(name, "numbers"))?;
        fill_numbers(rows, name, values, set)
    }

    fn text<R>(&self, rows: &mut [R], name: &str, set: impl Fn(&mut R, &str)) -> Filled {
        let values = self.column(name)?.str().map_err(|_| wrong(name, "text"))?;
        fill(rows, name, values.iter(), set)
    }

    /// One of `known` by its index; null is [`NO_UPSTREAM`].
    fn name<R>(
        &self,
        rows: &mut [R],
        name: &str,
        known: &[String],
        set: impl Fn(&mut R, u32),
    ) -> Filled {
        let values = self.column(name)?.str().map_err(|_| wrong(name, "names"))?;
        let mut last = 0;
        for (row, value) in rows.iter_mut().zip(values.iter()) {
            let index = match value {
                None => NO_UPSTREAM,
                // Most often the same as in the row before.
                Some(text) if known.get(last).is_some_and(|name| name == text) => last as u32,
                Some(text) => {
                    last = known.iter().position(|name| name == text).ok_or_else(|| {
                        format!("`{text}` in column `{name}` is not a known name")
                    })?;
                    last as u32
                }
            };
            set(row, index);
        }
        Ok(())
    }

    /// One of `all`, by the word that stands for it.
    fn word<R, T: Copy + Serialize>(
        &self,
        rows: &mut [R],
        name: &str,
        all: &[T],
        set: impl Fn(&mut R, T),
    ) -> Filled {
        self.name(rows, name, &words(all), |row, index| {
            if let Some(value) = all.get(index as usize) {
                set(row, *value);
            }
        })
    }
}

/// As `fill`, by the shortest way where no value is lacking and all lie side by side.
fn fill_numbers<R, T: PolarsNumericType>(
    rows: &mut [R],
    name: &str,
    values: &ChunkedArray<T>,
    set: impl Fn(&mut R, T::Native),
) -> Filled {
    match values.cont_slice() {
        Ok(slice) => {
            rows.iter_mut().zip(slice).for_each(|(row, value)| set(row, *value));
            Ok(())
        }
        Err(_) => fill(rows, name, values.iter(), set),
    }
}

fn fill<R, V>(
    rows: &mut [R],
    name: &str,
    values: impl Iterator<Item = Option<V>>,
    set: impl Fn(&mut R, V),
) -> Filled {
    for (row, value) in rows.iter_mut().zip(values) {
        set(row, value.ok_or_else(|| format!("column `{name}` lacks a value"))?);
    }
    Ok(())
}

fn wrong(name: &str, expected: &str) -> String {
    format!("column `{name}` does not hold {expected}")
}
