//! A random peer by weight (`ngx_http_upstream_get_random_peer` in
//! `src/http/modules/ngx_http_upstream_random_module.c`).

use super::ranges::Ranges;
use super::{Ask, rounds, smooth_weighted};
use crate::policy::peer::PeerId;
use crate::policy::peers::Peers;
use crate::units::Draw;

/// Draws until an eligible peer comes up; after 20 draws in vain, counted over all attempts of the
/// request, smooth weighted round robin decides.
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
    rounds::first_allowed(peers, ask, draws, |peers| ranges.draw(peers, ask.list, &mut draw))
}
