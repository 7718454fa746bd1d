//! One list of a group: its peers in order, and beside them what a pick reads and writes of them.
//!
//! Apart from the peers, which are large: a round of a contest then passes over one short piece of
//! memory. The rows are the only home of scores and effective weights; loads and weights are copies
//! that follow their peers.

use super::peer::{Load, PeerConfig, PeerId};
use super::ranking::{Order, Ranking};

/// What balancing reads and writes of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::policy) struct Row {
    /// Requests in flight per weight; infinite while the peer may not be picked.
    pub(in crate::policy) load: Load,
    /// The running score of smooth weighted round robin.
    pub(in crate::policy) score: i64,
    /// Cut by failures, grows back by one with each round the peer takes part in.
    pub(in crate::policy) effective_weight: u32,
    /// As configured.
    pub(in crate::policy) weight: u32,
    pub(in crate::policy) id: PeerId,
}

impl Row {
    pub(in crate::policy) fn new(id: PeerId, config: &PeerConfig) -> Self {
        let weight = config.weight.max(1);
        Self { load: Load::INFINITE, score: 0, effective_weight: weight, weight, id }
    }

    /// Whether failures have taken nothing off its weight.
    #[inline]
    pub(in crate::policy) const fn is_whole(&self) -> bool {
        self.effective_weight == self.weight
    }

    /// An effective weight that failures cut recovers by one, if it `may`.
    #[inline]
    pub(in crate::policy) fn recover(&mut self, may: bool) {
        let recovers = may & (self.effective_weight < self.weight);
        self.effective_weight += u32::from(recovers);
    }

    /// A new weight. What failures took off stays off and grows back.
    const fn reweigh(&mut self, weight: u32) {
        if self.is_whole() || self.effective_weight > weight {
            self.effective_weight = weight;
        }
        self.weight = weight;
    }
}

/// The peers of a list in order, their rows in the same order, and for a long list a ranking of
/// them, which spares a pick to look at all.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Roster {
    order: Vec<PeerId>,
    rows: Vec<Row>,
    /// See [`Self::whole_rows`].
    whole: bool,
    ranking: Option<Box<Ranking>>,
}

impl Roster {
    /// Numbers of the peers in order.
    #[inline]
    pub(in crate::policy) fn order(&self) -> &[PeerId] {
        &self.order
    }

    #[inline]
    pub(in crate::policy) const fn len(&self) -> usize {
        self.order.len()
    }

    /// The rows in order. Not those of a list that is ranked, whose scores are in the ranking.
    #[inline]
    pub(in crate::policy) fn rows(&mut self) -> &mut [Row] {
        debug_assert!(self.ranking.is_none(), "the rows of a ranked list are out of date");
        &mut self.rows
    }

    /// The rows, if the last scan found every effective weight to be the whole weight and nothing
    /// has happened to weights or membership since. One question that spares a pick all others.
    #[inline(always)]
    pub(in crate::policy) fn whole_rows(&mut self) -> Option<&mut [Row]> {
        self.whole.then_some(&mut self.rows)
    }

    /// A scan is over after which the next may be simpler, if no effective weight is cut.
    pub(in crate::policy) fn look_for_cuts(&mut self) {
        self.whole = self.rows.iter().all(Row::is_whole);
    }

    /// The score of the peer at a place; 0 if there is none.
    pub(in crate::policy) fn score(&self, place: u32) -> i64 {
        let Some(row) = self.rows.get(place as usize) else { return 0 };
        self.ranking.as_ref().map_or(row.score, |ranking| ranking.score(row, place))
    }

    /// The effective weight of the peer at a place; 0 if there is none.
    pub(in crate::policy) fn effective_weight(&self, place: u32) -> u32 {
        self.rows.get(place as usize).map_or(0, |row| row.effective_weight)
    }

    /// The load of a peer changed. That of one that has left is of no interest.
    #[inline(always)]
    pub(in crate::policy) fn set_load(&mut self, place: u32, load: Load) {
        let Some(row) = self.rows.get_mut(place as usize) else { return };
        row.load = load;
        if let Some(ranking) = &mut self.ranking {
            ranking.moved(&mut self.rows, place);
        }
    }

    /// A failure takes weight off.
    pub(in crate::policy) fn cut(&mut self, place: u32, by: u32) {
        self.reshape(place, |row| row.effective_weight = row.effective_weight.saturating_sub(by));
    }

    /// The effective weight of a peer recovers by one.
    #[inline]
    pub(in crate::policy) fn recover(&mut self, place: u32) {
        if self.rows.get(place as usize).is_some_and(|row| !row.is_whole()) {
            self.reshape(place, |row| row.recover(true));
        }
    }

    fn reshape(&mut self, place: u32, change: impl FnOnce(&mut Row)) {
        self.whole = false;
        if let Some(ranking) = &mut self.ranking {
            ranking.leave(&mut self.rows, place);
        }
        if let Some(row) = self.rows.get_mut(place as usize) {
            change(row);
        }
        if let Some(ranking) = &mut self.ranking {
            ranking.join(&self.rows, place);
        }
    }

    /// A peer joins at the end.
    pub(in crate::policy) fn push(&mut self, row: Row) {
        self.forget_ranking();
        self.order.push(row.id);
        self.rows.push(row);
    }

    /// A peer leaves, with its row.
    pub(in crate::policy) fn remove(&mut self, id: PeerId) -> Option<Row> {
        let place = self.order.iter().position(|other| *other == id)?;
        self.forget_ranking();
        self.order.remove(place);
        Some(self.rows.remove(place))
    }

    /// Brings every row up to date: with its number, `state` gives load and weight.
    pub(in crate::policy) fn refresh(&mut self, mut state: impl FnMut(u32, PeerId) -> (Load, u32)) {
        self.forget_ranking();
        self.whole = false;
        for (place, row) in (0..).zip(&mut self.rows) {
            let (load, weight) = state(place, row.id);
            row.load = load;
            row.reweigh(weight);
        }
    }

    /// Every score becomes another.
    pub(in crate::policy) fn rescore(&mut self, change: impl Fn(i64) -> i64) {
        self.forget_ranking();
        self.rows.iter_mut().for_each(|row| row.score = change(row.score));
    }

    /// Picks as a scan in this order would, without looking at all; those at the places `tried`
    /// take no part. `None` if none may be picked.
    pub(in crate::policy) fn ranked(&mut self, order: Order, tried: &[u32]) -> Option<PeerId> {
        let rows = &mut self.rows;
        let ranking = self.ranking.get_or_insert_with(|| Box::new(Ranking::new(order, rows)));
        let place = ranking.pick(rows, tried)?;
        self.order.get(place as usize).copied()
    }

    /// The peer that is likely to be picked next, if the list is ranked.
    pub(in crate::policy) fn leader(&self) -> Option<PeerId> {
        let place = self.ranking.as_ref()?.leader()?;
        self.order.get(place as usize).copied()
    }

    /// The rows hold every score again.
    fn forget_ranking(&mut self) {
        if let Some(ranking) = self.ranking.take() {
            ranking.write_back(&mut self.rows);
        }
    }
}
