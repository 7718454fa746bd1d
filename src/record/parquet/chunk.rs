//! A column chunk: the values of a block, the encoder they go to, and the pages it makes.

use std::io::Write as _;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use parquet::column::page::{CompressedPage, PageWriteSpec, PageWriter};
use parquet::column::writer::{
    ColumnCloseResult, ColumnWriterImpl, get_column_writer, get_typed_column_writer,
};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::Kind;
use super::name::NameChunk;

/// A finished chunk, ready to be appended.
pub(super) type Finished = (Bytes, ColumnCloseResult);
pub(super) type Result<T> = std::result::Result<T, ParquetError>;

/// A column chunk of the open row group: its values of this block, then the encoder they go to.
pub(super) enum Chunk {
    Int32(Vec<i32>, Encoder<Int32Type>),
    Int64(Vec<i64>, Encoder<Int64Type>),
    Nullable(Vec<i64>, Vec<i16>, Encoder<Int64Type>),
    Float(Vec<f32>, Encoder<FloatType>),
    Text(Vec<ByteArray>, Encoder<ByteArrayType>),
    Names(NameChunk),
}

pub(super) struct Encoder<T: DataType> {
    writer: ColumnWriterImpl<'static, T>,
    pages: Pages,
}

impl Chunk {
    pub(super) fn open(
        kind: &Kind,
        column: ColumnDescPtr,
        properties: &Arc<WriterProperties>,
    ) -> Self {
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

    pub(super) fn encode(&mut self, rows: usize) -> Result<()> {
        match self {
            Self::Int32(values, encoder) => encoder.encode(values, None, rows),
            Self::Int64(values, encoder) => encoder.encode(values, None, rows),
            Self::Nullable(values, defined, encoder) => encoder.encode(values, Some(defined), rows),
            Self::Float(values, encoder) => encoder.encode(values, None, rows),
            Self::Text(values, encoder) => encoder.encode(values, None, rows),
            Self::Names(names) => names.encode_full_pages(),
        }
    }

    pub(super) fn finish(self) -> Result<Finished> {
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

/// Where the pages of a chunk gather: the encoder holds one handle, the file the other.
#[derive(Clone)]
pub(super) struct Pages(Arc<Mutex<TrackedWrite<Vec<u8>>>>);

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
    pub(super) fn take(&self) -> Result<Bytes> {
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
