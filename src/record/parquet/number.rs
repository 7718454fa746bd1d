//! A column chunk of whole numbers of 64 bits, with or without nulls: one page of differences.

use parquet::basic::Encoding;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Finished, Result};
use super::delta::DeltaEncoder;
use super::page::{Made, data_page, prefixed};
use super::run_length::encode_bits;

pub(super) struct NumberChunk {
    column: ColumnDescPtr,
    values: DeltaEncoder,
    /// A bit per row that has a value, where there may be nulls.
    defined: Vec<u64>,
    nullable: bool,
    rows: usize,
    nulls: usize,
}

impl NumberChunk {
    pub(super) fn open(column: ColumnDescPtr, nullable: bool) -> Self {
        let values = DeltaEncoder::new();
        Self { column, values, defined: Vec::new(), nullable, rows: 0, nulls: 0 }
    }

    /// Appends a row per value.
    #[inline]
    pub(super) fn extend(&mut self, values: impl Iterator<Item = u64>) {
        for value in values {
            self.values.push_if(value, true);
            self.rows += 1;
        }
    }

    /// Appends a row per pair: its first, or null where both are equal.
    #[inline]
    pub(super) fn extend_unless(&mut self, pairs: impl Iterator<Item = (u64, u64)>) {
        for (value, other) in pairs {
            let bit = self.rows % 64;
            if bit == 0 {
                self.defined.push(0);
            }
            let differs = value != other;
            self.values.push_if(value, differs);
            if let Some(word) = self.defined.last_mut() {
                *word |= u64::from(differs) << bit;
            }
            self.nulls += usize::from(!differs);
            self.rows += 1;
        }
    }

    pub(super) fn finish(self) -> Result<Finished> {
        let range = self.values.range();
        let statistics = Statistics::int64(
            range.map(|(min, _)| min.cast_signed()),
            range.map(|(_, max)| max.cast_signed()),
            None,
            Some(self.nulls as u64),
            false,
        );
        let mut bytes = Vec::new();
        if self.nullable {
            prefixed(&mut bytes, |bytes| encode_bits(&self.defined, self.rows, bytes));
        }
        self.values.finish(&mut bytes);
        Made {
            dictionary: None,
            pages: vec![data_page(bytes, self.rows, Encoding::DELTA_BINARY_PACKED)],
            rows: self.rows,
            encodings: vec![Encoding::RLE, Encoding::DELTA_BINARY_PACKED],
            statistics: Some(statistics),
        }
        .finish(self.column)
    }
}
