//! Smooth weighted round robin (`ngx_http_upstream_get_peer` in
//! `src/http/ngx_http_upstream_round_robin.c`).
//!
//! Every eligible peer's score grows by its effective weight, the largest score wins and pays the
//! total. Weights 5, 1, 1 give `aabacaa` where plain weighted round robin gives `aaaaabc`.

use std::hint::select_unpredictable;

use super::Ask;
use crate::policy::peer::{Load, PeerId};
use crate::policy::peers::Peers;
use crate::policy::ranking::Order;
use crate::policy::roster::Row;

/// The algorithm of its own.
pub(super) fn pick(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    if peers.is_long(ask.list) && !peers.is_ramping() {
        return peers.ranked(ask.list, Order::InTurn, ask.tried);
    }
    let id = scan(peers, ask);
    if !peers.is_ramping() {
        peers.roster(ask.list).look_for_cuts();
    }
    id
}

/// The choice while no effective weight is cut.
#[inline(always)]
pub(super) fn pick_whole(rows: &mut [Row]) -> Option<PeerId> {
    let mut round = Round::new();
    for (place, row) in rows.iter_mut().enumerate() {
        round.enter_whole(place, row, row.load != Load::INFINITE);
    }
    round.settle(rows)
}

/// The way out for the algorithms that draw or hash. These are seldom here, so that no ranking is
/// kept for them.
pub(super) fn scan(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    if peers.is_ramping() {
        return pick_fine(peers, ask, Load::INFINITE);
    }
    let (all, roster) = peers.split(ask.list);
    let rows = roster.rows();
    let mut round = Round::new();
    for (place, row) in rows.iter_mut().enumerate() {
        // Asked are the peers, since for most callers the rows know no loads.
        round.enter(place, row, ask.allows(&all[row.id.index()]), true);
    }
    round.settle(rows)
}

/// The same while a peer starts slowly: with weights in thousandths, each cut to the share that its
/// peer has. Only peers of this `load` take part, or with an infinite one all that may be picked.
#[cold]
pub(super) fn pick_fine(peers: &mut Peers, ask: Ask<'_>, load: Load) -> Option<PeerId> {
    let (all, roster) = peers.split(ask.list);
    let rows = roster.rows();
    let mut round = Round::new();
    for (place, row) in rows.iter_mut().enumerate() {
        let peer = &all[row.id.index()];
        let takes_part = ask.allows(peer) && (load == Load::INFINITE || row.load == load);
        let weight = if takes_part { peer.fine_weight(row.effective_weight) } else { 0 };
        round.weigh(place, row, takes_part, weight);
        row.recover(takes_part);
    }
    round.settle(rows)
}

/// One round of the contest.
pub(super) struct Round {
    total: i64,
    /// The place of the best so far.
    best: usize,
    score: i64,
}

/// Nobody takes part.
const NOBODY: usize = usize::MAX;

impl Round {
    #[inline]
    pub(super) const fn new() -> Self {
        Self { total: 0, best: NOBODY, score: i64::MIN }
    }

    /// If the peer takes part, its score grows, and an effective weight that failures cut
    /// recovers by one (after it was used) if the round `counts`. On ties the earlier peer stays
    /// ahead.
    ///
    /// Selections instead of branches: who is tied with whom cannot be foreseen, and a wrong
    /// guess of the processor costs more than the whole round.
    #[inline]
    pub(super) fn enter(&mut self, place: usize, row: &mut Row, takes_part: bool, counts: bool) {
        let weight = select_unpredictable(takes_part, i64::from(row.effective_weight), 0);
        self.weigh(place, row, takes_part, weight);
        row.recover(takes_part & counts);
    }

    /// The same for a peer whose effective weight is not cut.
    #[inline(always)]
    pub(super) fn enter_whole(&mut self, place: usize, row: &mut Row, takes_part: bool) {
        let weight = select_unpredictable(takes_part, i64::from(row.weight), 0);
        self.weigh(place, row, takes_part, weight);
    }

    #[inline(always)]
    fn weigh(&mut self, place: usize, row: &mut Row, takes_part: bool, weight: i64) {
        row.score += weight;
        self.total += weight;
        // Who takes part is known before the best so far, for which one comparison is left.
        let score = select_unpredictable(takes_part, row.score, i64::MIN);
        let leads = score > self.score;
        self.best = select_unpredictable(leads, place, self.best);
        self.score = select_unpredictable(leads, score, self.score);
    }

    /// The winner pays what was handed out.
    #[inline]
    pub(super) fn settle(self, rows: &mut [Row]) -> Option<PeerId> {
        let row = rows.get_mut(self.best)?;
        row.score -= self.total;
        Some(row.id)
    }
}
