//! Rows of a CSV file; lines that begin with `#` are comments.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use super::{Reader, TraceProblem};

pub(super) fn read<'a>(path: &Path, classes: &'a [String]) -> Result<Reader<'a>, TraceProblem> {
    rows(std::io::BufReader::new(std::fs::File::open(path)?), classes)
}

/// The rows of a text.
pub(super) fn rows(text: impl Read, classes: &[String]) -> Result<Reader<'_>, TraceProblem> {
    let mut rows =
        csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text);
    let names = rows.headers().map_err(problem)?.iter().map(str::to_owned).collect();
    let mut reader = Reader::new(names, classes)?;
    let mut row = csv::StringRecord::new();
    while rows.read_record(&mut row).map_err(problem)? {
        let line = row.position().map_or(0, csv::Position::line);
        reader.push(line, |column| Cow::Borrowed(row.get(column).unwrap_or("")))?;
    }
    Ok(reader)
}

fn problem(error: csv::Error) -> TraceProblem {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => TraceProblem::Read(error),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => TraceProblem::Format(format!(
            "line {line} has {len} columns where the header has {expected_len}"
        )),
        csv::ErrorKind::Utf8 { .. } => TraceProblem::Format(format!("line {line} is not UTF-8")),
        other => TraceProblem::Format(format!("is not CSV: {other:?}")),
    }
}
