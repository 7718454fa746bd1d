//! An axis whose labels stand at chosen places.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::Ranged;

/// A linear axis that is labelled at `points` alone.
pub(super) struct LabelledAt {
    inner: RangedCoordf64,
    points: Vec<f64>,
}

impl LabelledAt {
    /// An axis over `range`.
    pub(super) fn new(range: Range<f64>, points: Vec<f64>) -> Self {
        Self { inner: range.into(), points }
    }
}

impl Ranged for LabelledAt {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.inner.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.points.clone()
    }

    fn range(&self) -> Range<f64> {
        self.inner.range()
    }
}
