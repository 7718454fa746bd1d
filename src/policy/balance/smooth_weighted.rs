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
#[inline]
pub(super) fn pick(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    if peers.is_long(ask.list) && !peers.is_ramping() {
        return peers.ranked(ask.list, Order::InTurn, ask.tried);
    }
    scan(peers, ask)
}

/// The way out for the algorithms that draw or hash. These are seldom here, so that no ranking is
/// kept for them.
pub(super) fn scan(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    if peers.is_ramping() {
        return pick_fine(peers, ask, Load::INFINITE);
    }
    let (order, rows) = peers.roster(ask.list).rows();
    let mut round = Round::new();
    if ask.tried.is_empty() {
        for (place, row) in rows.iter_mut().enumerate() {
            let takes_part = row.load != Load::INFINITE;
            round.enter(place, row, takes_part, true);
        }
    } else {
        for (place, (id, row)) in order.iter().zip(rows.iter_mut()).enumerate() {
            let takes_part = row.load != Load::INFINITE && !ask.tried.contains(id);
            round.enter(place, row, takes_part, true);
        }
    }
    order.get(round.settle(rows)?).copied()
}

/// The same while a peer starts slowly: with weights in thousandths, each cut to the share that its
/// peer has. Only peers of this `load` take part, or with an infinite one all that may be picked.
#[cold]
pub(super) fn pick_fine(peers: &mut Peers, ask: Ask<'_>, load: Load) -> Option<PeerId> {
    let (all, roster) = peers.split(ask.list);
    let (order, rows) = roster.rows();
    let mut round = Round::new();
    for (place, (id, row)) in order.iter().zip(rows.iter_mut()).enumerate() {
        let peer = &all[id.index()];
        let takes_part = ask.allows(peer) && (load == Load::INFINITE || row.load == load);
        let weight = if takes_part { peer.fine_weight(row.effective_weight) } else { 0 };
        round.weigh(place, row, takes_part, weight);
        row.recover(takes_part);
    }
    order.get(round.settle(rows)?).copied()
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
        let weight = if takes_part { i64::from(row.effective_weight) } else { 0 };
        self.weigh(place, row, takes_part, weight);
        row.recover(takes_part & counts);
    }

    #[inline(always)]
    fn weigh(&mut self, place: usize, row: &mut Row, takes_part: bool, weight: i64) {
        row.score += weight;
        self.total += weight;
        let leads = takes_part & (row.score > self.score);
        self.best = select_unpredictable(leads, place, self.best);
        self.score = select_unpredictable(leads, row.score, self.score);
    }

    /// The winner pays what was handed out.
    #[inline]
    pub(super) fn settle(self, rows: &mut [Row]) -> Option<usize> {
        rows.get_mut(self.best)?.score -= self.total;
        Some(self.best)
    }
}
