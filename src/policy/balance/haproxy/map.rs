//! A map of slots, each of which belongs to a server (`src/lb_map.c`): for `static-rr` in turn, and
//! for hashes by remainder. Weights are divided by their greatest common divisor.

use super::{Judge, Verdict};
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::{Peers, greatest_common_divisor};

/// The slots.
#[derive(Debug, Default)]
pub(super) struct SlotMap {
    slots: Vec<PeerId>,
    next: usize,
}

impl SlotMap {
    /// `init_server_map` and `recalc_server_map`: for each slot every usable server's score grows
    /// by its weight, and the first with the highest, in multiples of the total, takes it.
    pub(super) fn rebuild<'a>(&mut self, members: impl Iterator<Item = &'a Peer> + Clone) {
        let divisor = members.clone().map(Peer::weight).fold(0, greatest_common_divisor).max(1);
        let mut scores: Vec<(PeerId, i64, i64)> = members
            .filter(|peer| peer.is_usable())
            .map(|peer| (peer.id(), i64::from(peer.weight().div_ceil(divisor)), 0))
            .collect();
        let total: i64 = scores.iter().map(|(_, weight, _)| weight).sum();
        self.slots.clear();
        for _ in 0..total {
            let (mut best, mut highest) = (0, i64::MIN);
            for (place, (_, weight, score)) in scores.iter_mut().enumerate() {
                *score += *weight;
                let multiple = (*score + total) / total;
                if multiple > highest {
                    (best, highest) = (place, multiple);
                }
            }
            scores[best].2 -= total;
            self.slots.push(scores[best].0);
        }
    }

    /// `map_get_server_hash`. Under other rules than HAProxy's, the next that may serve.
    pub(super) fn pick_by(&self, hash: u32, peers: &Peers, judge: Judge<'_>) -> Option<PeerId> {
        let first = (hash as usize).checked_rem(self.slots.len())?;
        if matches!(judge, Judge::Server { .. }) {
            return self.slots.get(first).copied();
        }
        let may = |id: &PeerId| peers.get(*id).is_some_and(|p| judge.of(p) == Verdict::Take);
        self.slots[first..].iter().chain(&self.slots[..first]).copied().find(may)
    }

    /// `map_get_server_rr`.
    pub(super) fn pick_next(&mut self, peers: &Peers, judge: Judge<'_>) -> Option<PeerId> {
        let from = self.next.checked_rem(self.slots.len())?;
        let mut avoided = None;
        for step in 0..self.slots.len() {
            let place = (from + step) % self.slots.len();
            let id = self.slots[place];
            match peers.get(id).map_or(Verdict::Skip, |peer| judge.of(peer)) {
                Verdict::Take => {
                    self.next = place + 1;
                    return Some(id);
                }
                Verdict::Avoid => avoided = Some((id, place + 1)),
                Verdict::Skip => {}
            }
        }
        let (id, next) = avoided?;
        self.next = next;
        Some(id)
    }
}
