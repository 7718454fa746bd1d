//! Parquet files, a column at a time: the only folder that names the Parquet writer.
//!
//! All columns of a row group are encoded side by side in memory as blocks of rows come in, and
//! the finished row group is appended to the file. So no row is held uncompressed for longer
//! than a block, and memory is the compressed size of one row group. Times and ids are stored as
//! packed differences, since they rise slowly; names and small numbers as indices into a
//! dictionary. Both are encoded here, in a third of the time that the crate's encoders take (its
//! dictionary would hash a string per row); the crate writes pages, footer, floats and texts.

mod chunk;
mod code;
mod delta;
mod number;
mod pack;
mod page;
pub(super) mod row;
mod run_length;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};

use self::chunk::{Chunk, Result};
use self::page::Buffers;
use super::RecordError;

/// Rows of a row group: some 2 MiB in the file, and 20 MiB when a reader decodes it.
const ROW_GROUP_ROWS: usize = 1 << 17;

/// A column of a file.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Its name, with the unit.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) kind: Kind,
}

/// What a column holds.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Unsigned integers of 32 bits with few different values.
    Code,
    /// Unsigned integers of 64 bits.
    Unsigned,
    /// Signed integers of 64 bits, since a difference of unsigned ones wraps in many tools.
    Signed,
    /// The same, or null.
    SignedOrNull,
    /// 32-bit floats.
    Float,
    /// Free text.
    Text,
    /// One of these names.
    Name(Arc<[String]>),
    /// One of these names, or null.
    NameOrNull(Arc<[String]>),
}

/// A Parquet file that is being written.
pub(super) struct TableFile {
    path: PathBuf,
    file: SerializedFileWriter<File>,
    chunks: Vec<Chunk>,
    buffers: Buffers,
    rows: usize,
}

impl TableFile {
    /// Begins the file at `path`, with `metadata` as its key-value pairs.
    pub(super) fn create(
        path: &Path,
        columns: Vec<Column>,
        metadata: &[(&str, String)],
    ) -> std::result::Result<Self, RecordError> {
        let file = File::create(path).map_err(RecordError::io("create", path))?;
        let pairs =
            metadata.iter().map(|(key, value)| KeyValue::new((*key).to_owned(), value.clone()));
        let properties = properties(pairs.collect());
        let file = schema(&columns)
            .and_then(|schema| SerializedFileWriter::new(file, schema, Arc::new(properties)))
            .map_err(|error| write_error(path, error))?;
        let described = file.schema_descr().columns().iter().cloned();
        let open = |(column, described): (&Column, _)| {
            Chunk::open(&column.kind, described, file.properties())
        };
        let chunks = columns.iter().zip(described).map(open).collect();
        Ok(Self { path: path.to_owned(), file, chunks, buffers: Buffers::default(), rows: 0 })
    }

    /// A block to be filled column by column with the values of `rows`.
    pub(super) fn block<'a, R>(&'a mut self, rows: &'a [R]) -> Block<'a, R> {
        Block { rows, chunks: self.chunks.iter_mut() }
    }

    /// Encodes what the last block was filled with: `rows` values in each column.
    pub(super) fn end_block(&mut self, rows: usize) -> std::result::Result<(), RecordError> {
        self.rows += rows;
        let encoded = self.chunks.iter_mut().try_for_each(Chunk::end_block);
        let ended = encoded
            .and_then(|()| if self.rows >= ROW_GROUP_ROWS { self.end_row_group() } else { Ok(()) });
        ended.map_err(|error| write_error(&self.path, error))
    }

    /// Writes the last row group and the footer.
    pub(super) fn finish(mut self) -> std::result::Result<(), RecordError> {
        let ended = if self.rows > 0 { self.end_row_group() } else { Ok(()) };
        ended
            .and_then(|()| self.file.finish().map(drop))
            .map_err(|error| write_error(&self.path, error))
    }

