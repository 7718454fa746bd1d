//! A distribution of durations in bounded memory, whatever their number.
//!
//! Log-linear buckets: each octave (from a power of two to the next) is cut into 1024 equal
//! parts, so a bucket's middle is within 1/2048 of every value in it, and values below 2048 ns
//! are exact. An octave takes memory only once a value falls into it. Count, sum, smallest and
//! largest are exact. Two distributions share their bucket borders, so comparing them is exact up
//! to the width of a bucket.

const BITS: u32 = 10;
const BUCKETS: usize = 1 << BITS;
/// Octave 0 holds 0 to 1023, octave `o` the values of `10 + o` binary digits, up to 64.
const OCTAVES: usize = 55;

type Octave = Box<[u64; BUCKETS]>;

/// A distribution of durations, ns.
#[derive(Clone, Debug)]
pub struct Distribution {
    octaves: [Option<Octave>; OCTAVES],
    count: u64,
    sum: u128,
    min: u64,
    max: u64,
}

impl Default for Distribution {
    fn default() -> Self {
        Self { octaves: [const { None }; OCTAVES], count: 0, sum: 0, min: u64::MAX, max: 0 }
    }
}

impl Distribution {
    /// Adds a value.
    #[inline]
    pub fn add(&mut self, value: u64) {
        let (octave, bucket) = place(value);
        self.octaves[octave].get_or_insert_with(empty_octave)[bucket] += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// Adds all values of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.octaves.iter_mut().zip(&other.octaves) {
            if let Some(theirs) = theirs {
                let mine = mine.get_or_insert_with(empty_octave);
                mine.iter_mut().zip(theirs.iter()).for_each(|(a, b)| *a += b);
            }
        }
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Number of values.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Sum of the values, ns.
    #[must_use]
    pub const fn sum(&self) -> u128 {
        self.sum
    }

    /// Mean; 0 without values.
    #[must_use]
    pub fn mean(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.sum as f64 / self.count as f64 }
    }

    /// Smallest value; 0 without values.
    #[must_use]
    pub const fn min(&self) -> u64 {
        if self.count == 0 { 0 } else { self.min }
    }

    /// Largest value; 0 without values.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// The smallest value at or below which a share `q` (0 to 1) of the values lie, to the
    /// resolution of a bucket; 0 without values. Hyndman and Fan's definition 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> u64 {
        self.quantiles(&[q])[0]
    }

    /// The quantiles at each of `qs`, which rise, in one pass.
    #[must_use]
    pub fn quantiles(&self, qs: &[f64]) -> Vec<u64> {
        let mut buckets = self.buckets();
        let (mut value, mut seen) = (0, 0);
        qs.iter()
            .map(|&q| {
                let rank = self.rank(q);
                while seen < rank {
                    let Some(bucket) = buckets.next() else { break };
                    seen += bucket.count;
                    value = bucket.middle().clamp(self.min, self.max);
                }
                if rank == self.count { self.max } else { value }
            })
            .collect()
    }

    /// Number of values at or below `value`, where the whole bucket of `value` counts.
    #[must_use]
    pub fn count_at_most(&self, value: u64) -> u64 {
        let (octave, bucket) = place(value);
        let below: u64 = self.octaves[..octave].iter().flatten().flat_map(|o| o.iter()).sum();
        let within: u64 =
            self.octaves[octave].as_ref().map_or(0, |counts| counts[..=bucket].iter().sum());
        below + within
    }

    /// The buckets that hold something, rising.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> + '_ {
        self.octaves.iter().enumerate().flat_map(|(octave, counts)| {
            let counts = counts.as_deref().map_or(&[][..], |counts| &counts[..]);
            counts.iter().enumerate().filter(|(_, count)| **count > 0).map(
                move |(bucket, count)| {
                    let (low, width) = border(octave, bucket);
                    Bucket { low, width, count: *count }
                },
            )
        })
    }

    fn rank(&self, q: f64) -> u64 {
        // A product such as 0.9 * 10 must not be pushed over the next integer by its last bit.
        let exact = q.clamp(0.0, 1.0) * self.count as f64;
        let rank = (exact - exact * 1e-15).ceil() as u64;
        rank.clamp(1.min(self.count), self.count)
    }
}

/// Values in `low..low + width`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its lower border.
    pub low: u64,
    /// Its width.
    pub width: u64,
    /// How many values it holds.
    pub count: u64,
}

impl Bucket {
    /// What stands for its values.
    #[must_use]
    pub const fn middle(&self) -> u64 {
        self.low + (self.width - 1) / 2
    }
}

fn empty_octave() -> Octave {
    Box::new([0; BUCKETS])
}

#[inline]
const fn place(value: u64) -> (usize, usize) {
    let octave = (64 - BITS).saturating_sub(value.leading_zeros());
    if octave == 0 {
        return (0, value as usize);
    }
    let low_bits = (value >> (octave - 1)) as usize;
    (octave as usize, low_bits & (BUCKETS - 1))
}

const fn border(octave: usize, bucket: usize) -> (u64, u64) {
    if octave == 0 {
        return (bucket as u64, 1);
    }
    let shift = octave - 1;
    (((BUCKETS + bucket) as u64) << shift, 1 << shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Distribution {
        let mut distribution = Distribution::default();
        values.iter().for_each(|value| distribution.add(*value));
        distribution
    }

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..64).flat_map(|bit| {
            let power = 1u64 << bit;
            [power - 1, power, power + 1, power | (power >> 1)]
        }) {
            let (low, width) = border(place(value).0, place(value).1);
            assert!(low <= value && value - low < width, "{value}: {low} + {width}");
            assert!(width == 1 || width <= low / 1024, "{value}: {width}");
        }
        let (low, width) = border(place(u64::MAX).0, place(u64::MAX).1);
        assert_eq!(low + (width - 1), u64::MAX);
    }

    #[test]
    fn nothing_has_no_quantiles() {
        let empty = Distribution::default();
        assert_eq!((empty.quantile(0.5), empty.max(), empty.min(), empty.mean()), (0, 0, 0, 0.0));
    }

    proptest! {
        #[test]
        fn quantiles_agree_with_sorting(
            mut values in prop::collection::vec(0u64..1 << 40, 1..400),
            q in 0.0f64..=1.0,
        ) {
            let distribution = of(&values);
            values.sort_unstable();
            let exact = values[((q * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1];
            let found = distribution.quantile(q);
            prop_assert!(found.abs_diff(exact) as f64 <= exact as f64 / 2048.0, "{found} {exact}");
            prop_assert_eq!(distribution.max(), *values.last().unwrap());
            prop_assert_eq!(distribution.sum(), values.iter().map(|v| u128::from(*v)).sum::<u128>());
        }

        #[test]
        fn merging_is_adding_all(
            a in prop::collection::vec(any::<u64>(), 0..100),
            b in prop::collection::vec(0u64..5000, 0..100),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            let all = of(&[a, b].concat());
            prop_assert_eq!(merged.buckets().collect::<Vec<_>>(), all.buckets().collect::<Vec<_>>());
            prop_assert_eq!((merged.count(), merged.sum(), merged.min(), merged.max()),
                            (all.count(), all.sum(), all.min(), all.max()));
        }
    }
}
