//! Envoy's weighted round robin: a scheduler for each list of a group (`EdfLoadBalancerBase` in
//! `source/extensions/load_balancing_policies/common/load_balancer_impl.cc`).
//!
//! A scheduler is made anew of the healthy peers on every change of the peers or their health, and
//! starts as if a random number of picks had been made, so that several balancers do not all begin
//! with the same peer. The number (`seed_`) is drawn by the first request that asks, once for all
//! schedulers. While the weights of the healthy are equal and none of them starts slowly there is no
//! scheduler: they take turns, from that number on, by a counter that outlasts changes
//! (`RoundRobinLoadBalancer`), and in a panic by another counter, since all peers of a list and
//! its healthy ones are two sources of hosts (`rr_indexes_`).

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
    /// Picks before the first. `None` until someone asks.
    start: Option<u64>,
}

#[derive(Default)]
struct Schedule {
    equal_weights: bool,
    members: Vec<PeerId>,
    /// Member `i` is `members[i]`. `None` until someone asks.
    edf: Option<Edf>,
    /// Turns taken under equal weights, by the healthy and by all in a panic.
    turns: [u64; 2],
    panics: bool,
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

    /// The schedule of a list, and the number of picks before its first.
    fn of(&mut self, list: PeerList, draw: &mut Draw) -> (&mut Schedule, u64) {
        let start = *self.start.get_or_insert_with(|| draw.below(1 << 32));
        match list {
            PeerList::Primaries => (&mut self.primaries, start),
            PeerList::Backups => (&mut self.backups, start),
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
        let (Schedule { members, edf, .. }, start) = self.of(ask.list, draw);
        let peer = |place: usize| members.get(place).and_then(|id| peers.get(*id));
        let may = |place: usize| peer(place).is_some_and(|peer| ask.allows(peer));
        let edf = edf.get_or_insert_with(|| {
            let all = || members.iter().filter_map(|id| peers.get(*id));
            let cycle: u64 = all().map(|peer| u64::from(peer.weight())).sum();
            // After a whole cycle all is as at its beginning, and small numbers are exact.
            Edf::start(&all().map(&weight).collect::<Vec<f64>>(), start % cycle.max(1))
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
        let (schedule, start) = self.of(ask.list, &mut draw);
        if schedule.equal_weights {
            return schedule.next_in_turn(peers, ask, start);
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
        self.panics = taking_part().any(Peer::is_panicked);
    }

    fn next_in_turn(&mut self, peers: &Peers, ask: Ask<'_>, start: u64) -> Option<PeerId> {
        let turns = &mut self.turns[usize::from(self.panics)];
        let count = self.members.len() as u64;
        for taken in *turns..*turns + count {
            let id = self.members[((start + taken) % count) as usize];
            if peers.get(id).is_some_and(|peer| ask.allows(peer)) {
                *turns = taken + 1;
                return Some(id);
            }
        }
        None
    }
}
