//! An eligible peer of a list, each with the same probability: what policies that draw peers
//! without regard to their weights have in common.

use super::Ask;
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::Peers;
use crate::units::Draw;

/// Fruitless draws after which the eligible peers are counted: exact, but a pass over all of them.
const DRAWS: u32 = 8;

/// Draws an eligible peer. Not inlined, as the draw is taken by reference in it and would otherwise
/// live in memory for all other algorithms too.
#[inline(never)]
pub(super) fn any(peers: &Peers, ask: Ask<'_>, mut draw: Draw) -> Option<PeerId> {
    one(peers, ask, None, &mut draw)
}

/// Draws an eligible peer other than `besides`; `None` if there is none. Drawing again until an
/// eligible one comes up gives each of them the same chance without looking at the others.
pub(super) fn one(
    peers: &Peers,
    ask: Ask<'_>,
    besides: Option<PeerId>,
    draw: &mut Draw,
) -> Option<PeerId> {
    let list = peers.list(ask.list);
    let allowed = |id: PeerId| {
        Some(id) != besides && peers.get(id).is_some_and(|peer: &Peer| ask.allows(peer))
    };
    for _ in 0..DRAWS {
        let id = *list.get(draw.below(list.len() as u64) as usize)?;
        if allowed(id) {
            return Some(id);
        }
    }
    let eligible = || list.iter().copied().filter(|id| allowed(*id));
    let place = draw.below(eligible().count() as u64) as usize;
    eligible().nth(place)
}
