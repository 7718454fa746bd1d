//! A log-linear histogram of `u64` values: fast enough for every request of a large model.
//!
//! Below 2048 each value has a bucket of its own; above, each power of two is cut into 1024
//! equal buckets (the layout of `HdrHistogram`, Tene 2012, with 10 bits of mantissa and one
//! shift instead of its two index steps). A bucket reports its middle, so a reported value is
//! within 1/2048 of the recorded one over the whole range of `u64`. Memory grows with the
//! largest value: 16 KiB for 1 µs (in ns), 200 KiB for 10 s, 440 KiB at most.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MANTISSA_BITS: u32 = 10;
const PER_OCTAVE: u64 = 1 << MANTISSA_BITS;

/// Counts of values, with quantiles within 1/2048 and exact count, sum, smallest and largest.
#[derive(Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Vec::new(), count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts `value` once.
    #[inline]
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts `value` `n` times.
    #[inline]
    pub fn record_n(&mut self, value: u64, n: u64) {
        if n == 0 {
            return;
        }
        let bucket = bucket_of(value);
        if bucket >= self.counts.len() {
            self.grow(bucket);
        }
        self.counts[bucket] += n;
        self.count += n;
        self.sum += u128::from(value) * u128::from(n);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds the counts of `other`; the result is the same in any order of merging.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// What was counted since `earlier`, a copy of this one from then. Smallest and largest are
    /// within 1/2048, since their own values may be older.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before = |bucket: usize| earlier.counts.get(bucket).copied().unwrap_or(0);
        let counts = self.counts.iter().enumerate();
        let counts: Vec<u64> = counts.map(|(bucket, n)| n.saturating_sub(before(bucket))).collect();
        let clamped = |bucket: usize| middle_of(bucket).clamp(self.min(), self.max);
        let first = counts.iter().position(|n| *n > 0);
        let last = counts.iter().rposition(|n| *n > 0);
        Self {
            count: self.count.saturating_sub(earlier.count),
            sum: self.sum.saturating_sub(earlier.sum),
            min: first.map_or(u64::MAX, clamped),
            max: last.map_or(0, clamped),
            counts,
        }
    }

    /// Forgets all values, keeps the memory.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        *self = Self { counts: std::mem::take(&mut self.counts), ..Self::default() };
    }

    /// How many values were counted.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The exact sum.
    #[must_use]
    pub const fn sum(&self) -> u128 {
        self.sum
    }

    /// The exact mean; 0 without values.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// The exact smallest value; 0 without values.
    #[must_use]
    pub const fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// The exact largest value; 0 without values.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// The `q`-quantile by nearest rank: the smallest value `v` such that at least `q * count`
    /// of the values are not above `v`, within 1/2048. `q` at or below 0 gives the exact
    /// smallest, at or above 1 the exact largest; 0 without values.
    #[must_use]
    pub fn quantile(&self, q: f64) -> u64 {
        self.value_at_rank(nearest_rank(q, self.count))
    }

    /// The value of the `rank`-th smallest (from 1), within 1/2048; 0 without values.
    #[must_use]
    pub fn value_at_rank(&self, rank: u64) -> u64 {
        if rank <= 1 {
            return self.min();
        }
        if rank >= self.count {
            return self.max;
        }
        let mut seen = 0;
        for (bucket, n) in self.counts.iter().enumerate() {
            seen += n;
            if seen >= rank {
                return middle_of(bucket).clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// How many values are at or below `value`, give or take those in its own bucket, which all
    /// count as at or below.
    #[must_use]
    pub fn count_at_or_below(&self, value: u64) -> u64 {
        let end = (bucket_of(value) + 1).min(self.counts.len());
        self.counts[..end].iter().sum()
    }

    /// The non-empty buckets in rising order, as (middle, count).
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let shown = |(bucket, n): (usize, &u64)| (middle_of(bucket).clamp(self.min, self.max), *n);
        self.counts.iter().enumerate().filter(|(_, n)| **n > 0).map(shown)
    }

    #[cold]
    fn grow(&mut self, bucket: usize) {
        // To the end of the octave, so that a rising maximum reallocates at most 54 times.
        let octaves = bucket as u64 / PER_OCTAVE + 1;
        self.counts.resize((octaves * PER_OCTAVE) as usize, 0);
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count)
            .field("min", &self.min())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .field("max", &self.max)
            .finish()
    }
}

/// The rank (from 1) of the `q`-quantile of `count` values by nearest rank, `ceil(q * count)`.
/// A product within 1e-12 of a whole number is that number: 0.07 * 100 is 7, not 7.000000000000001.
#[must_use]
pub fn nearest_rank(q: f64, count: u64) -> u64 {
    let exact = q.clamp(0.0, 1.0) * count as f64;
    let whole = exact.round();
    let rank = if (exact - whole).abs() <= exact * 1e-12 { whole } else { exact.ceil() };
    (rank as u64).clamp(1, count.max(1))
}

#[inline]
fn bucket_of(value: u64) -> usize {
    let shift = (63 - MANTISSA_BITS) - (value | PER_OCTAVE).leading_zeros();
    ((u64::from(shift) << MANTISSA_BITS) + (value >> shift)) as usize
}

/// The middle of a bucket: the value itself below 2048.
fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let shift = (bucket >> MANTISSA_BITS).saturating_sub(1);
    let lowest = (bucket - (shift << MANTISSA_BITS)) << shift;
    lowest + ((1u64 << shift) >> 1)
}

