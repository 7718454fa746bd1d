//! Axes whose labels stand where people expect them.

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

/// A logarithmic axis that is labelled at 1, 2 and 5 times the powers of ten, or at every digit
/// where that would leave too few labels.
pub(super) struct Logarithmic {
    inner: RangedCoordf64,
    range: Range<f64>,
    /// Fewer labels than this do not make it readable.
    fewest: usize,
}

/// Labels of an axis that has room.
const FEWEST_LABELS: usize = 4;

impl Logarithmic {
    /// An axis over `range`, whose ends are positive.
    pub(super) fn new(range: Range<f64>) -> Self {
        let inner = (libm::log10(range.start)..libm::log10(range.end)).into();
        Self { inner, range, fewest: FEWEST_LABELS }
    }

    /// The same in a small panel, which has no room for many labels.
    pub(super) fn small(range: Range<f64>) -> Self {
        Self { fewest: 2, ..Self::new(range) }
    }

    fn points(&self, digits: &[f64]) -> Vec<f64> {
        let first = libm::log10(self.range.start).floor() as i32;
        let last = libm::log10(self.range.end).ceil() as i32;
        (first..=last)
            .flat_map(|power| {
                digits.iter().map(move |digit| digit * libm::pow(10.0, f64::from(power)))
            })
            .filter(|point| self.range.contains(point))
            .collect()
    }
}

impl Ranged for Logarithmic {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.inner.map(&libm::log10(*value), limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        let few = self.points(&[1.0, 2.0, 5.0]);
        if few.len() >= self.fewest {
            return few;
        }
        self.points(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}
