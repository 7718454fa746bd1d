//! A column chunk of whole numbers of 64 bits, with or without nulls: one page of differences.

use std::mem;

use parquet::basic::Encoding;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescPtr;

use super::chunk::{Finished, Result};
use super::delta::DeltaEncoder;
use super::page::{Buffers, Made, data_page, prefixed};
use super::run_length::encode_bits;

/// Rows whose bits are found together.
const WORD: usize = 64;

pub(super) struct NumberChunk {
    column: ColumnDescPtr,
    values: DeltaEncoder,
    /// A bit per row that has a value, where there may be nulls.
    defined: Vec<u64>,
    nullable: bool,
    rows: usize,
}

impl NumberChunk {
    pub(super) fn open(column: ColumnDescPtr, nullable: bool) -> Self {
        Self { column, values: DeltaEncoder::new(), defined: Vec::new(), nullable, rows: 0 }
    }

    /// Appends the value of each of `rows`.
    #[inline]
    pub(super) fn extend<R>(&mut self, rows: &[R], value: impl Fn(&R) -> u64) {
        self.values.extend(rows, value);
        self.rows += rows.len();
    }

    /// Appends the first of the pair of each of `rows`, or null where both are equal; both are as
    /// `limit` leaves them, which is asked for only where they differ before.
    #[inline]
    pub(super) fn extend_unless<R>(
        &mut self,
        rows: &[R],
        pair: impl Fn(&R) -> (u64, u64),
        limit: impl Fn(u64) -> u64,
    ) {
        for rows in rows.chunks(WORD) {
            let pairs = rows.iter().map(&pair);
            let differing = pairs.clone().fold(0, |all, (value, other)| all | (value ^ other));
            let mut defined = 0;
            // Most often all are null.
            if differing != 0 {
                // Without a branch on what may be a coin's toss: each is written, the wanted are kept.
                let (mut wanted, mut count) = ([0; WORD], 0);
                for (place, (value, other)) in pairs.enumerate() {
                    let (value, other) = (limit(value), limit(other));
                    wanted[count % WORD] = value;
                    count += usize::from(value != other);
                    defined |= u64::from(value != other) << place;
                }
                self.values.extend(&wanted[..count], |value| *value);
            }
            self.define(defined, rows.len());
        }
    }

    /// Appends the bits of up to 64 rows.
    fn define(&mut self, defined: u64, rows: usize) {
        let bit = self.rows % WORD;
        match self.defined.last_mut() {
            Some(last) if bit > 0 => {
                *last |= defined << bit;
                if bit + rows > WORD {
                    self.defined.push(defined >> (WORD - bit));
                }
            }
            _ => self.defined.push(defined),
        }
        self.rows += rows;
    }

    /// Writes what has gathered to `buffers`, and begins anew.
    pub(super) fn finish(&mut self, buffers: &mut Buffers) -> Result<Finished> {
        let range = self.values.range();
        let statistics = Statistics::int64(
            range.map(|(min, _)| min.cast_signed()),
            range.map(|(_, max)| max.cast_signed()),
            None,
            Some((self.rows - self.values.count()) as u64),
            false,
        );
        let mut bytes = buffers.page();
        if self.nullable {
            prefixed(&mut bytes, |bytes| encode_bits(&self.defined, self.rows, bytes));
        }
        self.values.finish(&mut bytes);
        self.defined.clear();
        let rows = mem::take(&mut self.rows);
        Made {
            dictionary: None,
            pages: vec![data_page(bytes, rows, Encoding::DELTA_BINARY_PACKED)],
            rows,
            encodings: vec![Encoding::RLE, Encoding::DELTA_BINARY_PACKED],
            statistics: Some(statistics),
        }
        .finish(self.column.clone(), buffers)
    }
}
