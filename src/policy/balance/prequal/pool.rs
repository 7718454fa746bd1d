//! The pool of answers to load probes.

use std::cmp::Reverse;

use crate::policy::load_report::LoadReport;
use crate::policy::peer::PeerId;
use crate::units::{Draw, Nanos, Span};

/// The answer of a peer, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    peer: PeerId,
    /// As reported, and one more for each request sent there since.
    rif: u32,
    latency: Span,
    received: Nanos,
    uses: u32,
    /// Most uses, drawn at the first; `u32::MAX` before and without a limit.
    limit: u32,
}

/// At most so many answers, one per peer, the oldest first.
#[derive(Debug)]
pub(super) struct Pool {
    room: usize,
    entries: Vec<Entry>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { room: 2, entries: Vec::new() }
    }
}

impl Pool {
    /// From now on at most `room` answers.
    pub(super) fn resize(&mut self, room: usize) {
        self.room = room;
        let surplus = self.entries.len().saturating_sub(room);
        self.entries.drain(..surplus);
    }

    /// An answer arrives.
    pub(super) fn add(&mut self, peer: PeerId, load: LoadReport, received: Nanos) {
        self.remove(peer);
        if self.entries.len() >= self.room {
            self.remove_oldest();
        }
        let LoadReport { rif, latency } = load;
        self.entries.push(Entry { peer, rif, latency, received, uses: 0, limit: u32::MAX });
    }

    /// Drops the answer of `peer`.
    pub(super) fn remove(&mut self, peer: PeerId) {
        self.entries.retain(|entry| entry.peer != peer);
    }

    /// Drops the answers older than `age`.
    pub(super) fn forget(&mut self, now: Nanos, age: Span) {
        self.entries.retain(|entry| now.since(entry.received) <= age);
    }

    /// The place of the best answer among those of `usable` peers; `None` if there are not two.
    /// Equals in what decides: by the other number, then the newest.
    pub(super) fn best(
        &self,
        limit: Option<u32>,
        usable: impl Fn(PeerId) -> bool,
    ) -> Option<usize> {
        let mut best: Option<(usize, bool, (u64, u64))> = None;
        let mut count = 0;
        for (place, entry) in self.entries.iter().enumerate().filter(|(_, e)| usable(e.peer)) {
            count += 1;
            let hot = entry.is_hot(limit);
            let (rif, latency) = (u64::from(entry.rif), entry.latency.0);
            let cost = if hot { (rif, latency) } else { (latency, rif) };
            let better = best.is_none_or(|(_, hottest, least)| (hot, cost) <= (hottest, least));
            if better {
                best = Some((place, hot, cost));
            }
        }
        best.filter(|_| count >= 2).map(|(place, ..)| place)
    }

    /// Uses the answer at `place`: its peer. `reuse` is how often an answer may be used in the
    /// mean; what is not whole is rounded at random, once for each answer.
    pub(super) fn take(&mut self, place: usize, reuse: f64, draw: &mut Draw) -> PeerId {
        let entry = &mut self.entries[place];
        if entry.uses == 0 && reuse.is_finite() {
            let whole = libm::floor(reuse);
            entry.limit = whole as u32 + u32::from(draw.uniform() < reuse - whole);
        }
        entry.uses = entry.uses.saturating_add(1);
        entry.rif = entry.rif.saturating_add(1);
        let peer = entry.peer;
        if entry.uses >= entry.limit {
            self.entries.remove(place);
        }
        peer
    }

    /// A request was sent to `peer` without the help of its answer.
    pub(super) fn sent(&mut self, peer: PeerId) {
        for entry in self.entries.iter_mut().filter(|entry| entry.peer == peer) {
            entry.rif = entry.rif.saturating_add(1);
        }
    }

    pub(super) fn remove_oldest(&mut self) {
        if !self.entries.is_empty() {
            self.entries.remove(0);
        }
    }

    /// Removes the hot answer with the highest RIF; if none is hot, that with the highest latency.
    pub(super) fn remove_worst(&mut self, limit: Option<u32>) {
        let cost = |entry: &Entry| {
            let hot = entry.is_hot(limit);
            (hot, if hot { u64::from(entry.rif) } else { entry.latency.0 })
        };
        let entries = self.entries.iter().enumerate();
        let worst = entries.max_by_key(|(place, entry)| (cost(entry), Reverse(*place)));
        if let Some(place) = worst.map(|(place, _)| place) {
            self.entries.remove(place);
        }
    }

