//! Envoy's weighted round robin: a scheduler for each list of a group (`EdfLoadBalancerBase` in
//! `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`).
//!
//! A scheduler is made anew on every change of the peers or their health, and starts as if a
//! random number of picks had been made, so that several balancers do not all begin with the same
//! peer. The number is drawn by the first request that asks.

use super::Ask;
use super::edf::Edf;
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::{PeerList, Peers};
use crate::units::Draw;

/// The schedulers of a group.
#[derive(Default)]
pub(in crate::policy) struct Schedules {
    primaries: Schedule,
    backups: Schedule,
}

#[derive(Default)]
struct Schedule {
    equal_weights: bool,
    /// Member `i` is the peer at place `i` of the list. `None` until someone asks.
    edf: Option<Edf>,
}

impl Schedules {
    pub(super) fn peers_changed(&mut self, peers: &Peers) {
        self.primaries = Schedule::of(peers, PeerList::Primaries);
        self.backups = Schedule::of(peers, PeerList::Backups);
    }

    pub(super) const fn has_equal_weights(&self, list: PeerList) -> bool {
        match list {
            PeerList::Primaries => self.primaries.equal_weights,
            PeerList::Backups => self.backups.equal_weights,
        }
    }

    /// Picks by deadline; the `weight` of the picked one counts until its next turn.
    pub(super) fn pick(
        &mut self,
        peers: &Peers,
        ask: Ask<'_>,
        draw: &mut Draw,
        weight: impl Fn(&Peer) -> f64,
    ) -> Option<PeerId> {
        let schedule = match ask.list {
            PeerList::Primaries => &mut self.primaries,
            PeerList::Backups => &mut self.backups,
        };
        let list = peers.list(ask.list);
        let peer = |place: usize| list.get(place).and_then(|id| peers.get(*id));
        let may = |place: usize| peer(place).is_some_and(|peer| ask.allows(peer));
        let edf = schedule.edf.get_or_insert_with(|| {
            let members = || list.iter().filter_map(|id| peers.get(*id));
            let cycle: u64 = members().map(|peer| u64::from(peer.weight())).sum();
            Edf::start(&members().map(&weight).collect::<Vec<f64>>(), draw.below(cycle))
        });
        let place = edf.first(may)?;
        let chosen = peer(place)?;
        edf.serve(place, weight(chosen));
        Some(chosen.id())
    }

    /// Envoy's `ROUND_ROBIN`: nothing but the configured weights.
    pub(super) fn pick_in_turn(
        &mut self,
        peers: &Peers,
        ask: Ask<'_>,
        mut draw: Draw,
    ) -> Option<PeerId> {
        self.pick(peers, ask, &mut draw, |peer| f64::from(peer.weight()))
    }
}

impl Schedule {
    fn of(peers: &Peers, list: PeerList) -> Self {
        let mut weights = peers.list(list).iter().filter_map(|id| peers.get(*id)).map(Peer::weight);
        let first = weights.next();
        Self { equal_weights: weights.all(|weight| Some(weight) == first), edf: None }
    }
}
