//! Fewest requests in flight by weight (`src/http/modules/ngx_http_upstream_least_conn_module.c`).
//!
//! The configured weight counts, never the effective one. Only a tie opens a round of smooth
//! weighted round robin, and only among the tied: without a tie no score moves and no effective
//! weight recovers. All idle peers tie whatever their weights.

use super::{Ask, smooth_weighted::Round};
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::Peers;

#[inline]
pub(super) fn pick(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    let (all, order) = peers.split(ask.list);
    let mut best: Option<(usize, Load)> = None;
    let mut tied = false;
    for (place, id) in order.iter().enumerate() {
        let peer = &all[id.index()];
        if !ask.allows(peer) {
            continue;
        }
        let load = Load::of(peer);
        match best {
            Some((_, least)) if !load.is_below(least) => tied |= load.equals(least),
            _ => {
                best = Some((place, load));
                tied = false;
            }
        }
    }
    let (place, least) = best?;
    if !tied {
        return Some(order[place]);
    }
    let mut round = Round::default();
    for id in &order[place..] {
        let peer = &mut all[id.index()];
        if Load::of(peer).equals(least) && ask.allows(peer) {
            round.enter(peer);
        }
    }
    round.settle(all)
}

/// Requests in flight per weight, compared without division.
#[derive(Clone, Copy)]
struct Load {
    conns: u64,
    weight: u64,
}

impl Load {
    #[inline]
    const fn of(peer: &Peer) -> Self {
        Self { conns: peer.in_flight() as u64, weight: peer.weight() as u64 }
    }

    #[inline]
    const fn is_below(self, other: Self) -> bool {
        self.conns * other.weight < other.conns * self.weight
    }

    #[inline]
    const fn equals(self, other: Self) -> bool {
        self.conns * other.weight == other.conns * self.weight
    }
}
