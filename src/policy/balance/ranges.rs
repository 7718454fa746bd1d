//! Where each peer's share of the weights ends, so that a random number falls on a peer.

use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::{PeerList, Peers};
use crate::units::Draw;

/// Running sums of the configured weights of each list. Peers that are out count too: drawing one
/// costs a draw (`ngx_http_upstream_update_random` in
/// `src/http/modules/ngx_http_upstream_random_module.c`).
#[derive(Debug, Default)]
pub(in crate::policy) struct Ranges {
    primaries: List,
    backups: List,
}

#[derive(Debug, Default)]
enum List {
    /// Nobody is there.
    #[default]
    Empty,
    /// All have the same weight, so that a division finds the peer.
    Equal { weight: u64, count: u64 },
    /// Where each range ends.
    Ends(Vec<u64>),
}

impl Ranges {
    pub(super) fn rebuild(&mut self, peers: &Peers) {
        self.primaries = List::new(peers, PeerList::Primaries);
        self.backups = List::new(peers, PeerList::Backups);
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
        match self.of(list) {
            List::Empty => None,
            List::Equal { weight, count } => Some(weight * count),
            List::Ends(ends) => ends.last().copied(),
        }
    }

    /// The peer on whose range `number` falls, which is below the sum of the weights.
    #[inline]
    pub(super) fn at(&self, peers: &Peers, list: PeerList, number: u64) -> Option<PeerId> {
        let place = match self.of(list) {
            List::Empty => return None,
            List::Equal { weight: 1, .. } => number as usize,
            List::Equal { weight, .. } => (number / weight) as usize,
            List::Ends(ends) => ends.partition_point(|end| *end <= number),
        };
        peers.list(list).get(place).copied()
    }

    #[inline]
    const fn of(&self, list: PeerList) -> &List {
        match list {
            PeerList::Primaries => &self.primaries,
            PeerList::Backups => &self.backups,
        }
    }
}

impl List {
    fn new(peers: &Peers, list: PeerList) -> Self {
        let members = || peers.list(list).iter().filter_map(|id| peers.get(*id));
        let mut weights = members().map(Peer::weight);
        let Some(weight) = weights.next() else { return Self::Empty };
        if weights.all(|other| other == weight) {
            return Self::Equal { weight: u64::from(weight), count: members().count() as u64 };
        }
        let running_sum = |sum: &mut u64, peer: &Peer| {
            *sum += u64::from(peer.weight());
            Some(*sum)
        };
        Self::Ends(members().scan(0, running_sum).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::peer::PeerConfig;

    /// The place on whose range each number below the sum falls.
    fn places(weights: &[u32]) -> Vec<u32> {
        let config = |&weight| PeerConfig { weight, ..PeerConfig::new("peer") };
        let peers = Peers::new(&weights.iter().map(config).collect::<Vec<_>>());
        let mut ranges = Ranges::default();
        ranges.rebuild(&peers);
        let total = ranges.total(PeerList::Primaries).unwrap_or(0);
        assert_eq!(ranges.total(PeerList::Backups), None);
        let at = |number| ranges.at(&peers, PeerList::Primaries, number).map(|id| id.0);
        (0..total).filter_map(at).collect()
    }

    #[test]
    fn each_peer_has_as_many_numbers_as_its_weight() {
        assert_eq!(places(&[2, 1, 3]), [0, 0, 1, 2, 2, 2]);
        assert_eq!(places(&[3, 3]), [0, 0, 0, 1, 1, 1]);
        assert_eq!(places(&[1, 1, 1]), [0, 1, 2]);
        assert_eq!(places(&[]), [0; 0]);
    }
}
