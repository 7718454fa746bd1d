//! The key's place on a ring of points, each of which belongs to a peer.
//!
//! The first point at or after the key's hash decides; if its peer may not be picked, the next
//! point, and so on for 20 rounds over all attempts of the request, then smooth weighted round
//! robin (`ngx_http_upstream_get_chash_peer` in
//! `src/http/modules/ngx_http_upstream_hash_module.c`). The next point often is the same peer's
//! and uses up a round all the same. Peers that are out keep their points, so that a failure
//! moves their keys alone; one that leaves takes its points along and moves no other's.
//!
//! With a bound on the load (see [`super::bounded_load`]) the walk goes on to the first peer with
//! room for one more.

use super::algorithm::{ConsistentHashConfig, Ring};
use super::bounded_load::Bound;
use super::{Ask, envoy_ring, envoy_shuffle, ketama, rounds, smooth_weighted};
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::{PeerList, Peers};
use crate::units::Nanos;

/// The rings of a group.
#[derive(Debug)]
pub(in crate::policy) struct ConsistentHash {
    config: ConsistentHashConfig,
    primaries: Points,
    backups: Points,
    bound: Option<Bound>,
    /// One that is full hands on by Envoy's shuffle instead of to the next on the ring.
    by_shuffle: bool,
}

/// A point of a ring.
#[derive(Clone, Copy, Debug)]
pub(super) struct Point {
    pub(super) value: u64,
    pub(super) owner: PeerId,
}

impl ConsistentHash {
    pub(super) fn new(config: ConsistentHashConfig, by_shuffle: bool) -> Self {
        let bound = config.bounded_load.map(Bound::new);
        Self { config, primaries: Points::default(), backups: Points::default(), bound, by_shuffle }
    }

    /// Where the ring is entered by a key with this digest.
    #[inline]
    fn place(&self, key: u64) -> u64 {
        match self.config.ring {
            // Its upper half is the key's length.
            Ring::Ketama => key & u64::from(u32::MAX),
            Ring::Envoy { .. } => key,
        }
    }

    #[inline]
    fn points(&self, list: PeerList) -> &Points {
        match list {
            PeerList::Primaries => &self.primaries,
            PeerList::Backups => &self.backups,
        }
    }

    /// `in_vain` counts rounds, over all attempts of the request.
    pub(super) fn pick(
        &self,
        peers: &mut Peers,
        ask: Ask<'_>,
        key: u64,
        in_vain: &mut u8,
    ) -> Option<PeerId> {
        if rounds::are_used_up(*in_vain) || key == 0 {
            return smooth_weighted::scan(peers, ask);
        }
        let points = self.points(ask.list);
        let first = points.first_from(self.place(key));
        if let (true, Some(factor)) = (self.by_shuffle, self.config.bounded_load) {
            let home = points.owner(first + usize::from(*in_vain))?;
            return Some(envoy_shuffle::pick(peers, ask.list, home, key, factor));
        }
        if let Some(bound) = &self.bound {
            return bounded(points, first, bound, peers, ask);
        }
        let mut place = first + usize::from(*in_vain);
        loop {
            let id = points.owner(place)?;
            if peers.get(id).is_some_and(|peer| ask.allows(peer)) {
                peers.recover(id);
                return Some(id);
            }
            place += 1;
            if rounds::was_in_vain(in_vain) {
                return smooth_weighted::scan(peers, ask);
            }
        }
    }

    #[inline]
    pub(super) fn started(&mut self, peer: PeerId) {
        if let Some(bound) = &mut self.bound {
            bound.started(peer);
        }
    }

    #[inline]
    pub(super) fn finished(&mut self, peer: PeerId) {
        if let Some(bound) = &mut self.bound {
            bound.finished(peer);
        }
    }

    pub(super) fn peers_changed(&mut self, peers: &Peers, now: Nanos) {
        self.primaries.update(self.config.ring, peers, PeerList::Primaries);
        self.backups.update(self.config.ring, peers, PeerList::Backups);
        if let Some(bound) = &mut self.bound {
            bound.peers_changed(peers, now);
        }
    }
}

