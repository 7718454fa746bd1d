//! Smooth weighted round robin (`ngx_http_upstream_get_peer` in
//! `src/http/ngx_http_upstream_round_robin.c`).
//!
//! Every eligible peer's score grows by its effective weight, the largest score wins and pays the
//! total. Weights 5, 1, 1 give `aabacaa` where plain weighted round robin gives `aaaaabc`.

use std::hint::select_unpredictable;

use super::Ask;
use crate::policy::peer::{Load, Peer, PeerId};
use crate::policy::peers::Peers;

pub(super) fn pick(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    if peers.is_ramping() {
        return pick_fine(peers, ask, Load::INFINITE);
    }
    let (all, order) = peers.split(ask.list);
    if ask.tried.is_empty() {
        pick_among(all, order, |peer| peer.load() != Load::INFINITE)
    } else {
        pick_among(all, order, |peer| ask.allows(peer))
    }
}

#[inline]
fn pick_among(
    all: &mut [Peer],
    order: &[PeerId],
    allows: impl Fn(&Peer) -> bool,
) -> Option<PeerId> {
    let mut round = Round::new();
    for id in order {
        let peer = &mut all[id.index()];
        let takes_part = allows(peer);
        round.enter(peer, takes_part, true);
    }
    round.settle(all)
}

/// A contest of one, whose score stands as it was; its effective weight recovers.
#[inline]
pub(super) fn alone(peers: &mut Peers, id: PeerId) {
    if let Some(peer) = peers.get_mut(id) {
        recover(peer, true);
    }
}

/// The same while a peer starts slowly: with weights in thousandths, each cut to the share that its
/// peer has. Only peers of this `load` take part, or with an infinite one all that may be picked.
#[cold]
pub(super) fn pick_fine(peers: &mut Peers, ask: Ask<'_>, load: Load) -> Option<PeerId> {
    let (all, order) = peers.split(ask.list);
    let mut round = Round::new();
    for id in order {
        let peer = &mut all[id.index()];
        let takes_part = ask.allows(peer) && (load == Load::INFINITE || peer.load() == load);
        let weight = if takes_part { peer.fine_weight() } else { 0 };
        round.weigh(peer, takes_part, weight);
        recover(peer, takes_part);
    }
    round.settle(all)
}

/// An effective weight that failures cut recovers by one, if it `may`.
#[inline(always)]
fn recover(peer: &mut Peer, may: bool) {
    let recovers = may & (peer.effective_weight < peer.config.weight);
    peer.effective_weight += u32::from(recovers);
}

/// One round of the contest.
pub(super) struct Round {
    total: i64,
    best: Option<PeerId>,
    score: i64,
}

impl Round {
    #[inline]
    pub(super) const fn new() -> Self {
        Self { total: 0, best: None, score: i64::MIN }
    }

    /// If the peer takes part, its score grows, and an effective weight that failures cut
    /// recovers by one (after it was used) if the round `counts`. On ties the earlier peer stays
    /// ahead.
    ///
    /// Selections instead of branches: who is tied with whom cannot be foreseen, and a wrong
    /// guess of the processor costs more than the whole round.
    #[inline]
    pub(super) fn enter(&mut self, peer: &mut Peer, takes_part: bool, counts: bool) {
        let weight = if takes_part { i64::from(peer.effective_weight) } else { 0 };
        self.weigh(peer, takes_part, weight);
        recover(peer, takes_part & counts);
    }

    #[inline(always)]
    fn weigh(&mut self, peer: &mut Peer, takes_part: bool, weight: i64) {
        peer.current_weight += weight;
        self.total += weight;
        let leads = takes_part & (peer.current_weight > self.score);
        self.best = select_unpredictable(leads, Some(peer.id()), self.best);
        self.score = select_unpredictable(leads, peer.current_weight, self.score);
    }

    /// The winner pays what was handed out.
    #[inline]
    pub(super) fn settle(self, all: &mut [Peer]) -> Option<PeerId> {
        let id = self.best?;
        all[id.index()].current_weight -= self.total;
        Some(id)
    }
}
