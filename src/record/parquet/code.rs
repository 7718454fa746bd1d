//! A column chunk of values of which there are few: indices into a dictionary.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::{iter, mem};

use parquet::basic::Encoding;
use parquet::column::page::CompressedPage;
use parquet::errors::ParquetError;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Finished, Result};
use super::page::{Buffers, Made, data_page, dictionary_page, prefixed};
use super::run_length::{SHORTEST_RUN, encode, encode_same, width_for};

/// Rows of a page.
const PAGE_ROWS: usize = 1 << 16;

pub(super) struct CodeChunk {
    column: ColumnDescPtr,
    dictionary: Dictionary,
    /// Whether an index beyond the dictionary is a null, and not an error.
    nullable: bool,
    /// While all rows of the open page have the same index: which, and how many they are.
    same: (u32, usize),
    /// Once they differ, the index of each.
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
        Self {
            column,
            dictionary,
            nullable,
            same: (0, 0),
            indices: Vec::new(),
            pages: Vec::new(),
            rows: 0,
        }
    }

    /// Appends the value of each of `rows`: an index of a name, or a number.
    #[inline]
    pub(super) fn extend<R>(&mut self, rows: &[R], value: impl Fn(&R) -> u32) {
        if self.indices.is_empty()
            && let Some(first) = rows.first()
        {
            let first = value(first);
            let begun = self.same.1 > 0 && self.dictionary.value(self.same.0) == Some(first);
            let differing = rows.iter().fold(0, |all, row| all | value(row) ^ first);
            if differing == 0 && (begun || self.same.1 == 0) {
                if !begun {
                    self.same.0 = self.dictionary.place(first);
                }
                self.same.1 += rows.len();
                return;
            }
        }
        self.extend_with_different(rows, value);
    }

    fn extend_with_different<R>(&mut self, rows: &[R], value: impl Fn(&R) -> u32) {
        self.spell_out();
        let Dictionary::Numbers(numbers, _) = &self.dictionary else {
            self.indices.extend(rows.iter().map(value));
            return;
        };
        let mut last = 0;
        let mut last_value = numbers.first().copied();
        for value in rows.iter().map(value) {
            // Most often the same as in the row before.
            if last_value != Some(value) {
                last = self.dictionary.place(value);
                last_value = Some(value);
            }
            self.indices.push(last);
        }
    }

    /// Begins to keep an index for each row.
    fn spell_out(&mut self) {
        let (index, rows) = mem::take(&mut self.same);
        if rows > 0 {
            self.indices.extend(iter::repeat_n(index, rows));
        }
    }

    /// Makes a page if there are rows for one.
    pub(super) fn end_block(&mut self) -> Result<()> {
        if self.page_rows() >= PAGE_ROWS { self.end_page() } else { Ok(()) }
    }

    const fn page_rows(&self) -> usize {
        self.same.1 + self.indices.len()
    }

    /// Writes what has gathered to `buffers`, and begins anew.
    pub(super) fn finish(&mut self, buffers: &mut Buffers) -> Result<Finished> {
        if self.page_rows() > 0 {
            self.end_page()?;
        }
        let dictionary = self.dictionary.page();
        self.dictionary.begin_anew();
        Made {
            dictionary: Some(dictionary),
            pages: mem::take(&mut self.pages),
            rows: mem::take(&mut self.rows),
            encodings: vec![Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY],
            statistics: None,
        }
        .finish(self.column.clone(), buffers)
    }

    fn end_page(&mut self) -> Result<()> {
        let rows = self.page_rows();
        let known = self.dictionary.len();
        if self.same.1 < SHORTEST_RUN || self.same.0 as usize >= known {
            self.spell_out();
        }
        let mut bytes = Vec::new();
        let largest = |indices: &[u32]| indices.iter().copied().max();
        let mut largest_index =
            largest(&self.indices).max((self.same.1 > 0).then_some(self.same.0));
        if self.nullable {
            let missing = largest_index.is_some_and(|index| index as usize >= known);
            if missing || rows < SHORTEST_RUN {
                self.encode_levels(&mut bytes);
                largest_index = largest(&self.indices);
            } else {
                prefixed(&mut bytes, |bytes| encode_same(1, rows, 1, bytes));
            }
        }
        if let Some(index) = largest_index.filter(|index| *index as usize >= known) {
            return Err(ParquetError::General(format!(
                "a row has index {index} in `{}`, and only {known} names are known",
                self.column.name()
            )));
        }
        let width = width_for(largest_index.unwrap_or(0));
        bytes.push(width);
        match mem::take(&mut self.same) {
            (_, 0) => encode(&self.indices, width, &mut bytes),
            (index, rows) => encode_same(index, rows, width, &mut bytes),
        }
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

    /// The value at `index`, where there is one.
    fn value(&self, index: u32) -> Option<u32> {
        match self {
            Self::Names(_) => Some(index),
            Self::Numbers(numbers, _) => numbers.get(index as usize).copied(),
        }
    }

    /// The index of `value`, which is new or known.
    fn place(&mut self, value: u32) -> u32 {
        match self {
            Self::Names(_) => value,
            Self::Numbers(numbers, places) => *places.entry(value).or_insert_with(|| {
                numbers.push(value);
                (numbers.len() - 1) as u32
            }),
        }
    }

    fn begin_anew(&mut self) {
        if let Self::Numbers(numbers, places) = self {
            numbers.clear();
            places.clear();
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
