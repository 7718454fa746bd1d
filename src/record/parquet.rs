//! Parquet files, a column at a time: the only file that names the Parquet writer.
//!
//! All columns of a row group are encoded side by side in memory as blocks of rows come in, and
//! the finished row group is appended to the file. So no row is held uncompressed for longer
//! than a block, and memory is the compressed size of one row group. Numbers are
//! delta-bit-packed (times and ids rise slowly), names are indices into a dictionary that is
//! known in advance: the crate's own dictionary would hash a string per row.

use std::fs::File;
use std::io::{self, Write as _};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriteSpec, PageWriter};
use parquet::column::writer::{
    ColumnCloseResult, ColumnWriterImpl, get_column_writer, get_typed_column_writer,
};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, KeyValue};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, ColumnPath, Type, TypePtr};

use super::RecordError;
use super::run_length::{encode, width_for};

/// Rows of a row group: some 2 MiB in the file, and 20 MiB when a reader decodes it.
const ROW_GROUP_ROWS: usize = 1 << 17;
/// Rows of a page of names.
const PAGE_ROWS: usize = 1 << 16;

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
    /// Unsigned integers of this many bits: 32 or 64.
    Unsigned(i8),
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
    columns: Vec<Column>,
    chunks: Vec<Chunk>,
    rows: usize,
}

/// A column chunk of the open row group: its values of this block, then the encoder they go to.
enum Chunk {
    Int32(Vec<i32>, Encoder<Int32Type>),
    Int64(Vec<i64>, Encoder<Int64Type>),
    Nullable(Vec<i64>, Vec<i16>, Encoder<Int64Type>),
    Float(Vec<f32>, Encoder<FloatType>),
    Text(Vec<ByteArray>, Encoder<ByteArrayType>),
    Names(NameChunk),
}

struct Encoder<T: DataType> {
    writer: ColumnWriterImpl<'static, T>,
    pages: Pages,
}

/// A finished chunk, ready to be appended.
type Finished = (Bytes, ColumnCloseResult);
type Result<T> = std::result::Result<T, ParquetError>;

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
        let properties = properties(&columns, pairs.collect());
        let file = schema(&columns)
            .and_then(|schema| SerializedFileWriter::new(file, schema, Arc::new(properties)))
            .map_err(|error| write_error(path, error))?;
        Ok(Self { path: path.to_owned(), file, columns, chunks: Vec::new(), rows: 0 })
    }

    /// A block of `rows` rows to be filled column by column.
    pub(super) fn block(&mut self) -> Block<'_> {
        if self.chunks.is_empty() {
            let described = self.file.schema_descr().columns().iter().cloned();
            let open = |(column, described): (&Column, _)| {
                Chunk::open(&column.kind, described, self.file.properties())
            };
            self.chunks = self.columns.iter().zip(described).map(open).collect();
        }
        Block { chunks: self.chunks.iter_mut() }
    }

    /// Encodes what the last block was filled with: `rows` values in each column.
    pub(super) fn end_block(&mut self, rows: usize) -> std::result::Result<(), RecordError> {
        self.rows += rows;
        let encoded = self.chunks.iter_mut().try_for_each(|chunk| chunk.encode(rows));
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
        for chunk in self.chunks.drain(..) {
            let (bytes, closed) = chunk.finish()?;
            group.append_column(&bytes, closed)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }
}

/// The columns of a block, filled in their order.
pub(super) struct Block<'a> {
    chunks: std::slice::IterMut<'a, Chunk>,
}

impl Block<'_> {
    /// Fills the next column, of 32 bits without a sign.
    pub(super) fn small(&mut self, values: impl Iterator<Item = u32>) {
        match self.chunks.next() {
            Some(Chunk::Int32(column, _)) => column.extend(values.map(u32::cast_signed)),
            _ => unreachable!("the table's columns say otherwise"),
        }
    }

    /// Fills the next column, of 64 bits without a sign.
    pub(super) fn unsigned(&mut self, values: impl Iterator<Item = u64>) {
        match self.chunks.next() {
            Some(Chunk::Int64(column, _)) => column.extend(values.map(u64::cast_signed)),
            _ => unreachable!("the table's columns say otherwise"),
        }
    }

    /// Fills the next column, of 64 bits with a sign; what does not fit becomes the largest.
    pub(super) fn signed(&mut self, values: impl Iterator<Item = u64>) {
        self.unsigned(values.map(|value| value.min(i64::MAX as u64)));
    }

    /// Fills the next column: values, or null where they equal the other value.
    pub(super) fn signed_unless(&mut self, values: impl Iterator<Item = (u64, u64)>) {
        let Some(Chunk::Nullable(column, defined, _)) = self.chunks.next() else {
            unreachable!("the table's columns say otherwise")
        };
        for (value, other) in values {
            if value != other {
                column.push(value.min(i64::MAX as u64).cast_signed());
            }
            defined.push(i16::from(value != other));
        }
    }

    /// Fills the next column, of floats.
    pub(super) fn float(&mut self, values: impl Iterator<Item = f32>) {
        match self.chunks.next() {
            Some(Chunk::Float(column, _)) => column.extend(values),
            _ => unreachable!("the table's columns say otherwise"),
        }
    }

    /// Fills the next column, of texts.
    pub(super) fn text<'t>(&mut self, values: impl Iterator<Item = &'t str>) {
        match self.chunks.next() {
            Some(Chunk::Text(column, _)) => column.extend(values.map(ByteArray::from)),
            _ => unreachable!("the table's columns say otherwise"),
        }
    }

    /// Fills the next column, of names by their index; one beyond the names is null.
    pub(super) fn name(&mut self, indices: impl Iterator<Item = u32>) {
        match self.chunks.next() {
            Some(Chunk::Names(column)) => column.indices.extend(indices),
            _ => unreachable!("the table's columns say otherwise"),
        }
    }
}

