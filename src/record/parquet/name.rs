//! A column chunk of names: indices into a dictionary that is known in advance.

use std::mem;
use std::sync::Arc;

use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Finished, Pages, Result};
use super::run_length::{encode, width_for};

/// Rows of a page.
const PAGE_ROWS: usize = 1 << 16;

/// A chunk of names: a dictionary page, and pages of indices.
pub(super) struct NameChunk {
    column: ColumnDescPtr,
    names: Arc<[String]>,
    nullable: bool,
    /// The rows of the open page; an index beyond the names is null.
    pub(super) indices: Vec<u32>,
    pages: Vec<CompressedPage>,
    rows: usize,
}

impl NameChunk {
    pub(super) fn open(column: ColumnDescPtr, names: &Arc<[String]>, nullable: bool) -> Self {
        let names = names.clone();
        Self { column, names, nullable, indices: Vec::new(), pages: Vec::new(), rows: 0 }
    }

    pub(super) fn encode_full_pages(&mut self) -> Result<()> {
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

    pub(super) fn finish(mut self) -> Result<Finished> {
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
