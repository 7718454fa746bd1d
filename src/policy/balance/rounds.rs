//! How long a policy that draws or hashes looks for a peer that may be picked.

use super::{Ask, smooth_weighted};
use crate::policy::peer::PeerId;
use crate::policy::peers::Peers;

/// More fruitless rounds than this in one request, and smooth weighted round robin takes over.
const ROUNDS_MAX: u8 = 20;

/// Asks `next` for peers until one may be picked. After 20 in vain, counted in `rounds` over all
/// attempts of the request, smooth weighted round robin decides.
#[inline]
pub(super) fn first_allowed(
    peers: &mut Peers,
    ask: Ask<'_>,
    rounds: &mut u8,
    mut next: impl FnMut(&Peers) -> Option<PeerId>,
) -> Option<PeerId> {
    loop {
        let id = next(peers)?;
        if peers.get(id).is_some_and(|peer| ask.allows(peer)) {
            return Some(id);
        }
        if was_in_vain(rounds) {
            return smooth_weighted::scan(peers, ask);
        }
    }
}

/// Counts a round in vain; whether there were too many.
#[inline]
pub(super) const fn was_in_vain(rounds: &mut u8) -> bool {
    *rounds = rounds.saturating_add(1);
    *rounds > ROUNDS_MAX
}

/// Whether earlier attempts of this request used its rounds up.
#[inline]
pub(super) const fn are_used_up(rounds: u8) -> bool {
    rounds > ROUNDS_MAX
}