    #[cfg(test)]
    pub(super) fn peers(&self) -> Vec<u32> {
        self.entries.iter().map(|entry| entry.peer.0).collect()
    }
}

impl Entry {
    fn is_hot(&self, limit: Option<u32>) -> bool {
        limit.is_none_or(|limit| self.rif > limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Purpose, Seed};

    fn pool(answers: &[(u32, u32, u64)]) -> Pool {
        let mut pool = Pool { room: 16, entries: Vec::new() };
        for (now, &(peer, rif, millis)) in answers.iter().enumerate() {
            let load = LoadReport { rif, latency: Span::from_millis(millis) };
            pool.add(PeerId(peer), load, Nanos(now as u64));
        }
        pool
    }

    fn best(pool: &Pool, limit: Option<u32>) -> Option<u32> {
        pool.best(limit, |_| true).map(|place| pool.entries[place].peer.0)
    }

    #[test]
    fn the_cold_one_with_the_lowest_latency_wins_and_rif_decides_only_among_the_hot() {
        let pool = pool(&[(0, 9, 1), (1, 3, 50), (2, 4, 20), (3, 4, 30)]);
        assert_eq!(best(&pool, Some(4)), Some(2), "0 is faster, but hot");
        assert_eq!(best(&pool, Some(3)), Some(1), "the only cold one");
        assert_eq!(best(&pool, Some(2)), Some(1), "all hot: fewest in flight");
        assert_eq!(best(&pool, None), Some(1), "no limit yet: all hot");
        assert_eq!(best(&pool, Some(9)), Some(0), "all cold: lowest latency");
    }

    #[test]
    fn one_answer_is_no_choice() {
        assert_eq!(best(&pool(&[(5, 0, 1)]), Some(4)), None);
        let two = pool(&[(5, 0, 1), (6, 0, 2)]);
        assert_eq!(two.best(Some(4), |id| id != PeerId(6)), None);
    }

    #[test]
    fn a_use_adds_its_request_and_uses_are_limited_in_the_mean() {
        let seed = Seed::new(1, 0);
        let mut uses = 0;
        for index in 0..4_000 {
            let mut pool = pool(&[(0, 0, 1)]);
            let mut draw = seed.draw(Purpose::Pick, index, 1);
            while !pool.entries.is_empty() {
                uses += 1;
                assert_eq!(pool.entries[0].rif, pool.entries[0].uses);
                assert_eq!(pool.take(0, 1.32, &mut draw), PeerId(0));
            }
        }
        assert!((5_160..5_400).contains(&uses), "1.32 each: {uses}");
        let mut pool = pool(&[(0, 0, 1)]);
        let mut draw = seed.draw(Purpose::Pick, 0, 1);
        (0..100).for_each(|_| assert_eq!(pool.take(0, f64::INFINITY, &mut draw), PeerId(0)));
    }

    #[test]
    fn the_worst_is_the_hottest_or_else_the_slowest() {
        let mut pool = pool(&[(0, 9, 1), (1, 3, 50), (2, 12, 20), (3, 4, 30)]);
        for expected in [vec![0, 1, 3], vec![1, 3], vec![3]] {
            pool.remove_worst(Some(5));
            assert_eq!(pool.peers(), expected);
        }
    }

    #[test]
    fn a_newer_answer_replaces_and_a_full_pool_loses_its_oldest() {
        let mut pool = pool(&[(0, 1, 1), (1, 1, 1), (2, 1, 1), (0, 5, 5)]);
        assert_eq!(pool.peers(), [1, 2, 0]);
        pool.resize(2);
        assert_eq!(pool.peers(), [2, 0]);
        pool.add(PeerId(7), LoadReport::default(), Nanos(9));
        assert_eq!(pool.peers(), [0, 7]);
        pool.forget(Nanos(9 + 1_000), Span(1_000));
        assert_eq!(pool.peers(), [7], "older than the age");
    }
}
