//! Fewest requests in flight by weight (`src/http/modules/ngx_http_upstream_least_conn_module.c`).
//!
//! The configured weight counts, never the effective one. Only a tie opens a round of smooth
//! weighted round robin, and only among the tied: without a tie no score moves and no effective
//! weight recovers. All idle peers tie whatever their weights.

use super::Ask;
use super::smooth_weighted::{Round, pick_fine};
use crate::policy::peer::{Load, Peer, PeerId};
use crate::policy::peers::Peers;

#[inline]
pub(super) fn pick(peers: &mut Peers, ask: Ask<'_>) -> Option<PeerId> {
    if peers.is_ramping() {
        return pick_fine(peers, ask, least(peers, ask)?);
    }
    let (all, order) = peers.split(ask.list);
    if ask.tried.is_empty() {
        pick_among(all, order, |_| true)
    } else {
        pick_among(all, order, |peer| ask.allows(peer))
    }
}

/// The least load while a peer starts slowly: what is in flight over the share of the weight that
/// the peer has.
#[cold]
fn least(peers: &Peers, ask: Ask<'_>) -> Option<Load> {
    let members = peers.list(ask.list).iter().filter_map(|id| peers.get(*id));
    members.filter(|peer| ask.allows(peer)).map(Peer::load).min()
}

/// So many peers that a round costs less than a wrong guess of the processor.
const FEW: usize = 8;

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
    if !tied && order.len() > FEW {
        return order.get(first).copied();
    }
    // Among a few, one that is alone has a round too: it wins, and pays what it was given. Whether
    // there is a tie cannot be foreseen. And from the first peer on, though none before `first` is
    // tied: a loop of the same length each time ends where the processor expects it.
    let mut round = Round::new();
    for id in order {
        let peer = &mut all[id.index()];
        let takes_part = (peer.load() == least) & allows(peer);
        round.enter(peer, takes_part, tied);
    }
    round.settle(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::peer::PeerConfig;
    use crate::policy::peers::PeerList;
    use crate::units::Nanos;

    /// Two peers of weight 2, of which the first has lost weight to a failure.
    fn peers() -> Peers {
        let config = PeerConfig { weight: 2, max_fails: 2, ..PeerConfig::new("peer") };
        let mut peers = Peers::new(&[config.clone(), config]);
        peers.assign(PeerId(0), Nanos::ZERO);
        peers.release(PeerId(0), Nanos::ZERO, true);
        peers
    }

    fn weights(peers: &Peers) -> Vec<(u32, i64)> {
        peers.iter().map(|peer| (peer.effective_weight(), peer.current_weight())).collect()
    }

    #[test]
    fn without_a_tie_no_weight_moves() {
        let mut peers = peers();
        peers.assign(PeerId(1), Nanos::ZERO);
        let ask = Ask { list: PeerList::Primaries, tried: &[], now: Nanos::ZERO };
        assert_eq!(pick(&mut peers, ask), Some(PeerId(0)));
        assert_eq!(weights(&peers), [(1, 0), (2, 0)]);
    }

    #[test]
    fn a_tie_is_a_round_of_smooth_weighted_round_robin() {
        let mut peers = peers();
        let ask = Ask { list: PeerList::Primaries, tried: &[], now: Nanos::ZERO };
        assert_eq!(pick(&mut peers, ask), Some(PeerId(1)));
        assert_eq!(weights(&peers), [(2, 1), (2, -1)], "the first recovers by taking part");
    }
}
