//! Two random peers by weight, the one with fewer requests in flight by weight
//! (`ngx_http_upstream_get_random2_peer` in
//! `src/http/modules/ngx_http_upstream_random_module.c`).
//!
//! The second must differ from the first, which turns the weights round while peers are idle: of
//! two peers with weights 3 and 1 the heavier is drawn first three times in four, the second draw
//! is then forced to be the other, and the second wins ties.

use super::ranges::Ranges;
use super::{Ask, rounds, smooth_weighted};
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::Peers;
use crate::units::Draw;

/// Draws until two different eligible peers came up. Each draw but the last counts, the first
/// peer's too; after 20 in one request smooth weighted round robin decides.
pub(super) fn pick(
    peers: &mut Peers,
    ask: Ask<'_>,
    ranges: &Ranges,
    draws: &mut u8,
    mut draw: Draw,
) -> Option<PeerId> {
    if rounds::are_used_up(*draws) {
        return smooth_weighted::scan(peers, ask);
    }
    let mut first: Option<PeerId> = None;
    loop {
        let id = ranges.draw(peers, ask.list, &mut draw)?;
        let eligible = peers.get(id).filter(|peer| first != Some(id) && ask.allows(peer));
        match (eligible, first.and_then(|first| peers.get(first))) {
            (Some(second), Some(first)) => return Some(less_loaded(first, second)),
            (Some(peer), None) => first = Some(peer.id()),
            (None, _) => {}
        }
        if rounds::was_in_vain(draws) {
            return smooth_weighted::scan(peers, ask);
        }
    }
}

/// The second drawn wins ties.
#[inline]
fn less_loaded(first: &Peer, second: &Peer) -> PeerId {
    let load = |peer: &Peer, other: &Peer| u64::from(peer.in_flight()) * u64::from(other.weight());
    let second_is_busier = match (first.scaled_load(), second.scaled_load()) {
        (Some(first), Some(second)) => second > first,
        _ => load(second, first) > load(first, second),
    };
    if second_is_busier { first.id() } else { second.id() }
}
