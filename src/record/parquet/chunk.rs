//! The column chunks of an open row group, one for each kind of column.

use std::io::Write as _;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::column::writer::{
    ColumnCloseResult, ColumnWriterImpl, get_column_writer, get_typed_column_writer,
};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::Kind;
use super::code::CodeChunk;
use super::number::NumberChunk;
use super::page::Buffers;

/// A finished chunk, ready to be appended.
pub(super) type Finished = (Bytes, ColumnCloseResult);
pub(super) type Result<T> = std::result::Result<T, ParquetError>;

/// A column chunk of the open row group.
pub(super) enum Chunk {
    Number(Box<NumberChunk>),
    Code(CodeChunk),
    /// What is rare goes through the crate's own encoders: the block's values, then the encoder.
    Float(Vec<f32>, Encoder<FloatType>),
    Text(Vec<ByteArray>, Encoder<ByteArrayType>),
}

impl Chunk {
    pub(super) fn open(
        kind: &Kind,
        column: ColumnDescPtr,
        properties: &Arc<WriterProperties>,
    ) -> Self {
        match kind {
            Kind::Code => Self::Code(CodeChunk::of_numbers(column)),
            Kind::Unsigned | Kind::Signed => {
                Self::Number(Box::new(NumberChunk::open(column, false)))
            }
            Kind::SignedOrNull => Self::Number(Box::new(NumberChunk::open(column, true))),
            Kind::Float => Self::Float(Vec::new(), Encoder::open(column, properties)),
            Kind::Text => Self::Text(Vec::new(), Encoder::open(column, properties)),
            Kind::Name(names) => Self::Code(CodeChunk::of_names(column, names, false)),
            Kind::NameOrNull(names) => Self::Code(CodeChunk::of_names(column, names, true)),
        }
    }

    /// Encodes what has gathered, where that is due.
    pub(super) fn end_block(&mut self) -> Result<()> {
        match self {
            Self::Number(_) => Ok(()),
            Self::Code(codes) => codes.end_block(),
            Self::Float(values, encoder) => encoder.encode(values),
            Self::Text(values, encoder) => encoder.encode(values),
        }
    }

    /// Completes the chunk and begins the next.
    pub(super) fn finish(&mut self, buffers: &mut Buffers) -> Result<Finished> {
        match self {
            Self::Number(numbers) => numbers.finish(buffers),
            Self::Code(codes) => codes.finish(buffers),
            Self::Float(_, encoder) => encoder.finish(),
            Self::Text(_, encoder) => encoder.finish(),
        }
    }
}

pub(super) struct Encoder<T: DataType> {
    column: ColumnDescPtr,
    properties: Arc<WriterProperties>,
    writer: ColumnWriterImpl<'static, T>,
    pages: Pages,
}

impl<T: DataType> Encoder<T> {
    fn open(column: ColumnDescPtr, properties: &Arc<WriterProperties>) -> Self {
        let pages = Pages::default();
        let writer = get_column_writer(column.clone(), properties.clone(), Box::new(pages.clone()));
        let writer = get_typed_column_writer(writer);
        Self { column, properties: properties.clone(), writer, pages }
    }

    /// Encodes and empties `values`.
    fn encode(&mut self, values: &mut Vec<T::T>) -> Result<()> {
        self.writer.write_batch(values, None, None)?;
        values.clear();
        Ok(())
    }

    fn finish(&mut self) -> Result<Finished> {
        let next = Self::open(self.column.clone(), &self.properties);
        let Self { writer, pages, .. } = mem::replace(self, next);
        let closed = writer.close()?;
        Ok((pages.take()?, closed))
    }
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
