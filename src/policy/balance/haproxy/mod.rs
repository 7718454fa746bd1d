//! HAProxy's algorithms (2.6).

mod algorithm;
mod map;
mod ring;
mod roundrobin;
mod tree;

pub use algorithm::{HaproxyAlgorithm, HaproxyHash};

use self::algorithm::hash_of;
use self::map::SlotMap;
use self::ring::PointRing;
use self::roundrobin::TurnTrees;
use self::tree::Tree;
use super::Ask;
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::{PeerList, Peers};
use crate::units::Draw;

/// `BE_WEIGHT_SCALE`: steps of a weight, and so of a slow start.
pub(in crate::policy) const WEIGHT_SCALE: u32 = 16;
/// `SRV_EWGHT_MAX`.
const WEIGHT_MAX: u32 = 256 * WEIGHT_SCALE;

/// Effective weight of a peer (`server_recalc_eweight` in `src/server.c`), at least 1.
fn effective(peer: &Peer) -> u32 {
    ((f64::from(peer.weight() * WEIGHT_SCALE) * peer.share()) as u32).max(1)
}

/// What a pick may do with a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Take,
    /// Only if there is no other.
    Avoid,
    /// Full.
    Skip,
}

/// By whose rules a peer is judged.
#[derive(Clone, Copy)]
pub(in crate::policy) enum Judge<'a> {
    /// The machine's own: nobody who is full or was tried.
    Eligible(Ask<'a>),
    /// HAProxy's, which tells algorithms apart: `room` is what may be in flight or wait above the
    /// limit, 0 but for leastconn with `maxqueue`; `avoid` has just failed.
    Server { avoid: Option<PeerId>, room: u32 },
}

impl Judge<'_> {
    #[inline]
    fn of(&self, peer: &Peer) -> Verdict {
        match *self {
            Self::Eligible(ask) => {
                if ask.allows(peer) {
                    Verdict::Take
                } else {
                    Verdict::Skip
                }
            }
            Self::Server { avoid, room } => {
                if peer.lacks_room(room) {
                    Verdict::Skip
                } else if avoid == Some(peer.id()) {
                    Verdict::Avoid
                } else {
                    Verdict::Take
                }
            }
        }
    }
}

/// The state of an algorithm for the primaries and the backups of a group.
#[derive(Debug)]
pub(in crate::policy) struct HaproxyBalancer {
    algorithm: HaproxyAlgorithm,
    primaries: State,
    backups: State,
}

#[derive(Debug)]
enum State {
    RoundRobin(TurnTrees),
    LeastConn(Tree),
    First,
    Map(SlotMap),
    Ring(PointRing),
}

impl State {
    fn new(algorithm: HaproxyAlgorithm) -> Self {
        match algorithm {
            HaproxyAlgorithm::RoundRobin => Self::RoundRobin(TurnTrees::default()),
            HaproxyAlgorithm::LeastConn => Self::LeastConn(Tree::default()),
            HaproxyAlgorithm::First => Self::First,
            HaproxyAlgorithm::StaticRr
            | HaproxyAlgorithm::Source(HaproxyHash::MapBased)
            | HaproxyAlgorithm::Hash(HaproxyHash::MapBased) => Self::Map(SlotMap::default()),
            HaproxyAlgorithm::Random { .. } => Self::Ring(PointRing::default()),
            HaproxyAlgorithm::Source(HaproxyHash::Consistent { balance_factor })
            | HaproxyAlgorithm::Hash(HaproxyHash::Consistent { balance_factor }) => {
                Self::Ring(PointRing::bounded(balance_factor))
            }
        }
    }
}

impl HaproxyBalancer {
    pub(in crate::policy) fn new(algorithm: HaproxyAlgorithm) -> Self {
        Self { algorithm, primaries: State::new(algorithm), backups: State::new(algorithm) }
    }

    pub(in crate::policy) const fn algorithm(&self) -> HaproxyAlgorithm {
        self.algorithm
    }

    const fn state(&mut self, list: PeerList) -> &mut State {
        match list {
            PeerList::Primaries => &mut self.primaries,
            PeerList::Backups => &mut self.backups,
        }
    }