    fn end_row_group(&mut self) -> Result<()> {
        let mut group = self.file.next_row_group()?;
        for chunk in &mut self.chunks {
            let (bytes, closed) = chunk.finish(&mut self.buffers)?;
            group.append_column(&bytes, closed)?;
            self.buffers.keep_chunk(bytes);
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

/// The columns of a block of rows, filled in their order: each takes a function from a row.
pub(super) struct Block<'a, R> {
    rows: &'a [R],
    chunks: std::slice::IterMut<'a, Chunk>,
}

impl<R> Block<'_, R> {
    /// Fills the next column, of 32 bits without a sign and few different values.
    pub(super) fn code(&mut self, value: impl Fn(&R) -> u32) {
        match self.chunks.next() {
            Some(Chunk::Code(column)) => column.extend(self.rows, value),
            _ => unreachable!("the table's columns say otherwise"),
        }
    }

    /// Fills the next column, of 64 bits without a sign.
    pub(super) fn unsigned(&mut self, value: impl Fn(&R) -> u64) {
        match self.chunks.next() {
            Some(Chunk::Number(column)) => column.extend(self.rows, value),
            _ => unreachable!("the table's columns say otherwise"),
        }
    }

    /// Fills the next column, of 64 bits with a sign; what does not fit becomes the largest.
    pub(super) fn signed(&mut self, value: impl Fn(&R) -> u64) {
        self.unsigned(|row| signed(value(row)));
    }

    /// Fills the next column: the value, or null where it equals the other one.
    pub(super) fn signed_unless(&mut self, pair: impl Fn(&R) -> (u64, u64)) {
        match self.chunks.next() {
            Some(Chunk::Number(column)) => column.extend_unless(self.rows, pair, signed),
            _ => unreachable!("the table's columns say otherwise"),
        }
    }

    /// Fills the next column, of floats.
    pub(super) fn float(&mut self, value: impl Fn(&R) -> f32) {
        match self.chunks.next() {
            Some(Chunk::Float(column, _)) => column.extend(self.rows.iter().map(value)),
            _ => unreachable!("the table's columns say otherwise"),
        }
    }

    /// Fills the next column, of texts.
    pub(super) fn text(&mut self, value: impl Fn(&R) -> &str) {
        match self.chunks.next() {
            Some(Chunk::Text(column, _)) => {
                column.extend(self.rows.iter().map(|row| ByteArray::from(value(row))));
            }
            _ => unreachable!("the table's columns say otherwise"),
        }
    }

    /// Fills the next column, of names by their index; one beyond the names is null.
    pub(super) fn name(&mut self, index: impl Fn(&R) -> u32) {
        self.code(index);
    }
}

/// The largest that a signed column holds is 292 years.
fn signed(value: u64) -> u64 {
    value.min(i64::MAX as u64)
}

fn schema(columns: &[Column]) -> Result<TypePtr> {
    let fields: Result<Vec<TypePtr>> = columns.iter().map(|c| field(c).map(Arc::new)).collect();
    Type::group_type_builder("lab").with_fields(fields?).build().map(Arc::new)
}

fn field(column: &Column) -> Result<Type> {
    let (physical, logical) = match &column.kind {
        Kind::Code => (Physical::INT32, Some(LogicalType::integer(32, false))),
        Kind::Unsigned => (Physical::INT64, Some(LogicalType::integer(64, false))),
        Kind::Signed | Kind::SignedOrNull => (Physical::INT64, None),
        Kind::Float => (Physical::FLOAT, None),
        Kind::Text | Kind::Name(_) | Kind::NameOrNull(_) => {
            (Physical::BYTE_ARRAY, Some(LogicalType::String))
        }
    };
    let repetition = match column.kind {
        Kind::SignedOrNull | Kind::NameOrNull(_) => Repetition::OPTIONAL,
        _ => Repetition::REQUIRED,
    };
    Type::primitive_type_builder(column.name, physical)
        .with_logical_type(logical)
        .with_repetition(repetition)
        .build()
}

/// How the crate's own encoders write: floats and texts.
fn properties(pairs: Vec<KeyValue>) -> WriterProperties {
    WriterProperties::builder()
        .set_created_by(concat!("lab version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(pairs))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_data_page_row_count_limit(ROW_GROUP_ROWS)
        .build()
}

/// The system's own answer where there was one, such as a full disk.
fn write_error(path: &Path, error: ParquetError) -> RecordError {
    let source = match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(source) => *source,
            Err(other) => io::Error::other(other.to_string()),
        },
        other => io::Error::other(other.to_string()),
    };
    RecordError::io("write", path)(source)
}
