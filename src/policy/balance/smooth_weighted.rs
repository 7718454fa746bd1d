//! Smooth weighted round robin (`ngx_http_upstream_get_peer` in
//! `src/http/ngx_http_upstream_round_robin.c`).
//!
//! Every eligible peer's score grows by its effective weight, the largest score wins and pays the
//! total. Weights 5, 1, 1 give `aabacaa` where plain weighted round robin gives `aaaaabc`.

use super::Ask;
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::Peers;

pub(super) fn pick(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    let (all, order) = peers.split(ask.list);
    let mut round = Round::default();
    for id in order {
        let peer = &mut all[id.index()];
        if ask.allows(peer) {
            round.enter(peer);
        }
    }
    round.settle(all)
}

/// One round of the contest.
#[derive(Default)]
pub(super) struct Round {
    total: i64,
    best: Option<(PeerId, i64)>,
}

impl Round {
    /// A peer takes part: its score grows, and an effective weight that failures cut recovers by
    /// one (after it was used). On ties the earlier peer stays ahead.
    #[inline]
    pub(super) fn enter(&mut self, peer: &mut Peer) {
        let weight = i64::from(peer.effective_weight);
        peer.current_weight += weight;
        self.total += weight;
        if peer.effective_weight < peer.config.weight {
            peer.effective_weight += 1;
        }
        if self.best.is_none_or(|(_, score)| peer.current_weight > score) {
            self.best = Some((peer.id(), peer.current_weight));
        }
    }

    /// The winner pays what was handed out.
    #[inline]
    pub(super) fn settle(self, all: &mut [Peer]) -> Option<PeerId> {
        let (id, _) = self.best?;
        all[id.index()].current_weight -= self.total;
        Some(id)
    }
}