impl Chunk {
    fn open(kind: &Kind, column: ColumnDescPtr, properties: &Arc<WriterProperties>) -> Self {
        match kind {
            Kind::Unsigned(32) => Self::Int32(Vec::new(), Encoder::open(column, properties)),
            Kind::Unsigned(_) | Kind::Signed => {
                Self::Int64(Vec::new(), Encoder::open(column, properties))
            }
            Kind::SignedOrNull => {
                Self::Nullable(Vec::new(), Vec::new(), Encoder::open(column, properties))
            }
            Kind::Float => Self::Float(Vec::new(), Encoder::open(column, properties)),
            Kind::Text => Self::Text(Vec::new(), Encoder::open(column, properties)),
            Kind::Name(names) => Self::Names(NameChunk::open(column, names, false)),
            Kind::NameOrNull(names) => Self::Names(NameChunk::open(column, names, true)),
        }
    }

    fn encode(&mut self, rows: usize) -> Result<()> {
        match self {
            Self::Int32(values, encoder) => encoder.encode(values, None, rows),
            Self::Int64(values, encoder) => encoder.encode(values, None, rows),
            Self::Nullable(values, defined, encoder) => encoder.encode(values, Some(defined), rows),
            Self::Float(values, encoder) => encoder.encode(values, None, rows),
            Self::Text(values, encoder) => encoder.encode(values, None, rows),
            Self::Names(names) => names.encode_full_pages(),
        }
    }

    fn finish(self) -> Result<Finished> {
        match self {
            Self::Int32(_, encoder) => encoder.finish(),
            Self::Int64(_, encoder) | Self::Nullable(_, _, encoder) => encoder.finish(),
            Self::Float(_, encoder) => encoder.finish(),
            Self::Text(_, encoder) => encoder.finish(),
            Self::Names(names) => names.finish(),
        }
    }
}

impl<T: DataType> Encoder<T> {
    fn open(column: ColumnDescPtr, properties: &Arc<WriterProperties>) -> Self {
        let pages = Pages::default();
        let writer = get_column_writer(column, properties.clone(), Box::new(pages.clone()));
        Self { writer: get_typed_column_writer(writer), pages }
    }

    /// Encodes and empties `values`.
    fn encode(
        &mut self,
        values: &mut Vec<T::T>,
        defined: Option<&mut Vec<i16>>,
        rows: usize,
    ) -> Result<()> {
        let levels = defined.as_deref().map(Vec::as_slice);
        debug_assert_eq!(rows, levels.map_or(values.len(), <[i16]>::len), "one value per row");
        self.writer.write_batch(values, levels, None)?;
        values.clear();
        defined.into_iter().for_each(Vec::clear);
        Ok(())
    }

    fn finish(self) -> Result<Finished> {
        let closed = self.writer.close()?;
        Ok((self.pages.take()?, closed))
    }
}

/// A chunk of names: a dictionary page, and pages of indices.
struct NameChunk {
    column: ColumnDescPtr,
    names: Arc<[String]>,
    nullable: bool,
    indices: Vec<u32>,
    pages: Vec<CompressedPage>,
    rows: usize,
}

impl NameChunk {
    fn open(column: ColumnDescPtr, names: &Arc<[String]>, nullable: bool) -> Self {
        let names = names.clone();
        Self { column, names, nullable, indices: Vec::new(), pages: Vec::new(), rows: 0 }
    }

    fn encode_full_pages(&mut self) -> Result<()> {
        if self.indices.len() >= PAGE_ROWS { self.encode_page() } else { Ok(()) }
    }

