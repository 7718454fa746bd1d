//! A running quantile of durations that follows their change.
//!
//! A histogram with eight buckets for each doubling (bounds at most 12.5 % apart), whose counts are
//! halved whenever enough came together, so that old values fade. Constant memory, no allocation,
//! and the same result in any world that sees the same durations in the same order.

use crate::units::Span;

/// Buckets for each doubling, as a power of two.
const FINE_BITS: u32 = 3;
const BUCKETS: usize = (64 - FINE_BITS as usize + 1) << FINE_BITS;
/// Samples until all counts are halved.
const MEMORY: u32 = 2048;
/// Samples until the quantile is looked up anew.
const STALE: u32 = 16;

/// A running quantile.
#[derive(Clone)]
pub(super) struct RunningQuantile {
    quantile: f64,
    counts: Box<[u32; BUCKETS]>,
    total: u32,
    /// Samples ever, up to the largest number.
    seen: u32,
    unread: u32,
    value: Span,
}

impl RunningQuantile {
    /// Of `quantile`, between 0 and 1.
    pub(super) fn new(quantile: f64) -> Self {
        let counts = Box::new([0; BUCKETS]);
        Self { quantile, counts, total: 0, seen: 0, unread: 0, value: Span::ZERO }
    }

    /// Samples so far.
    pub(super) const fn seen(&self) -> u32 {
        self.seen
    }

    /// The quantile, at most one bucket too high; zero before the first sample.
    pub(super) const fn value(&self) -> Span {
        self.value
    }

    pub(super) fn add(&mut self, duration: Span) {
        self.counts[bucket(duration.0)] += 1;
        self.total += 1;
        self.seen = self.seen.saturating_add(1);
        self.unread += 1;
        if self.total >= MEMORY {
            self.total = 0;
            for count in self.counts.iter_mut() {
                *count /= 2;
                self.total += *count;
            }
        }
        if self.unread >= STALE || self.seen <= STALE {
            self.unread = 0;
            self.value = self.look_up();
        }
    }

    fn look_up(&self) -> Span {
        let rank = (f64::from(self.total) * self.quantile) as u32;
        let mut below = 0;
        for (place, count) in self.counts.iter().enumerate() {
            below += count;
            if below > rank {
                return Span(upper_bound(place));
            }
        }
        self.value
    }
}

/// The bucket of a number: its leading bit and the `FINE_BITS` behind it.
const fn bucket(value: u64) -> usize {
    if value < 1 << FINE_BITS {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - FINE_BITS;
    (((shift + 1) as usize) << FINE_BITS) + ((value >> shift) as usize & ((1 << FINE_BITS) - 1))
}

/// The largest number of a bucket.
const fn upper_bound(bucket: usize) -> u64 {
    if bucket < 1 << FINE_BITS {
        return bucket as u64;
    }
    let shift = (bucket >> FINE_BITS) as u32 - 1;
    let first = (1 << FINE_BITS) + (bucket as u64 & ((1 << FINE_BITS) - 1));
    (first << shift) + ((1u64 << shift) - 1)
}

impl std::fmt::Debug for RunningQuantile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RunningQuantile({} of {}: {})", self.quantile, self.seen, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Purpose, Seed};

    #[test]
    fn buckets_are_narrow_and_in_order() {
        let mut last = 0;
        for bits in 0..64 {
            for value in [1u64 << bits, (1 << bits) | (1 << (bits / 2)), u64::MAX >> (63 - bits)] {
                let place = bucket(value);
                let bound = upper_bound(place);
                assert!(place < BUCKETS && bound >= value, "{value}");
                assert!((bound - value) as f64 <= value as f64 / 8.0, "{value} to {bound}");
                assert!(place == 0 || upper_bound(place - 1) < value, "{value}");
                assert!(place >= last);
            }
            last = bucket(1 << bits);
        }
    }

    #[test]
    fn it_finds_the_quantile_and_follows_when_everything_slows_down() {
        let mut draw = Seed::new(2, 0).draw(Purpose::Resample, 0, 0);
        let mut p95 = RunningQuantile::new(0.95);
        (0..20_000).for_each(|_| p95.add(Span(draw.below(1_000_000))));
        let ratio = p95.value().0 as f64 / 950_000.0;
        assert!((0.95..1.13).contains(&ratio), "{ratio}");
        (0..10_000).for_each(|_| p95.add(Span(draw.below(8_000_000))));
        let ratio = p95.value().0 as f64 / 7_600_000.0;
        assert!((0.95..1.13).contains(&ratio), "{ratio}");
    }
}
