//! A file of one row, made in memory, and what a file says of itself under a key.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type;

use super::chunk::Result;
use super::{properties, write_error};
use crate::record::RecordError;
use crate::record::summary_row::Cell;

/// The file as bytes, the same for the same row.
pub(in crate::record) fn bytes(
    path: &Path,
    columns: &[(String, Cell)],
    metadata: &[(&str, String)],
) -> std::result::Result<Vec<u8>, RecordError> {
    encode(columns, metadata).map_err(|error| write_error(path, error))
}

fn encode(columns: &[(String, Cell)], metadata: &[(&str, String)]) -> Result<Vec<u8>> {
    let fields: Result<Vec<_>> =
        columns.iter().map(|(name, cell)| field(name, cell).map(Arc::new)).collect();
    let schema = Type::group_type_builder("lab").with_fields(fields?).build()?;
    let pairs = metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
    let properties = Arc::new(properties(pairs.collect()));
    let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), properties)?;
    let mut group = file.next_row_group()?;
    for (_, cell) in columns {
        let mut column = group.next_column()?.expect("the schema has a field for each column");
        write(&mut column, cell)?;
        column.close()?;
    }
    group.close()?;
    file.into_inner()
}

fn field(name: &str, cell: &Cell) -> Result<Type> {
    let (physical, logical) = match cell {
        Cell::Count(_) => (Physical::INT64, None),
        Cell::Number(_) | Cell::NumberOrNull(_) => (Physical::DOUBLE, None),
        Cell::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let repetition = match cell {
        Cell::NumberOrNull(_) => Repetition::OPTIONAL,
        _ => Repetition::REQUIRED,
    };
    Type::primitive_type_builder(name, physical)
        .with_logical_type(logical)
        .with_repetition(repetition)
        .build()
}

fn write(column: &mut SerializedColumnWriter<'_>, cell: &Cell) -> Result<usize> {
    match cell {
        Cell::Count(count) => {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            column.typed::<Int64Type>().write_batch(&[count], None, None)
        }
        Cell::Number(number) => column.typed::<DoubleType>().write_batch(&[*number], None, None),
        Cell::NumberOrNull(number) => {
            let values: Vec<f64> = number.iter().copied().collect();
            let levels = [i16::from(number.is_some())];
            column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)
        }
        Cell::Text(text) => {
            column.typed::<ByteArrayType>().write_batch(&[ByteArray::from(&**text)], None, None)
        }
    }
}

/// What the file at `path` says under `key`, if anything.
pub(in crate::record) fn metadata(
    path: &Path,
    key: &str,
) -> std::result::Result<Option<String>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let reader = SerializedFileReader::new(file).map_err(|error| error.to_string())?;
    let pairs = reader.metadata().file_metadata().key_value_metadata();
    let found = pairs.into_iter().flatten().find(|pair| pair.key == key);
    Ok(found.and_then(|pair| pair.value.clone()))
}
