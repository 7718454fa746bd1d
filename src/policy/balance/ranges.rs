//! Where each peer's share of the weights ends, so that a random number falls on a peer.

use crate::policy::peer::PeerId;
use crate::policy::peers::{PeerList, Peers};
use crate::units::Draw;

/// Running sums of the configured weights of each list. Peers that are out count too: drawing one
/// costs a draw (`ngx_http_upstream_update_random` in
/// `src/http/modules/ngx_http_upstream_random_module.c`).
#[derive(Debug, Default)]
pub(in crate::policy) struct Ranges {
    primaries: Vec<u64>,
    backups: Vec<u64>,
}

impl Ranges {
    pub(super) fn rebuild(&mut self, peers: &Peers) {
        self.primaries = running_sums(peers, PeerList::Primaries);
        self.backups = running_sums(peers, PeerList::Backups);
    }

    /// Draws a peer of `list` by weight (`ngx_http_upstream_peek_random_peer`).
    #[inline]
    pub(super) fn draw(&self, peers: &Peers, list: PeerList, draw: &mut Draw) -> Option<PeerId> {
        let number = draw.below(self.total(list)?);
        self.at(peers, list, number)
    }

    /// The sum of the weights of `list`; `None` if it is empty.
    #[inline]
    pub(super) fn total(&self, list: PeerList) -> Option<u64> {
        self.ends(list).last().copied()
    }

    /// The peer on whose range `number` falls, which is below the sum of the weights.
    #[inline]
    pub(super) fn at(&self, peers: &Peers, list: PeerList, number: u64) -> Option<PeerId> {
        let place = self.ends(list).partition_point(|end| *end <= number);
        peers.list(list).get(place).copied()
    }

    #[inline]
    fn ends(&self, list: PeerList) -> &[u64] {
        match list {
            PeerList::Primaries => &self.primaries,
            PeerList::Backups => &self.backups,
        }
    }
}

fn running_sums(peers: &Peers, list: PeerList) -> Vec<u64> {
    let weights = peers.list(list).iter().filter_map(|id| peers.get(*id));
    weights
        .scan(0, |sum, peer| {
            *sum += u64::from(peer.weight());
            Some(*sum)
        })
        .collect()
}