    /// Chooses among the peers of `list`. Under HAProxy's rules hashes and the draw of a peer look
    /// at nobody's limit: who is full is then waited for.
    #[inline(never)]
    pub(in crate::policy) fn pick(
        &mut self,
        peers: &Peers,
        list: PeerList,
        judge: Judge<'_>,
        key: u64,
        mut draw: Draw,
    ) -> Option<PeerId> {
        let algorithm = self.algorithm;
        match self.state(list) {
            State::RoundRobin(trees) => trees.pick(peers, judge),
            State::LeastConn(tree) => first_of(tree.iter(), peers, judge),
            State::First => {
                let usable = |id: &PeerId| peers.get(*id).is_some_and(Peer::is_usable);
                first_of(peers.list(list).iter().copied().filter(usable), peers, judge)
            }
            State::Map(map) => match hash_of(key).filter(|_| algorithm.hashes()) {
                Some(hash) => map.pick_by(hash, peers, judge),
                None => map.pick_next(peers, judge),
            },
            State::Ring(ring) => match algorithm {
                HaproxyAlgorithm::Random { draws } => ring.draw(peers, judge, draws, &mut draw),
                _ => match hash_of(key) {
                    Some(hash) => ring.pick_by(hash, peers, judge),
                    None => ring.pick_next(peers, judge),
                },
            },
        }
    }

    #[inline(never)]
    pub(in crate::policy) fn started(&mut self, peers: &Peers, peer: PeerId) {
        self.moved(peers, peer, 1);
    }

    #[inline(never)]
    pub(in crate::policy) fn finished(&mut self, peers: &Peers, peer: PeerId) {
        self.moved(peers, peer, -1);
    }

    fn moved(&mut self, peers: &Peers, id: PeerId, by: i64) {
        let Some(peer) = peers.get(id) else { return };
        let list = if peer.config.backup { PeerList::Backups } else { PeerList::Primaries };
        match &mut self.primaries {
            State::Ring(_) => {
                // The bound is on the requests in flight of the whole backend.
                for state in [&mut self.primaries, &mut self.backups] {
                    if let State::Ring(ring) = state {
                        ring.served(by);
                    }
                }
            }
            State::LeastConn(_) => {
                if let State::LeastConn(tree) = self.state(list) {
                    tree.reposition(id, load_key(peer));
                }
            }
            _ => {}
        }
    }

    /// `peer` is new: nothing is left of the turns of the one that had its number.
    pub(in crate::policy) fn forget(&mut self, peer: PeerId) {
        for state in [&mut self.primaries, &mut self.backups] {
            if let State::RoundRobin(trees) = state {
                trees.forget(peer);
            }
        }
    }

    /// Follows peers that came, went, or changed health or weight.
    pub(in crate::policy) fn peers_changed(&mut self, peers: &Peers) {
        for list in [PeerList::Primaries, PeerList::Backups] {
            let members = || peers.list(list).iter().filter_map(|id| peers.get(*id));
            match self.state(list) {
                State::RoundRobin(trees) => trees.follow(members()),
                State::LeastConn(tree) => follow(tree, members()),
                State::First => {}
                State::Map(map) => map.rebuild(members()),
                State::Ring(ring) => ring.rebuild(members()),
            }
        }
    }
}

/// `fwlc_get_next_server`, `fas_get_next_server`: the first in order with room, or else the one to
/// be avoided.
fn first_of(
    order: impl Iterator<Item = PeerId>,
    peers: &Peers,
    judge: Judge<'_>,
) -> Option<PeerId> {
    let mut avoided = None;
    for id in order {
        match peers.get(id).map_or(Verdict::Skip, |peer| judge.of(peer)) {
            Verdict::Take => return Some(id),
            Verdict::Avoid => avoided = Some(id),
            Verdict::Skip => {}
        }
    }
    avoided
}

/// Place in the tree of leastconn (`fwlc_queue_srv` in `src/lb_fwlc.c`): idle servers first, then
/// by what they would have with one more, by weight.
fn load_key(peer: &Peer) -> u64 {
    match u64::from(peer.served()) + u64::from(peer.waiting()) {
        0 => 0,
        inflight => (inflight + 1) * u64::from(WEIGHT_MAX) / u64::from(effective(peer)),
    }
}

/// Brings the tree of leastconn up to who is usable, and to their weights.
fn follow<'a>(tree: &mut Tree, members: impl Iterator<Item = &'a Peer> + Clone) {
    tree.retain(|id| members.clone().any(|peer| peer.id() == id && peer.is_usable()));
    for peer in members.filter(|peer| peer.is_usable()) {
        tree.reposition(peer.id(), load_key(peer));
        if !tree.contains(peer.id()) {
            tree.insert(load_key(peer), peer.id());
        }
    }
}
