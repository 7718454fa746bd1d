//! The distribution of requests in flight as recent probes reported them.

use std::collections::VecDeque;

/// Answers that count as recent. Some forty picks' worth at three probes each: soon enough to
/// follow the load, enough for a quantile of 0.84 to rest on twenty answers above it.
const RECENT: usize = 128;

/// The last answers, in order of arrival and in order of size.
#[derive(Debug, Default)]
pub(super) struct RecentLoads {
    arrived: VecDeque<u32>,
    sorted: Vec<u32>,
}

impl RecentLoads {
    /// Takes in one answer; the oldest gives way.
    pub(super) fn add(&mut self, rif: u32) {
        if self.arrived.len() == RECENT
            && let Some(oldest) = self.arrived.pop_front()
        {
            let place = self.sorted.partition_point(|other| *other < oldest);
            self.sorted.remove(place);
        }
        self.arrived.push_back(rif);
        let place = self.sorted.partition_point(|other| *other < rif);
        self.sorted.insert(place, rif);
    }

    /// The number of requests in flight above which a peer is hot, the nearest-rank quantile `q`.
    /// `None` makes every peer hot: at `q` = 0, and before the first answer.
    pub(super) fn hot_above(&self, q: f64) -> Option<u32> {
        let rank = libm::ceil(q * self.sorted.len() as f64) as usize;
        self.sorted.get(rank.checked_sub(1)?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_the_nearest_rank_of_the_last_answers() {
        let mut recent = RecentLoads::default();
        assert_eq!(recent.hot_above(0.84), None);
        (0..500).for_each(|n| recent.add(n % 10));
        (0..100).for_each(|_| recent.add(7));
        (0..28).for_each(|n| recent.add(n));
        assert_eq!(recent.sorted.len(), RECENT);
        assert!(recent.sorted.is_sorted());
        // 0 to 6 once each, 101 sevens, 8 to 27.
        assert_eq!(
            [0.0, 7.0 / 128.0, 0.5, 1.0].map(|q| recent.hot_above(q)),
            [None, Some(6), Some(7), Some(27)]
        );
    }
}
