//! Consistent hashing with bounded loads (V. Mirrokni, M. Thorup, M. Zadimoghaddam: "Consistent
//! hashing with bounded loads", SODA 2018): no peer holds more than c times its share of the
//! requests in flight, and a key that finds its peer full goes to the next one on the ring.
//!
//! A peer of weight w may hold ceil(c m w / W) requests, of m in flight with the new one included
//! and weights that add up to W. Those that may not be picked count neither in m nor in W, so that
//! the rest can always hold everything.
//!
//! HAProxy's `hash-balance-factor` bounds the sum: ceil(c m) slots shared out by weight, so two
//! peers of equal weight may differ by one slot. Envoy's `hash_balance_factor` computes the slots
//! the same way, lets a host hold one more than its slots, and goes on to a random host that
//! depends on the key instead of the next on the ring.

use super::algorithm::LoadFactor;
use crate::policy::peer::{Peer, PeerId, PeerState};
use crate::policy::peers::{PeerList, Peers};
use crate::units::Nanos;

/// Hundredths of a percent in one.
const ONE: u128 = 10_000;

/// What the bound is computed from, kept up to date by starts, ends and changes.
#[derive(Debug)]
pub(super) struct Bound {
    factor: LoadFactor,
    primaries: Sums,
    backups: Sums,
    /// By number of the peer: which sums it counts in, if it may be picked.
    counted: Vec<Option<PeerList>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    weight: u64,
    in_flight: u64,
}

impl Bound {
    pub(super) fn new(factor: LoadFactor) -> Self {
        let none = Sums::default();
        Self { factor, primaries: none, backups: none, counted: Vec::new() }
    }

    /// How many requests a peer of weight `weight` may hold, one more than now in flight.
    #[inline]
    pub(super) fn capacity(&self, list: PeerList, weight: u32) -> u32 {
        let sums = match list {
            PeerList::Primaries => self.primaries,
            PeerList::Backups => self.backups,
        };
        capacity(self.factor, sums.in_flight + 1, weight, sums.weight)
    }

    #[inline]
    pub(super) fn started(&mut self, peer: PeerId) {
        if let Some(sums) = self.sums_of(peer) {
            sums.in_flight += 1;
        }
    }

    #[inline]
    pub(super) fn finished(&mut self, peer: PeerId) {
        if let Some(sums) = self.sums_of(peer) {
            sums.in_flight = sums.in_flight.saturating_sub(1);
        }
    }

    pub(super) fn peers_changed(&mut self, peers: &Peers, now: Nanos) {
        self.counted.clear();
        self.counted.resize(peers.count(), None);
        (self.primaries, self.backups) = (Sums::default(), Sums::default());
        for list in [PeerList::Primaries, PeerList::Backups] {
            let members = peers.list(list).iter().filter_map(|id| peers.get(*id));
            for peer in members.filter(|peer| peer.state(now) == PeerState::Up) {
                self.count(peer, list);
            }
        }
    }

    fn count(&mut self, peer: &Peer, list: PeerList) {
        self.counted[peer.id().index()] = Some(list);
        if let Some(sums) = self.sums_of(peer.id()) {
            sums.weight += u64::from(peer.weight());
            sums.in_flight += u64::from(peer.in_flight());
        }
    }

    #[inline]
    fn sums_of(&mut self, peer: PeerId) -> Option<&mut Sums> {
        match self.counted.get(peer.index())? {
            Some(PeerList::Primaries) => Some(&mut self.primaries),
            Some(PeerList::Backups) => Some(&mut self.backups),
            None => None,
        }
    }
}

/// ceil(c m w / W), at least 1; without limit if no weight counts.
#[inline]
fn capacity(factor: LoadFactor, in_flight: u64, weight: u32, sum: u64) -> u32 {
    if sum == 0 {
        return u32::MAX;
    }
    let share = u128::from(factor.0) * u128::from(in_flight) * u128::from(weight);
    let capacity = share.div_ceil(ONE * u128::from(sum));
    u32::try_from(capacity).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Published {
        bounded_capacity: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        c: f64,
        balls_in_play: u64,
        servers: u64,
        capacity: u32,
    }

    #[test]
    fn capacities_are_those_of_the_definition() {
        let text = include_str!("../../../tests/vectors/published.json");
        let published: Published = serde_json::from_str(text).unwrap();
        assert!(!published.bounded_capacity.is_empty());
        for case in published.bounded_capacity {
            let factor = LoadFactor((case.c * 10_000.0).round() as u32);
            assert_eq!(capacity(factor, case.balls_in_play, 1, case.servers), case.capacity);
        }
        assert_eq!(capacity(LoadFactor(12_500), 8, 3, 4), 8, "8 × 1.25 × 3/4 is 7.5");
        assert_eq!(capacity(LoadFactor(12_500), 1, 1, 0), u32::MAX);
    }
}
