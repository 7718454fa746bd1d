//! Recorded arrivals, read from CSV or Parquet.
//!
//! The first line names the columns. One of `at` (seconds, or with a unit such as `250ms`), `at_s`,
//! `at_ms`, `at_us`, `at_ns` says when a request arrived; the rows are in that order, and the
//! first arrival becomes time zero. Optional are the service demand, `demand` with the same
//! endings, and `class`, the name of a class of the scenario; an empty cell means "not recorded".
//! Other columns are left alone, unless their name looks like a slip of one of these.

mod cell;
mod csv;
#[cfg(feature = "files")]
mod parquet;

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use super::TraceEntry;
use crate::units::{Nanos, Span};
use cell::Unit;

/// Reads the trace in `path`; the ending `.parquet` means Parquet, anything else CSV. `classes`
/// are the names that a class column may use.
///
/// # Errors
/// Names the file, and the line and column where there is one: a file that cannot be read, a
/// missing or doubtful column, a cell that is not a number, negative, or too large, an unknown
/// class, an arrival before the one above it, no rows at all.
pub fn read(path: &Path, classes: &[String]) -> Result<Vec<TraceEntry>, TraceError> {
    let fail = |problem| TraceError { path: path.to_owned(), problem };
    let is_parquet = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
    let read = if is_parquet { read_parquet } else { csv::read };
    read(path, classes).and_then(Reader::finish).map_err(fail)
}

/// Reads a trace from CSV text, whatever the bytes are.
///
/// # Errors
/// As [`read`], without the name of a file.
pub fn parse_csv(text: &[u8], classes: &[String]) -> Result<Vec<TraceEntry>, TraceProblem> {
    csv::rows(text, classes).and_then(Reader::finish)
}

#[cfg(feature = "files")]
use parquet::read as read_parquet;

#[cfg(not(feature = "files"))]
fn read_parquet<'a>(_: &Path, _: &'a [String]) -> Result<Reader<'a>, TraceProblem> {
    Err(TraceProblem::NoParquet)
}

/// A trace that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("trace {}: {problem}", path.display())]
pub struct TraceError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: TraceProblem,
}

/// What is wrong with a trace. Lines are counted from 1, the header included; in Parquet a line
/// is a row.
#[derive(Debug, thiserror::Error)]
pub enum TraceProblem {
    /// The file cannot be opened or read.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is not what its ending says.
    #[error("{0}")]
    Format(String),
    /// This build has no Parquet reader.
    #[error("this build of lab reads no Parquet; write the trace as CSV")]
    NoParquet,
    /// A column that must be there is not.
    #[error("has no column `at`, `at_s`, `at_ms`, `at_us` or `at_ns`; its columns are: {found}")]
    NoArrivals {
        /// The columns there are.
        found: String,
    },
    /// Two columns say the same thing.
    #[error("both `{first}` and `{second}` give the {role}")]
    Twice {
        /// What both give.
        role: &'static str,
        /// The one further left.
        first: String,
        /// The other.
        second: String,
    },
    /// A column that looks like a slip of a known one.
    #[error("column `{name}` is not known; did you mean `{nearest}`?")]
    UnknownColumn {
        /// As written.
        name: String,
        /// The known name next to it.
        nearest: String,
    },
    /// A cell does not hold what belongs there.
    #[error("line {line}, column {column} (`{name}`): `{text}` is not {expected}")]
    Cell {
        /// Its line.
        line: u64,
        /// Its column, from 1.
        column: usize,
        /// The name of the column.
        name: String,
        /// As written.
        text: String,
        /// What belongs there.
        expected: String,
    },
    /// An arrival is earlier than the one above it.
    #[error(
        "line {line}, column {column} (`{name}`): arrives before the line above it; sort the trace by arrival"
    )]
    Unsorted {
        /// Its line.
        line: u64,
        /// Its column, from 1.
        column: usize,
        /// The name of the column.
        name: String,
    },
    /// There is nothing below the header.
    #[error("holds no arrivals")]
    Empty,
}

/// Builds the entries from rows of text, wherever they come from.
struct Reader<'a> {
    names: Vec<String>,
    at: (usize, Unit),
    demand: Option<(usize, Unit)>,
    class: Option<usize>,
    classes: &'a [String],
    first: Option<Nanos>,
    entries: Vec<TraceEntry>,
}

/// The columns lab reads; all but the last come with a unit as an ending.
const ROLES: [(&str, &str); 3] = [("at", "arrival"), ("demand", "demand"), ("class", "class")];