/// A histogram as it travels: its buckets that are not empty, by number.
#[derive(Serialize, Deserialize)]
struct Sparse {
    buckets: Vec<(u32, u64)>,
    sum: u128,
    min: u64,
    max: u64,
}

/// Nothing is lost: what is read again is equal to what was written.
impl Serialize for Histogram {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let counts = self.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        let buckets = counts.map(|(bucket, n)| (bucket as u32, *n)).collect();
        let sparse = Sparse { buckets, sum: self.sum, min: self.min(), max: self.max };
        sparse.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Histogram {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let sparse = Sparse::deserialize(deserializer)?;
        let mut histogram = Self::new();
        for (bucket, n) in sparse.buckets {
            let bucket = bucket as usize;
            if bucket > bucket_of(u64::MAX) {
                return Err(serde::de::Error::custom("a histogram has no such bucket"));
            }
            if bucket >= histogram.counts.len() {
                histogram.grow(bucket);
            }
            histogram.counts[bucket] = histogram.counts[bucket].saturating_add(n);
            histogram.count = histogram.count.saturating_add(n);
        }
        if histogram.count > 0 {
            (histogram.sum, histogram.min, histogram.max) = (sparse.sum, sparse.min, sparse.max);
        }
        Ok(histogram)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        values.iter().for_each(|value| histogram.record(*value));
        histogram
    }

    /// Spread over all magnitudes, which a uniform `u64` is not.
    fn any_magnitude() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0u32..64).prop_map(|(value, shift)| value >> shift)
    }

    #[test]
    fn an_empty_one_has_zeros() {
        let empty = Histogram::new();
        assert_eq!((empty.count(), empty.min(), empty.max(), empty.quantile(0.5)), (0, 0, 0, 0));
        assert!(empty.mean() == 0.0 && empty.buckets().next().is_none());
    }

    #[test]
    fn small_values_are_exact() {
        let histogram = of(&(0..2048).collect::<Vec<_>>());
        for rank in 1..=2048 {
            assert_eq!(histogram.value_at_rank(rank), rank - 1);
        }
    }

    #[test]
    fn the_whole_range_has_buckets_without_gaps() {
        for value in [2047, 2048, 2049, 4095, 4096, 1 << 33, u64::MAX - 1, u64::MAX] {
            let next = bucket_of(value.saturating_add(1));
            assert!(next - bucket_of(value) <= 1, "{value}");
        }
        assert_eq!(bucket_of(u64::MAX), 54 * 1024 + 1023);
        assert_eq!(of(&[u64::MAX, u64::MAX]).quantile(0.5), u64::MAX);
    }

    #[test]
    fn ranks_do_not_suffer_from_binary_fractions() {
        assert_eq!(nearest_rank(0.07, 100), 7);
        assert_eq!(nearest_rank(0.29, 100), 29);
        assert_eq!(nearest_rank(0.999, 1000), 999);
        assert_eq!(nearest_rank(0.5, 3), 2);
        assert_eq!(nearest_rank(-1.0, 3), 1);
        assert_eq!(nearest_rank(2.0, 3), 3);
    }

    proptest! {
        #[test]
        fn quantiles_agree_with_a_sorted_list(
            mut values in prop::collection::vec(any_magnitude(), 1..400),
            q in 0.0f64..=1.0,
        ) {
            let histogram = of(&values);
            values.sort_unstable();
            let exact = values[nearest_rank(q, values.len() as u64) as usize - 1];
            let found = histogram.quantile(q);
            prop_assert!(found.abs_diff(exact) as u128 * 2048 <= u128::from(exact),
                "{found} for {exact}");
            prop_assert_eq!(histogram.min(), values[0]);
            prop_assert_eq!(histogram.max(), values[values.len() - 1]);
            prop_assert_eq!(histogram.sum(), values.iter().map(|v| u128::from(*v)).sum::<u128>());
        }

        #[test]
        fn merging_is_recording_together(
            left in prop::collection::vec(any_magnitude(), 0..100),
            right in prop::collection::vec(any_magnitude(), 0..100),
        ) {
            let mut merged = of(&left);
            merged.merge(&of(&right));
            let together = of(&[left, right].concat());
            prop_assert_eq!(merged, together);
        }

        #[test]
        fn what_travels_arrives_and_what_was_before_can_be_taken_away(
            before in prop::collection::vec(any_magnitude(), 0..100),
            after in prop::collection::vec(any_magnitude(), 0..100),
        ) {
            let earlier = of(&before);
            let all = of(&[before, after.clone()].concat());
            let text = serde_json::to_string(&all).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Histogram>(&text).unwrap(), &all);
            let (since, exact) = (all.since(&earlier), of(&after));
            prop_assert_eq!((since.count(), since.sum()), (exact.count(), exact.sum()));
            for q in [0.0, 0.5, 0.99, 1.0] {
                let (found, exact) = (since.quantile(q), exact.quantile(q));
                prop_assert!(found.abs_diff(exact) as u128 * 1024 <= u128::from(exact) + 1024);
            }
        }

        #[test]
        fn counts_below_rise_to_the_total(values in prop::collection::vec(any_magnitude(), 1..100)) {
            let histogram = of(&values);
            prop_assert_eq!(histogram.count_at_or_below(u64::MAX), values.len() as u64);
            for value in &values {
                let exact = values.iter().filter(|other| *other <= value).count() as u64;
                prop_assert!(histogram.count_at_or_below(*value) >= exact);
            }
            let total: u64 = histogram.buckets().map(|(_, n)| n).sum();
            prop_assert_eq!(total, values.len() as u64);
        }
    }
}