    fn encode_page(&mut self) -> Result<()> {
        let count = self.indices.len();
        let mut bytes = Vec::new();
        if self.nullable {
            self.encode_levels(&mut bytes);
        }
        let largest = self.indices.iter().copied().max().unwrap_or(0);
        if largest as usize >= self.names.len() && !self.indices.is_empty() {
            let known = self.names.len();
            return Err(ParquetError::General(format!(
                "a row has index {largest} in `{}`, and only {known} names are known",
                self.column.name()
            )));
        }
        let width = width_for(largest);
        bytes.push(width);
        encode(&self.indices, width, &mut bytes);
        self.indices.clear();
        self.rows += count;
        self.pages.push(data_page(bytes, count));
        Ok(())
    }

    /// Writes which rows have a name, and drops those without from the indices.
    fn encode_levels(&mut self, bytes: &mut Vec<u8>) {
        let known = self.names.len();
        let levels: Vec<u32> =
            self.indices.iter().map(|index| u32::from((*index as usize) < known)).collect();
        let mut encoded = Vec::new();
        encode(&levels, 1, &mut encoded);
        bytes.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&encoded);
        self.indices.retain(|index| (*index as usize) < known);
    }

    fn finish(mut self) -> Result<Finished> {
        if !self.indices.is_empty() {
            self.encode_page()?;
        }
        let mut pages = Pages::default();
        let dictionary = pages.write_page(dictionary_page(&self.names))?;
        let mut sizes = [dictionary.compressed_size, dictionary.uncompressed_size];
        for page in mem::take(&mut self.pages) {
            let written = pages.write_page(page)?;
            sizes[0] += written.compressed_size;
            sizes[1] += written.uncompressed_size;
        }
        let metadata = ColumnChunkMetaData::builder(self.column)
            .set_encodings(vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY])
            .set_compression(Compression::UNCOMPRESSED)
            .set_num_values(self.rows as i64)
            .set_total_compressed_size(sizes[0] as i64)
            .set_total_uncompressed_size(sizes[1] as i64)
            .set_dictionary_page_offset(Some(0))
            .set_data_page_offset(dictionary.bytes_written as i64)
            .build()?;
        let closed = ColumnCloseResult {
            bytes_written: sizes[0] as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        Ok((pages.take()?, closed))
    }
}

fn dictionary_page(names: &[String]) -> CompressedPage {
    let mut bytes = Vec::new();
    for name in names {
        bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
    }
    let size = bytes.len();
    let page = Page::DictionaryPage {
        buf: bytes.into(),
        num_values: names.len() as u32,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    };
    CompressedPage::new(page, size)
}

fn data_page(bytes: Vec<u8>, count: usize) -> CompressedPage {
    let size = bytes.len();
    let page = Page::DataPage {
        buf: bytes.into(),
        num_values: count as u32,
        encoding: Encoding::RLE_DICTIONARY,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };
    CompressedPage::new(page, size)
}

/// Where the pages of a chunk gather: the encoder holds one handle, the file the other.
#[derive(Clone)]
struct Pages(Arc<Mutex<TrackedWrite<Vec<u8>>>>);

impl Default for Pages {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(TrackedWrite::new(Vec::new()))))
    }
}

impl Pages {
    fn bytes(&self) -> MutexGuard<'_, TrackedWrite<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written; the tracked writer buffers, so that is flushed first.
    fn take(&self) -> Result<Bytes> {
        let mut bytes = self.bytes();
        bytes.flush()?;
        Ok(mem::take(bytes.inner_mut()).into())
    }
}

impl PageWriter for Pages {
    fn write_page(&mut self, page: CompressedPage) -> Result<PageWriteSpec> {
        SerializedPageWriter::new(&mut *self.bytes()).write_page(page)
    }

    fn close(&mut self) -> Result<()> {
        self.bytes().flush().map_err(ParquetError::from)
    }
}

fn schema(columns: &[Column]) -> Result<TypePtr> {
    let fields: Result<Vec<TypePtr>> = columns.iter().map(|c| field(c).map(Arc::new)).collect();
    Type::group_type_builder("lab").with_fields(fields?).build().map(Arc::new)
}

fn field(column: &Column) -> Result<Type> {
    let (physical, logical) = match &column.kind {
        Kind::Unsigned(bits) => {
            let physical = if *bits == 64 { Physical::INT64 } else { Physical::INT32 };
            (physical, Some(LogicalType::integer(*bits, false)))
        }
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

fn properties(columns: &[Column], pairs: Vec<KeyValue>) -> WriterProperties {
    let start = WriterProperties::builder()
        .set_created_by(concat!("lab version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(pairs))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_data_page_row_count_limit(ROW_GROUP_ROWS);
    let whole = |kind: &Kind| matches!(kind, Kind::Unsigned(_) | Kind::Signed | Kind::SignedOrNull);
    let delta = columns.iter().filter(|column| whole(&column.kind));
    delta
        .fold(start, |properties, column| {
            properties
                .set_column_encoding(ColumnPath::from(column.name), Encoding::DELTA_BINARY_PACKED)
        })
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
