//! Spools: JSON lines of rows, which the programs of the live world write while they run.
//!
//! A program may be killed at any instant, so the last line of a spool may be torn; it is left
//! out and reported. A broken line anywhere else means that the file is not a spool, or was
//! damaged, and is an error.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AttemptRow, EventRow, RecordError, RequestRow, Sink};
use crate::units::{Nanos, Span};

const EXPECTED: &str = "a spool of rows (JSON lines)";
/// Rows reach the file at least this often.
const FLUSH_EVERY: Span = Span::from_secs(1);

/// Writes rows as JSON lines.
#[derive(Debug)]
pub struct SpoolWriter<T> {
    path: PathBuf,
    file: BufWriter<File>,
    flushed: Nanos,
    row: PhantomData<fn(&T)>,
}

impl<T: Serialize> SpoolWriter<T> {
    /// Begins the file at `path`, replacing an old one.
    ///
    /// # Errors
    /// When it cannot be created.
    pub fn create(path: &Path) -> Result<Self, RecordError> {
        let file = File::create(path).map_err(RecordError::io("create", path))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::with_capacity(1 << 16, file),
            flushed: Nanos::ZERO,
            row: PhantomData,
        })
    }

    /// Appends `row`; hands the buffer to the system if the last time was a second before `now`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write(&mut self, row: &T, now: Nanos) -> Result<(), RecordError> {
        serde_json::to_writer(&mut self.file, row)
            .map_err(std::io::Error::from)
            .and_then(|()| self.file.write_all(b"\n"))
            .map_err(RecordError::io("write", &self.path))?;
        if now.since(self.flushed) >= FLUSH_EVERY {
            self.flushed = now;
            self.flush()?;
        }
        Ok(())
    }

    /// Hands the buffer to the system; also when nothing was written for a while.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        self.file.flush().map_err(RecordError::io("write", &self.path))
    }
}

/// How reading a spool went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpoolEnd {
    /// Whole rows.
    pub rows: u64,
    /// Whether a torn last line was left out.
    pub torn: bool,
}

/// Reads rows one after the other.
#[derive(Debug)]
pub struct SpoolReader<T> {
    path: PathBuf,
    lines: BufReader<File>,
    line: Vec<u8>,
    end: SpoolEnd,
    row: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> SpoolReader<T> {
    /// Begins at the first row of the spool at `path`.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let file = File::open(path).map_err(RecordError::io("read", path))?;
        Ok(Self {
            path: path.to_owned(),
            lines: BufReader::with_capacity(1 << 16, file),
            line: Vec::new(),
            end: SpoolEnd::default(),
            row: PhantomData,
        })
    }

    /// The next row; `None` behind the last whole one.
    ///
    /// # Errors
    /// When the file cannot be read, or a line other than a torn last one is not a row; names the
    /// line.
    pub fn row(&mut self) -> Result<Option<T>, RecordError> {
        self.line.clear();
        let read = self.lines.read_until(b'\n', &mut self.line);
        read.map_err(RecordError::io("read", &self.path))?;
        if self.line.is_empty() {
            return Ok(None);
        }
        match serde_json::from_slice(&self.line) {
            Ok(row) => {
                self.end.rows += 1;
                Ok(Some(row))
            }
            Err(_) if self.line.last() != Some(&b'\n') => {
                self.end.torn = true;
                Ok(None)
            }
            Err(error) => {
                let why = format!("line {}: {error}", self.end.rows + 1);
                Err(RecordError::malformed(&self.path, EXPECTED, why))
            }
        }
    }
}

/// Gives every row of the spool at `path` to `take`, in order.
///
/// # Errors
/// As [`SpoolReader::row`].
pub fn read_spool<T: DeserializeOwned>(
    path: &Path,
    mut take: impl FnMut(T),
) -> Result<SpoolEnd, RecordError> {
    let mut reader = SpoolReader::open(path)?;
    while let Some(row) = reader.row()? {
        take(row);
    }
    Ok(reader.end)
}

/// Gives the generator's requests to `sink` as round `round`. Their times are relative already.
///
/// # Errors
/// As [`read_spool`].
pub fn merge_requests(
    path: &Path,
    round: u32,
    sink: &mut impl Sink,
) -> Result<SpoolEnd, RecordError> {
    read_spool(path, |row: RequestRow| sink.request(&RequestRow { replication: round, ..row }))
}

/// Gives the balancer's attempts to `sink` as round `round`, with times relative to `zero`.
///
/// # Errors
/// As [`read_spool`].
pub fn merge_attempts(
    path: &Path,
    round: u32,
    zero: Nanos,
    sink: &mut impl Sink,
) -> Result<SpoolEnd, RecordError> {
    read_spool(path, |row: AttemptRow| {
        sink.attempt(&AttemptRow {
            replication: round,
            start_ns: relative(row.start_ns, zero),
            end_ns: relative(row.end_ns, zero),
            ..row
        });
    })
}

/// Gives the balancer's events to `sink` as round `round`, with times relative to `zero`.
///
/// # Errors
/// As [`read_spool`].
pub fn merge_events(
    path: &Path,
    round: u32,
    zero: Nanos,
    sink: &mut impl Sink,
) -> Result<SpoolEnd, RecordError> {
    read_spool(path, |row: EventRow| {
        let at_ns = relative(row.at_ns, zero);
        sink.event(&EventRow { replication: round, at_ns, ..row });
    })
}

/// What happened before zero, such as a first health check, counts as at zero.
const fn relative(absolute: u64, zero: Nanos) -> u64 {
    absolute.saturating_sub(zero.0)
}