impl<'a> Reader<'a> {
    fn new(names: Vec<String>, classes: &'a [String]) -> Result<Self, TraceProblem> {
        let mut found: [Option<(usize, Unit)>; 3] = [None; 3];
        for (column, name) in names.iter().enumerate() {
            let Some((role, unit)) = role(name) else {
                refuse_a_slip(name)?;
                continue;
            };
            if let Some((first, _)) = found[role] {
                let (first, second) = (names[first].clone(), name.clone());
                return Err(TraceProblem::Twice { role: ROLES[role].1, first, second });
            }
            found[role] = Some((column, unit));
        }
        let [at, demand, class] = found;
        let at = at.ok_or_else(|| TraceProblem::NoArrivals { found: names.join(", ") })?;
        let class = class.map(|(column, _)| column);
        Ok(Self { names, at, demand, class, classes, first: None, entries: Vec::new() })
    }

    /// Adds the row on `line`, whose cells `cell` hands out.
    fn push<'c>(
        &mut self,
        line: u64,
        cell: impl Fn(usize) -> Cow<'c, str>,
    ) -> Result<(), TraceProblem> {
        let (column, unit) = self.at;
        let at = Nanos(self.span(line, column, unit, &cell(column))?.0);
        let first = *self.first.get_or_insert(at);
        let at = Nanos(at.0.wrapping_sub(first.0));
        let previous = self.entries.last().map_or(Nanos::ZERO, |entry| entry.at);
        if at < previous || first.0.checked_add(at.0).is_none() {
            return Err(TraceProblem::Unsorted {
                line,
                column: column + 1,
                name: self.names[column].clone(),
            });
        }
        let demand = match self.demand.map(|(column, unit)| (column, unit, cell(column))) {
            Some((column, unit, text)) if !text.is_empty() => {
                Some(self.span(line, column, unit, &text)?)
            }
            _ => None,
        };
        let class = match self.class.map(|column| (column, cell(column))) {
            Some((column, text)) if !text.is_empty() => Some(self.class(line, column, &text)?),
            _ => None,
        };
        self.entries.push(TraceEntry { at, demand, class });
        Ok(())
    }

    fn span(&self, line: u64, column: usize, unit: Unit, text: &str) -> Result<Span, TraceProblem> {
        unit.read(text).ok_or_else(|| self.wrong(line, column, text, unit.expected()))
    }

    fn class(&self, line: u64, column: usize, text: &str) -> Result<u16, TraceProblem> {
        let found = self.classes.iter().position(|name| name == text);
        found.and_then(|index| u16::try_from(index).ok()).ok_or_else(|| {
            let expected = format!("a class of the scenario ({})", self.classes.join(", "));
            self.wrong(line, column, text, &expected)
        })
    }

    fn wrong(&self, line: u64, column: usize, text: &str, expected: &str) -> TraceProblem {
        let (name, text) = (self.names[column].clone(), text.chars().take(80).collect());
        TraceProblem::Cell { line, column: column + 1, name, text, expected: expected.to_owned() }
    }

    fn finish(self) -> Result<Vec<TraceEntry>, TraceProblem> {
        if self.entries.is_empty() { Err(TraceProblem::Empty) } else { Ok(self.entries) }
    }
}

/// The role (an index into [`ROLES`]) and unit of a column.
fn role(name: &str) -> Option<(usize, Unit)> {
    ROLES.iter().enumerate().find_map(|(index, (stem, _))| {
        let ending = name.strip_prefix(stem)?;
        let unit = if *stem == "class" {
            ending.is_empty().then_some(Unit::Written)
        } else {
            Unit::of_ending(ending)
        };
        Some((index, unit?))
    })
}

/// An unknown column is none of our business, but `demnad_ms` read as "no demand" would be a
/// wrong result.
fn refuse_a_slip(name: &str) -> Result<(), TraceProblem> {
    let known = ROLES
        .iter()
        .flat_map(|(stem, _)| Unit::ENDINGS.iter().map(move |ending| format!("{stem}{ending}")));
    // Two letters of difference make a slip only where more than that is left.
    let near = |known: &String| {
        known.len() > 4 && strsim::damerau_levenshtein(&name.to_lowercase(), known) <= 2
    };
    match known.filter(|known| role(known).is_some()).find(near) {
        Some(nearest) => Err(TraceProblem::UnknownColumn { name: name.to_owned(), nearest }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
