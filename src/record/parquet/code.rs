//! A column chunk of values of which there are few: indices into a dictionary.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use parquet::basic::Encoding;
use parquet::column::page::CompressedPage;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Finished, Result};
use super::page::{Made, data_page, dictionary_page, prefixed};
use super::run_length::{encode, width_for};

/// Rows of a page.
const PAGE_ROWS: usize = 1 << 16;

pub(super) struct CodeChunk {
    column: ColumnDescPtr,
    dictionary: Dictionary,
    /// Whether an index beyond the dictionary is a null, and not an error.
    nullable: bool,
    /// The rows of the open page.
    indices: Vec<u32>,
    pages: Vec<CompressedPage>,
    rows: usize,
}

enum Dictionary {
    /// Known in advance.
    Names(Arc<[String]>),
    /// As they come, with the index of each.
    Numbers(Vec<u32>, BTreeMap<u32, u32>),
}

impl CodeChunk {
    /// A chunk of names that are given by their index.
    pub(super) fn of_names(column: ColumnDescPtr, names: &Arc<[String]>, nullable: bool) -> Self {
        Self::open(column, Dictionary::Names(names.clone()), nullable)
    }

    /// A chunk of numbers.
    pub(super) fn of_numbers(column: ColumnDescPtr) -> Self {
        Self::open(column, Dictionary::Numbers(Vec::new(), BTreeMap::new()), false)
    }

    fn open(column: ColumnDescPtr, dictionary: Dictionary, nullable: bool) -> Self {
        Self { column, dictionary, nullable, indices: Vec::new(), pages: Vec::new(), rows: 0 }
    }

    /// Appends a row per value: an index of a name, or a number.
    #[inline]
    pub(super) fn extend(&mut self, values: impl Iterator<Item = u32>) {
        let Dictionary::Numbers(numbers, places) = &mut self.dictionary else {
            self.indices.extend(values);
            return;
        };
        let mut last = 0;
        for value in values {
            // Most often the same as in the row before.
            if numbers.get(last as usize) != Some(&value) {
                last = *places.entry(value).or_insert_with(|| {
                    numbers.push(value);
                    (numbers.len() - 1) as u32
                });
            }
            self.indices.push(last);
        }
    }

    /// Makes a page if there are rows for one.
    pub(super) fn end_block(&mut self) -> Result<()> {
        if self.indices.len() >= PAGE_ROWS { self.end_page() } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> Result<Finished> {
        if !self.indices.is_empty() {
            self.end_page()?;
        }
        Made {
            dictionary: Some(self.dictionary.page()),
            pages: mem::take(&mut self.pages),
            rows: self.rows,
            encodings: vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY],
            statistics: None,
        }
        .finish(self.column)
    }

    fn end_page(&mut self) -> Result<()> {
        let rows = self.indices.len();
        let mut bytes = Vec::new();
        if self.nullable {
            self.encode_levels(&mut bytes);
        }
        let largest = self.indices.iter().copied().max();
        let known = self.dictionary.len();
        if let Some(index) = largest.filter(|index| *index as usize >= known) {
            return Err(ParquetError::General(format!(
                "a row has index {index} in `{}`, and only {known} names are known",
                self.column.name()
            )));
        }
        let width = width_for(largest.unwrap_or(0));
        bytes.push(width);
        encode(&self.indices, width, &mut bytes);
        self.indices.clear();
        self.rows += rows;
        self.pages.push(data_page(bytes, rows, Encoding::RLE_DICTIONARY));
        Ok(())
    }

    /// Writes which rows have a value, and drops those without from the indices.
    fn encode_levels(&mut self, bytes: &mut Vec<u8>) {
        let known = self.dictionary.len();
        let levels: Vec<u32> =
            self.indices.iter().map(|index| u32::from((*index as usize) < known)).collect();
        prefixed(bytes, |bytes| encode(&levels, 1, bytes));
        self.indices.retain(|index| (*index as usize) < known);
    }
}

impl Dictionary {
    fn len(&self) -> usize {
        match self {
            Self::Names(names) => names.len(),
            Self::Numbers(numbers, _) => numbers.len(),
        }
    }

    fn page(&self) -> CompressedPage {
        let mut bytes = Vec::new();
        match self {
            Self::Names(names) => {
                for name in names.iter() {
                    bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
                    bytes.extend_from_slice(name.as_bytes());
                }
            }
            Self::Numbers(numbers, _) => {
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
        }
        dictionary_page(bytes, self.len())
    }
}
