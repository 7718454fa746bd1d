//! Rows of a Parquet file, read with polars.

use std::borrow::Cow;
use std::path::Path;

use polars::prelude::{AnyValue, Column, ParquetReader, SerReader};

use super::{Reader, TraceProblem};

pub(super) fn read<'a>(path: &Path, classes: &'a [String]) -> Result<Reader<'a>, TraceProblem> {
    let file = std::fs::File::open(path)?;
    let table = ParquetReader::new(file)
        .finish()
        .map_err(|error| TraceProblem::Format(format!("is not readable as Parquet: {error}")))?;
    let names = table.get_column_names().iter().map(|name| name.to_string()).collect();
    let mut reader = Reader::new(names, classes)?;
    let columns = table.columns();
    for row in 0..table.height() {
        reader.push(row as u64 + 1, |column| text(&columns[column], row))?;
    }
    Ok(reader)
}

/// The cell as text, so that both formats share their checks; numbers keep all their digits. What
/// is neither text nor number (a date, a list) is shown as polars does, and refused as a time.
fn text(column: &Column, row: usize) -> Cow<'_, str> {
    match column.get(row) {
        Err(_) | Ok(AnyValue::Null) => Cow::Borrowed(""),
        Ok(AnyValue::String(text)) => Cow::Borrowed(text.trim()),
        Ok(AnyValue::Float64(number)) => Cow::Owned(number.to_string()),
        Ok(AnyValue::Float32(number)) => Cow::Owned(number.to_string()),
        Ok(value) if value.is_integer() => {
            Cow::Owned(value.extract::<i128>().map_or_else(String::new, |n| n.to_string()))
        }
        Ok(other) => Cow::Owned(other.to_string()),
    }
}
