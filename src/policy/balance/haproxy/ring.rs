//! A ring of points (`src/lb_chash.c`): for consistent hashes and for `random`.
//!
//! Each server has as many points as its effective weight, at the hashes of id × 4096 + 0, 1, …;
//! the nearest point decides, be it before or after.

use super::algorithm::full_hash;
use super::{Judge, Verdict, WEIGHT_MAX, effective};
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::Peers;
use crate::units::Draw;

/// The ring of a group.
#[derive(Debug, Default)]
pub(super) struct PointRing {
    points: Vec<(u32, PeerId)>,
    /// By number of peer: its effective weight, and that of those before it.
    weights: Vec<(u64, u64)>,
    total: u64,
    /// `hash-balance-factor`; 0 is none.
    factor: u64,
    /// Requests in flight at the backend.
    served: u64,
    /// Where the last request without a key went.
    last: Option<usize>,
}

impl PointRing {
    pub(super) fn bounded(factor: u32) -> Self {
        Self { factor: u64::from(factor), ..Self::default() }
    }

    /// A request began or ended.
    pub(super) const fn served(&mut self, by: i64) {
        self.served = self.served.saturating_add_signed(by);
    }

    /// `chash_init_server_tree`.
    pub(super) fn rebuild<'a>(&mut self, members: impl Iterator<Item = &'a Peer>) {
        self.points.clear();
        self.weights.clear();
        (self.total, self.last) = (0, None);
        for peer in members.filter(|peer| peer.is_usable()) {
            let (id, weight) = (peer.id(), effective(peer));
            let base = (id.0.wrapping_add(1)).wrapping_mul(WEIGHT_MAX);
            self.points.extend((0..weight).map(|j| (full_hash(base.wrapping_add(j)), id)));
            if self.weights.len() <= id.index() {
                self.weights.resize(id.index() + 1, (0, 0));
            }
            self.weights[id.index()] = (u64::from(weight), self.total);
            self.total += u64::from(weight);
        }
        self.points.sort_by_key(|(point, _)| *point);
    }

    /// The place of the point nearest to `hash`; the one before if both are as near.
    fn nearest(&self, hash: u32) -> Option<usize> {
        let count = self.points.len();
        let next = self.points.partition_point(|(point, _)| *point < hash).checked_rem(count)?;
        let before = (next + count - 1) % count;
        let back = hash.wrapping_sub(self.points[before].0);
        let ahead = self.points[next].0.wrapping_sub(hash);
        Some(if back <= ahead { before } else { next })
    }

    /// `chash_get_server_hash`: on from the nearest point past the one to be avoided and, with a
    /// bound, past those who have their share.
    pub(super) fn pick_by(&self, hash: u32, peers: &Peers, judge: Judge<'_>) -> Option<PeerId> {
        let first = self.nearest(hash)?;
        let count = self.points.len();
        let may = |id: PeerId| {
            let Some(peer) = peers.get(id) else { return false };
            let willing = match judge {
                Judge::Server { avoid, .. } => avoid != Some(id),
                Judge::Eligible(_) => judge.of(peer) == Verdict::Take,
            };
            willing && (self.factor == 0 || self.has_share(peer))
        };
        let mut walk = (0..count).map(|step| self.points[(first + step) % count].1);
        let found = walk.find(|id| may(*id));
        match judge {
            Judge::Server { .. } => found.or(Some(self.points[first].1)),
            Judge::Eligible(_) => found.or_else(|| self.anybody(peers, judge)),
        }
    }

    /// Where the bound leaves nobody who may serve, whoever may.
    fn anybody(&self, peers: &Peers, judge: Judge<'_>) -> Option<PeerId> {
        let may = |id: &PeerId| peers.get(*id).is_some_and(|p| judge.of(p) == Verdict::Take);
        self.points.iter().map(|(_, id)| *id).find(may)
    }

    /// `chash_server_is_eligible`: slots for one request more than there are, times the factor,
    /// shared out by weight, the rest by cumulative weight, and at least one.
    fn has_share(&self, peer: &Peer) -> bool {
        let (weight, before) = self.weights.get(peer.id().index()).copied().unwrap_or((0, 0));
        let slots = ((self.served + 1) * self.factor).div_ceil(100);
        let (each, rest) = (slots / self.total, slots % self.total);
        let share = (before + weight) * rest / self.total - before * rest / self.total;
        u64::from(peer.served()) < (weight * each + share).max(1)
    }

    /// `chash_get_next_server`: for requests without a key, point after point.
    pub(super) fn pick_next(&mut self, peers: &Peers, judge: Judge<'_>) -> Option<PeerId> {
        let count = self.points.len();
        let from = self.last.map_or(0, |last| last + 1);
        let mut avoided = None;
        for step in 0..count {
            let place = (from + step) % count;
            let id = self.points[place].1;
            match peers.get(id).map_or(Verdict::Skip, |peer| judge.of(peer)) {
                Verdict::Take => {
                    self.last = Some(place);
                    return Some(id);
                }
                Verdict::Avoid => avoided = Some((id, place)),
                Verdict::Skip => {}
            }
        }
        let (id, place) = avoided?;
        self.last = Some(place);
        Some(id)
    }

    /// `get_server_rnd` in `src/backend.c`: of `draws` points drawn, the later unless it has more
    /// in flight by weight. Under HAProxy's rules a winner that is full is no winner.
    pub(super) fn draw(
        &self,
        peers: &Peers,
        judge: Judge<'_>,
        draws: u32,
        draw: &mut Draw,
    ) -> Option<PeerId> {
        let mut best: Option<&Peer> = None;
        for _ in 0..draws.max(1) {
            let hash = (draw.word() >> 32) as u32;
            let drawn = peers.get(self.pick_by(hash, peers, judge)?)?;
            best = match best {
                Some(best) if is_busier(drawn, best) => Some(best),
                _ => Some(drawn),
            };
        }
        let room = |peer: &&Peer| !matches!(judge, Judge::Server { .. }) || !peer.lacks_room(0);
        best.filter(room).map(Peer::id)
    }
}

fn is_busier(one: &Peer, other: &Peer) -> bool {
    let load = |peer: &Peer, by: &Peer| u64::from(peer.served()) * u64::from(effective(by));
    load(one, other) > load(other, one)
}
