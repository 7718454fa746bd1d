//! Peers and balancer joined: a pick, and the end of one, with everything that goes with it.

use super::attempt::{Attempt, Progress, RequestFacts};
use super::balance::Balancer;
use super::peer::PeerId;
use super::peers::{PeerList, Peers};
use crate::units::{Draw, Nanos, Purpose, Seed};

/// Peers and balancer.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) peers: Peers,
    balancer: Balancer,
    seed: Seed,
}

/// What the end of an attempt did to its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    None,
    /// A failure was counted.
    Failed,
    /// Earlier failures were forgotten.
    Cleared,
}

impl Group {
    pub(super) fn new(peers: Peers, mut balancer: Balancer, seed: Seed) -> Self {
        balancer.peers_changed(&peers, Nanos::ZERO);
        Self { peers, balancer, seed }
    }

    /// Picks a peer for attempt `number`; `None` if none is eligible, and then nothing changes.
    #[inline]
    pub(super) fn pick(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        progress: &mut Progress,
    ) -> Option<PeerId> {
        let draws = progress.draws;
        let mut draw = self.seed.draw(Purpose::Pick, facts.id, number);
        if !progress.on_backups {
            let Self { peers, balancer, .. } = self;
            let list = PeerList::Primaries;
            let picked = balancer.pick(peers, list, facts, now, progress, &mut draw);
            if picked.is_some() {
                return picked;
            }
        }
        let picked = self.pick_backup(now, facts, progress, &mut draw);
        if picked.is_none() {
            progress.draws = draws;
        }
        picked
    }

    /// When no primary is eligible the request moves on to the backups, for good and with a clean
    /// sheet (`failed:` in `ngx_http_upstream_get_round_robin_peer`).
    #[cold]
    fn pick_backup(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        progress: &mut Progress,
        draw: &mut Draw,
    ) -> Option<PeerId> {
        let Self { peers, balancer, .. } = self;
        if !peers.may_use_backups(progress, now) {
            return None;
        }
        let list = PeerList::Backups;
        if progress.on_backups {
            return balancer.pick(peers, list, facts, now, progress, draw);
        }
        let tried = std::mem::take(&mut progress.tried);
        let picked = balancer.pick(peers, list, facts, now, progress, draw);
        if picked.is_some() {
            progress.on_backups = true;
        } else {
            // It may have to wait, and then a primary would do as well.
            progress.tried = tried;
        }
        picked
    }

    /// Begins an attempt at a peer that was picked.
    #[inline]
    pub(super) fn begin(
        &mut self,
        now: Nanos,
        facts: RequestFacts,
        number: u16,
        peer: PeerId,
        mut progress: Progress,
    ) -> Attempt {
        let single = self.peers.is_single();
        if let Some(picked) = self.peers.get_mut(peer) {
            picked.assign();
            if !single {
                picked.picked(now.whole_seconds());
                progress.tried.insert(peer);
            }
        }
        if number == 1 {
            progress.first_started = now;
        }
        self.balancer.started(&self.peers, peer, now);
        Attempt { facts, number, peer, started: now, progress }
    }

    /// Ends an attempt (`ngx_http_upstream_free_round_robin_peer`).
    #[inline]
    pub(super) fn end(&mut self, now: Nanos, attempt: &mut Attempt, failed: bool) -> Effect {
        let single = self.peers.is_single();
        let mut effect = Effect::None;
        if let Some(peer) = self.peers.get_mut(attempt.peer) {
            peer.release();
            if single {
                // The one peer there is: no other to try, and failures are not counted.
            } else if failed {
                peer.failed(now.whole_seconds());
                effect = Effect::Failed;
            } else if peer.succeeded() {
                effect = Effect::Cleared;
            }
        }
        let progress = &mut attempt.progress;
        progress.tries = if single { 0 } else { progress.tries.saturating_sub(1) };
        let took = now.since(attempt.started);
        self.balancer.finished(&self.peers, attempt.peer, now, took, failed);
        effect
    }

    /// Tells the balancer that peers came, went, or changed weight or health.
    pub(super) fn peers_changed(&mut self, now: Nanos) {
        self.balancer.peers_changed(&self.peers, now);
    }

    /// Whether a request finds no peer only since all that would do are at their limits.
    pub(super) fn is_full_for(&self, progress: &Progress, now: Nanos) -> bool {
        let now_s = now.whole_seconds();
        let clean = Default::default();
        let full = |list, tried| {
            self.peers.list(list).iter().any(|id| self.peers.only_full(*id, tried, now_s))
        };
        if progress.on_backups {
            full(PeerList::Backups, &progress.tried)
        } else {
            full(PeerList::Primaries, &progress.tried) || full(PeerList::Backups, &clean)
        }
    }

    /// The first instant after `after` at which a peer that is out by failures may be tested.
    pub(super) fn next_test_after(&self, after: Nanos) -> Option<Nanos> {
        let members = |list| self.peers.list(list).iter().filter_map(|id| self.peers.get(*id));
        members(PeerList::Primaries)
            .chain(members(PeerList::Backups))
            .filter_map(super::Peer::tested_from)
            .filter(|at| *at > after)
            .min()
    }
}
