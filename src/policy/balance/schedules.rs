//! Envoy's weighted round robin: a scheduler for each list of a group (`EdfLoadBalancerBase` in
//! `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`).
//!
//! A scheduler is made anew of the healthy peers on every change of the peers or their health, and
//! starts as if a random number of picks had been made, so that several balancers do not all begin
//! with the same peer. The number is drawn by the first request that asks. While the weights of
//! the healthy are equal and none of them starts slowly there is no scheduler: they take turns, from
//! a random first one, by a counter that outlasts changes (`RoundRobinLoadBalancer`).

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
    members: Vec<PeerId>,
    /// Member `i` is `members[i]`. `None` until someone asks.
    edf: Option<Edf>,
    /// Whose turn it is under equal weights. `None` until someone asks.
    turn: Option<u64>,
}

impl Schedules {
    pub(super) fn peers_changed(&mut self, peers: &Peers) {
        self.primaries.follow(peers, PeerList::Primaries);
        self.backups.follow(peers, PeerList::Backups);
    }

    pub(super) const fn has_equal_weights(&self, list: PeerList) -> bool {
        match list {
            PeerList::Primaries => self.primaries.equal_weights,
            PeerList::Backups => self.backups.equal_weights,
        }
    }

    const fn of(&mut self, list: PeerList) -> &mut Schedule {
        match list {
            PeerList::Primaries => &mut self.primaries,
            PeerList::Backups => &mut self.backups,
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
        let Schedule { members, edf, .. } = self.of(ask.list);
        let peer = |place: usize| members.get(place).and_then(|id| peers.get(*id));
        let may = |place: usize| peer(place).is_some_and(|peer| ask.allows(peer));
        let edf = edf.get_or_insert_with(|| {
            let all = || members.iter().filter_map(|id| peers.get(*id));
            let cycle: u64 = all().map(|peer| u64::from(peer.weight())).sum();
            Edf::start(&all().map(&weight).collect::<Vec<f64>>(), draw.below(cycle))
        });
        let place = edf.first(may)?;
        let chosen = peer(place)?;
        edf.serve(place, weight(chosen));
        Some(chosen.id())
    }

    /// Envoy's `ROUND_ROBIN`: nothing but the configured weights, cut by slow starts.
    pub(super) fn pick_in_turn(
        &mut self,
        peers: &Peers,
        ask: Ask<'_>,
        mut draw: Draw,
    ) -> Option<PeerId> {
        let schedule = self.of(ask.list);
        if schedule.equal_weights {
            return schedule.next_in_turn(peers, ask, &mut draw);
        }
        self.pick(peers, ask, &mut draw, present_weight)
    }
}

/// The weight of a peer, cut by its slow start.
pub(super) fn present_weight(peer: &Peer) -> f64 {
    f64::from(peer.weight()) * peer.share()
}

impl Schedule {
    /// Begins anew with those that take part now.
    fn follow(&mut self, peers: &Peers, list: PeerList) {
        self.edf = None;
        let taking_part = || {
            let members = peers.list(list).iter().filter_map(|id| peers.get(*id));
            members.filter(|peer| peer.takes_part())
        };
        self.members.clear();
        self.members.extend(taking_part().map(Peer::id));
        let first = taking_part().next().map(Peer::weight);
        self.equal_weights =
            taking_part().all(|peer| Some(peer.weight()) == first && !peer.is_ramping());
    }

    fn next_in_turn(&mut self, peers: &Peers, ask: Ask<'_>, draw: &mut Draw) -> Option<PeerId> {
        let turn = self.turn.get_or_insert_with(|| draw.below(1 << 32));
        let count = self.members.len() as u64;
        for next in *turn..*turn + count {
            let id = self.members[(next % count) as usize];
            if peers.get(id).is_some_and(|peer| ask.allows(peer)) {
                *turn = next + 1;
                return Some(id);
            }
        }
        None
    }
}
