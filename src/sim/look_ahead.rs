//! What will be read soon, as far as it can be known, so that it is at hand by then.

use super::event::Packed;
use super::flights::Found;
use super::observe::Observe;
use super::prefetch::line_of;
use super::world::World;
use crate::policy::{Peer, PeerId};
use crate::record::Sink;

/// So many peers and backends stay in the processor's cache by themselves.
const AT_HAND: usize = 128;

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// Whether it is worth knowing beforehand which peers will be looked at: the balancer can tell, and
    /// there are more than the processor's cache keeps at hand anyway.
    pub(super) fn foresees(&self) -> bool {
        self.fleet.len() > AT_HAND && self.views[0].upstream.foresees()
    }

    /// Has the processor fetch what the picks for these requests will read: of many at once, so that
    /// the memory is waited for once.
    #[inline(never)]
    pub(super) fn foresee(&self, ids: impl Iterator<Item = u64>) {
        for id in ids {
            self.views[self.view_of(id) as usize]
                .upstream
                .foresee(id, |id, peer| self.fetch(id, peer));
        }
    }

    /// Has the processor fetch what a pick reads of a peer, and an arrival of its backend.
    #[inline(always)]
    pub(super) fn fetch(&self, id: PeerId, peer: &Peer) {
        line_of(Some(peer));
        line_of(self.fleet.get(id.index()));
    }

    /// Has the processor fetch what the next answers will read, if there are so many flights that it
    /// may be far away: the peer of the next one, whose slot was fetched before, and the slots of the
    /// candidates for the one after it.
    #[inline(always)]
    pub(super) fn look_ahead(&self) {
        let Some((next, later)) = self.queue.crowd() else { return };
        for (slot, _) in later.filter_map(Packed::flight) {
            self.flights.fetch(slot);
        }
        if let Some((slot, plan)) = next.flight()
            && let Found::Plain(plain) = self.flights.find(slot, plan)
        {
            let upstream = &self.views[plain.view as usize].upstream;
            line_of(upstream.peer(plain.first.peer()));
        }
    }
}
