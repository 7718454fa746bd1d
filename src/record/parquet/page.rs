//! Pages made by hand, and the chunk they add up to.

use std::io::Write as _;
use std::mem;

use bytes::Bytes;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Finished, Result};

/// Room for a page and for a chunk, used over and over: fresh memory costs more than to copy into it.
#[derive(Default)]
pub(super) struct Buffers {
    page: Vec<u8>,
    chunk: Vec<u8>,
}

impl Buffers {
    /// An empty one for a page.
    pub(super) fn page(&mut self) -> Vec<u8> {
        mem::take(&mut self.page)
    }

    /// Takes back a page's.
    fn keep_page(&mut self, page: Bytes) {
        self.page = emptied(page, mem::take(&mut self.page));
    }

    /// Takes back a chunk's, once it is in the file.
    pub(super) fn keep_chunk(&mut self, chunk: Bytes) {
        self.chunk = emptied(chunk, mem::take(&mut self.chunk));
    }
}

/// The larger of both, empty. Nothing is copied: nobody else holds `bytes`.
fn emptied(bytes: Bytes, other: Vec<u8>) -> Vec<u8> {
    let mut kept = Vec::from(bytes);
    if kept.capacity() < other.capacity() {
        kept = other;
    }
    kept.clear();
    kept
}

/// The parts of a chunk. They stay as they are: packed numbers are noise to zstd.
pub(super) struct Made {
    pub(super) dictionary: Option<CompressedPage>,
    pub(super) pages: Vec<CompressedPage>,
    pub(super) rows: usize,
    pub(super) encodings: Vec<Encoding>,
    pub(super) statistics: Option<Statistics>,
}

impl Made {
    /// Puts the pages one after the other, and describes them.
    pub(super) fn finish(self, column: ColumnDescPtr, buffers: &mut Buffers) -> Result<Finished> {
        let mut bytes = TrackedWrite::new(mem::take(&mut buffers.chunk));
        let mut sizes = [0, 0];
        let mut first_page = 0;
        let has_dictionary = self.dictionary.is_some();
        for page in self.dictionary.into_iter().chain(self.pages) {
            let is_dictionary = !page.compressed_page().is_data_page();
            let data = page.compressed_page().buffer().clone();
            let written = SerializedPageWriter::new(&mut bytes).write_page(page)?;
            buffers.keep_page(data);
            sizes[0] += written.compressed_size;
            sizes[1] += written.uncompressed_size;
            if is_dictionary {
                first_page = written.bytes_written;
            }
        }
        let mut metadata = ColumnChunkMetaData::builder(column)
            .set_encodings(self.encodings)
            .set_compression(Compression::UNCOMPRESSED)
            .set_num_values(self.rows as i64)
            .set_total_compressed_size(sizes[0] as i64)
            .set_total_uncompressed_size(sizes[1] as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(0))
            .set_data_page_offset(first_page as i64);
        if let Some(statistics) = self.statistics {
            metadata = metadata.set_statistics(statistics);
        }
        let closed = ColumnCloseResult {
            bytes_written: sizes[0] as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        };
        // The tracked writer buffers.
        bytes.flush()?;
        Ok((bytes.into_inner()?.into(), closed))
    }
}

/// A page of `count` rows.
pub(super) fn data_page(bytes: Vec<u8>, count: usize, encoding: Encoding) -> CompressedPage {
    let size = bytes.len();
    let page = Page::DataPage {
        buf: bytes.into(),
        num_values: count as u32,
        encoding,
        def_level_encoding: Encoding::RLE,
        rep_level_encoding: Encoding::RLE,
        statistics: None,
    };
    CompressedPage::new(page, size)
}

/// A dictionary of `count` values.
pub(super) fn dictionary_page(bytes: Vec<u8>, count: usize) -> CompressedPage {
    let size = bytes.len();
    let page = Page::DictionaryPage {
        buf: bytes.into(),
        num_values: count as u32,
        encoding: Encoding::PLAIN,
        is_sorted: false,
    };
    CompressedPage::new(page, size)
}

/// Appends what `write` appends, after its length in four bytes: so levels stand in a page.
pub(super) fn prefixed(bytes: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    write(bytes);
    let length = (bytes.len() - start - 4) as u32;
    bytes[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
