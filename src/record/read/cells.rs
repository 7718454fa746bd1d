//! Any Parquet file as text, cell by cell: what somebody else has measured.

use std::path::Path;

use polars::prelude::{AnyValue, Column, ParquetReader, SerReader};

use super::{RecordError, check_frame, guarded};

const EXPECTED: &str = "a table (Parquet)";

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cells {
    /// The names of its columns.
    pub names: Vec<String>,
    /// Its rows; numbers with all their digits, what is missing as empty text.
    pub rows: Vec<Vec<String>>,
}

/// Reads the file at `path`, whole.
///
/// # Errors
/// When it cannot be read or is no whole Parquet file.
pub fn cells(path: &Path) -> Result<Cells, RecordError> {
    let mut file = std::fs::File::open(path).map_err(RecordError::io("read", path))?;
    check_frame(path, &mut file)?;
    let table = guarded(path, || ParquetReader::new(file).finish())?;
    let names = table.get_column_names().iter().map(|name| name.to_string()).collect();
    let columns = table.columns();
    let row = |row| columns.iter().map(|column| cell(column, row)).collect();
    let rows: Vec<Vec<String>> = (0..table.height()).map(row).collect();
    if rows.is_empty() {
        return Err(RecordError::malformed(path, EXPECTED, "it has no rows"));
    }
    Ok(Cells { names, rows })
}

fn cell(column: &Column, row: usize) -> String {
    match column.get(row) {
        Err(_) | Ok(AnyValue::Null) => String::new(),
        Ok(AnyValue::String(text)) => text.trim().to_owned(),
        Ok(AnyValue::Float64(number)) => number.to_string(),
        Ok(AnyValue::Float32(number)) => number.to_string(),
        Ok(value) if value.is_integer() => {
            value.extract::<i128>().map_or_else(String::new, |number| number.to_string())
        }
        Ok(other) => other.to_string(),
    }
}