/// In order of value; of equal ones in the order of configuration, since the first is kept.
fn sorted(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by_key(|point| (point.value, point.owner));
    points
}

/// The first peer from `first` on that may be picked and has room. If a walk of as many points as
/// there are peers meets none, the least loaded by weight, which has room if anyone has: a group
/// that is full costs no more than that.
fn bounded(
    points: &Points,
    first: usize,
    bound: &Bound,
    peers: &Peers,
    ask: Ask<'_>,
) -> Option<PeerId> {
    let order = peers.list(ask.list);
    let has_room = |peer: &Peer| {
        ask.allows(peer) && peer.in_flight() < bound.capacity(ask.list, peer.weight())
    };
    for step in 0..order.len().max(WALK_MIN) {
        let id = points.owner(first + step)?;
        if peers.get(id).is_some_and(has_room) {
            return Some(id);
        }
    }
    let allowed = order.iter().filter_map(|id| peers.get(*id)).filter(|peer| ask.allows(peer));
    allowed.min_by_key(|peer| peer.load()).map(Peer::id)
}

/// Points a walk looks at before it gives up, in a group with fewer peers than this.
const WALK_MIN: usize = 64;

/// The points of one list, in order of their values.
#[derive(Debug, Default)]
struct Points {
    values: Vec<u64>,
    owners: Vec<PeerId>,
    /// Every point in order, also those behind an equal one of an earlier peer: it is theirs when
    /// that peer leaves.
    all: Vec<Point>,
    /// The peers and weights that it was built from.
    built_from: Vec<(PeerId, u32)>,
}

impl Points {
    /// Brings the points up to the peers of the list, if one came, went, or changed its weight.
    fn update(&mut self, ring: Ring, peers: &Peers, list: PeerList) {
        let members: Vec<&Peer> = peers.placed(list).collect();
        let mut weights: Vec<(PeerId, u32)> =
            members.iter().map(|peer| (peer.id(), peer.weight())).collect();
        weights.sort_unstable();
        if weights == self.built_from {
            return;
        }
        match ring {
            Ring::Ketama => self.follow(&members, &weights),
            Ring::Envoy { size } => self.all = sorted(envoy_ring::points(&members, size)),
        }
        self.built_from = weights;
        self.values.clear();
        self.owners.clear();
        for point in &self.all {
            if self.values.last() != Some(&point.value) {
                self.values.push(point.value);
                self.owners.push(point.owner);
            }
        }
    }

    /// Takes out the points of those that left or changed, and merges those of the others in: a
    /// peer's points do not depend on the other peers, unless there are too many (and then all
    /// are made anew).
    fn follow(&mut self, members: &[&Peer], weights: &[(PeerId, u32)]) {
        if ketama::is_scaled(&self.built_from) || ketama::is_scaled(weights) {
            self.all = sorted(ketama::points(members));
            return;
        }
        let stays = |of: &(PeerId, u32)| weights.binary_search(of).is_ok();
        let stayed: Vec<(PeerId, u32)> = self.built_from.iter().copied().filter(stays).collect();
        let has_stayed = |id: PeerId| stayed.binary_search_by_key(&id, |(id, _)| *id).is_ok();
        let new: Vec<&Peer> = members.iter().copied().filter(|p| !has_stayed(p.id())).collect();
        if stayed.len() < self.built_from.len() {
            self.all.retain(|point| has_stayed(point.owner));
        }
        // Two runs in order, which the sort finds and merges.
        self.all.extend(sorted(ketama::points(&new)));
        self.all.sort_by_key(|point| (point.value, point.owner));
    }

    /// The first point at or after `value`; the number of points if there is none.
    #[inline]
    fn first_from(&self, value: u64) -> usize {
        self.values.partition_point(|point| *point < value)
    }

    /// Whose point number `place` is, counted round the ring.
    #[inline]
    fn owner(&self, place: usize) -> Option<PeerId> {
        let place = place.checked_rem(self.owners.len())?;
        self.owners.get(place).copied()
    }
}
