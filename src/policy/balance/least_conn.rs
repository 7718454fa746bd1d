//! Fewest requests in flight by weight (`src/http/modules/ngx_http_upstream_least_conn_module.c`).
//!
//! The configured weight counts, never the effective one. Only a tie opens a round of smooth
//! weighted round robin, and only among the tied: without a tie no score moves and no effective
//! weight recovers. All idle peers tie whatever their weights.

use super::{Ask, smooth_weighted::Round};
use crate::policy::peer::{Load, Peer, PeerId};
use crate::policy::peers::Peers;

#[inline]
pub(super) fn pick(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    let (all, order) = peers.split(ask.list);
    if ask.tried.is_empty() {
        pick_among(all, order, |_| true)
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
    let mut least = Load::INFINITE;
    let mut first = 0;
    let mut tied = false;
    // Selections instead of branches: loads cannot be foreseen.
    for (place, id) in order.iter().enumerate() {
        let peer = &all[id.index()];
        let load = if allows(peer) { peer.load() } else { Load::INFINITE };
        let below = load < least;
        tied = !below & (tied | (load == least));
        first = if below { place } else { first };
        least = if below { load } else { least };
    }
    if least == Load::INFINITE {
        return None;
    }
    if !tied {
        return order.get(first).copied();
    }
    let mut round = Round::new();
    for id in order.get(first..)? {
        let peer = &mut all[id.index()];
        let takes_part = (peer.load() == least) & allows(peer);
        round.enter(peer, takes_part);
    }
    round.settle(all)
}
