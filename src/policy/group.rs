//! Peers and balancer joined: a pick, and the end of one, with everything that goes with it.

use super::attempt::{Attempt, FirstAttempt, Progress, RequestFacts, SoFar};
use super::balance::haproxy::{HaproxyAlgorithm, Judge};
use super::balance::{Ask, Balancer, pick_at_sight};
use super::load_report::LoadReport;
use super::peer::{Peer, PeerId};
use super::peers::{Effect, PeerList, Peers};
use super::ranking::Order;
use crate::units::{Draw, Nanos, Purpose, Seed};

/// Peers and balancer.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) peers: Peers,
    balancer: Balancer,
    /// See [`Balancer::order`].
    order: Option<Order>,
    pub(super) seed: Seed,
}

/// A peer chosen for a request, and how far the choice has brought it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pick {
    pub(super) peer: PeerId,
    pub(super) draws: u8,
    pub(super) on_backups: bool,
}

impl Group {
    pub(super) fn new(mut peers: Peers, mut balancer: Balancer, seed: Seed) -> Self {
        balancer.peers_changed(&peers, Nanos::ZERO);
        let order = balancer.order();
        if order.is_none() {
            peers.leave_loads_out();
        }
        Self { peers, order, balancer, seed }
    }

    /// Picks a primary for the first attempt of a request, if that can be told at sight. `None` settles
    /// nothing: [`Self::pick`] must be asked.
    #[inline(always)]
    pub(super) fn pick_at_sight(&mut self, now: Nanos) -> Option<PeerId> {
        self.peers.reopen(now);
        pick_at_sight(self.order?, &mut self.peers)
    }

    /// Begins the first attempt of a request, which has `tries` of them, at a peer that was picked at
    /// sight.
    #[inline(always)]
    pub(super) fn begin_at_sight(&mut self, now: Nanos, peer: PeerId, tries: u32) -> FirstAttempt {
        self.peers.assign(peer, now);
        FirstAttempt::at_sight(peer, tries)
    }

    /// Tells `see` of the peers at which the first pick for request `id` looks first, if they are known
    /// beforehand.
    #[inline]
    pub(super) fn foresee(&self, id: u64, see: impl FnMut(PeerId, &Peer)) {
        self.balancer.foresee(&self.peers, self.seed.draw(Purpose::Pick, id, 1), see);
    }

    pub(super) const fn foresees(&self) -> bool {
        self.balancer.foresees()
    }

    /// Picks a peer for attempt `number`; `None` if none is eligible, and then nothing changes.
    #[inline]
    pub(super) fn pick(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        so_far: SoFar<'_>,
    ) -> Option<Pick> {
        self.peers.reopen(now);
        if so_far.on_backups {
            return self.pick_backup(now, facts, number, so_far);
        }
        let mut draws = so_far.draws;
        let ask = Ask { list: PeerList::Primaries, tried: so_far.tried, now };
        let draw = self.seed.draw(Purpose::Pick, facts.id, number);
        match self.balancer.pick(&mut self.peers, ask, facts, &mut draws, draw) {
            Some(peer) => Some(Pick { peer, draws, on_backups: false }),
            None => self.pick_backup(now, facts, number, so_far),
        }
    }

    /// When no primary is eligible the request moves on to the backups, for good and with a clean
    /// sheet (`failed:` in `ngx_http_upstream_get_round_robin_peer`).
    #[cold]
    fn pick_backup(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        so_far: SoFar<'_>,
    ) -> Option<Pick> {
        if !self.peers.may_use_backups(so_far, now) {
            return None;
        }
        let mut draws = so_far.draws;
        let draw = self.seed.draw(Purpose::Pick, facts.id, number);
        let tried = if so_far.on_backups { so_far.tried } else { SoFar::NOWHERE.tried };
        let ask = Ask { list: PeerList::Backups, tried, now };
        let peer = self.balancer.pick(&mut self.peers, ask, facts, &mut draws, draw)?;
        Some(Pick { peer, draws, on_backups: true })
    }

    /// Begins the first attempt of a request, which has `tries` of them.
    #[inline(always)]
    pub(super) fn begin_first(&mut self, now: Nanos, pick: Pick, tries: u32) -> FirstAttempt {
        self.assign(now, pick.peer);
        FirstAttempt::new(pick, tries)
    }

    /// Begins attempt `number` at a peer that was picked.
    pub(super) fn begin(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        pick: Pick,
        mut progress: Progress,
    ) -> Attempt {
        if number == 1 {
            return self.begin_first(now, pick, progress.tries).whole(*facts, now);
        }
        self.assign(now, pick.peer);
        if pick.on_backups && !progress.on_backups {
            progress.tried.clear();
        }
        progress.draws = pick.draws;
        progress.on_backups = pick.on_backups;
        Attempt { facts: *facts, number, peer: pick.peer, started: now, repeatable: true, progress }
    }

    /// Begins attempt `number` at `peer`, where the request has kept its place since the last, or
    /// which has grabbed it.
    pub(super) const fn begin_again(
        now: Nanos,
        facts: RequestFacts,
        number: u16,
        peer: PeerId,
        progress: Progress,
    ) -> Attempt {
        Attempt { facts, number, peer, started: now, repeatable: true, progress }
    }

    /// Picks a peer of one list, whatever was tried; `round` counts the picks for one attempt.
    pub(super) fn pick_from(
        &mut self,
        now: Nanos,
        list: PeerList,
        facts: &RequestFacts,
        round: u32,
        draw: Draw,
    ) -> Option<PeerId> {
        self.peers.reopen(now);
        let ask = Ask { list, tried: SoFar::NOWHERE.tried, now };
        let mut rounds = u8::try_from(round).unwrap_or(u8::MAX);
        self.balancer.pick(&mut self.peers, ask, facts, &mut rounds, draw)
    }

    /// Begins an attempt at a peer that was chosen, with its progress as it is.
    pub(super) fn begin_at(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        peer: PeerId,
        progress: Progress,
    ) -> Attempt {
        self.assign(now, peer);
        Attempt { facts: *facts, number, peer, started: now, repeatable: true, progress }
    }

    /// Chooses by HAProxy's rules: `avoid` has just failed and is taken only if there is no other;
    /// `room` may be in flight or wait above the limit of a server, where the algorithm looks at
    /// limits at all.
    pub(super) fn pick_server(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        list: PeerList,
        (avoid, room): (Option<PeerId>, u32),
    ) -> Option<PeerId> {
        let draw = self.seed.draw(Purpose::Pick, facts.id, number);
        if let Balancer::Haproxy(balancer) = &mut self.balancer {
            let judge = Judge::Server { avoid, room };
            return balancer.pick(&self.peers, list, judge, facts.key, draw);
        }
        let mut pick = |tried: &[PeerId]| {
            let ask = Ask { list, tried, now };
            self.balancer.pick(&mut self.peers, ask, facts, &mut 0, draw.clone())
        };
        pick(avoid.as_slice()).or_else(|| pick(&[]))
    }

    /// HAProxy's algorithm, if it is one.
    pub(super) fn haproxy_algorithm(&self) -> Option<HaproxyAlgorithm> {
        match &self.balancer {
            Balancer::Haproxy(balancer) => Some(balancer.algorithm()),
            _ => None,
        }
    }

    #[inline(always)]
    fn assign(&mut self, now: Nanos, peer: PeerId) {
        self.peers.assign(peer, now);
        if self.order.is_none() {
            self.balancer.started(&self.peers, peer, now);
        }
    }

    /// Ends an attempt (`ngx_http_upstream_free_round_robin_peer`).
    #[inline]
    pub(super) fn end(&mut self, now: Nanos, attempt: &Attempt, failed: bool) -> Effect {
        self.end_at(now, attempt.peer, attempt.started, failed)
    }

    /// Ends an attempt at `peer` that began at `started`.
    #[inline(always)]
    pub(super) fn end_at(
        &mut self,
        now: Nanos,
        peer: PeerId,
        started: Nanos,
        failed: bool,
    ) -> Effect {
        let effect = self.peers.release(peer, now, failed);
        if self.order.is_none() {
            let took = now.since(started);
            self.balancer.finished(&self.peers, peer, now, took, failed);
        }
        effect
    }

    /// Ends an attempt that says nothing about its peer.
    pub(super) fn withdraw(&mut self, now: Nanos, attempt: &Attempt) {
        self.peers.withdraw(attempt.peer);
        let took = now.since(attempt.started);
        self.balancer.finished(&self.peers, attempt.peer, now, took, false);
    }

    /// What is left to a request after `attempt`. In a group of one there is no other to try, and
    /// nothing is marked as tried.
    pub(super) fn after(&self, attempt: Attempt) -> Progress {
        let Attempt { mut progress, peer, .. } = attempt;
        if self.peers.is_single() {
            progress.tries = 0;
        } else {
            progress.tries = progress.tries.saturating_sub(1);
            progress.tried.push(peer);
        }
        progress
    }

    /// Tells the balancer that peers came, went, or changed weight or health.
    pub(super) fn peers_changed(&mut self, now: Nanos) {
        self.balancer.peers_changed(&self.peers, now);
    }

    /// Tells it that a number has passed from a peer that left to a new one.
    pub(super) fn forget(&mut self, now: Nanos, peer: PeerId) {
        let active = self.peers.get(peer).map_or(0, Peer::in_flight);
        self.balancer.forget(peer, active, now);
    }

    /// Whether the balancer asks peers for their load.
    #[inline]
    pub(super) const fn probes_load(&self) -> bool {
        self.balancer.probes_load()
    }

    /// The next peer to be asked for its load.
    pub(super) fn next_load_probe(&mut self) -> Option<PeerId> {
        self.balancer.next_probe()
    }

    /// When the balancer wants to be woken.
    pub(super) fn next_timeout(&self) -> Option<Nanos> {
        self.balancer.next_timeout()
    }

    pub(super) fn handle_timeout(&mut self, now: Nanos) {
        self.balancer.handle_timeout(&self.peers, now);
    }

    /// The answer of a load probe.
    pub(super) fn load_reported(&mut self, now: Nanos, peer: PeerId, load: LoadReport) {
        if self.peers.get(peer).is_some_and(|peer| !peer.is_removed()) {
            self.balancer.load_reported(peer, load, now);
        }
    }

    /// Whether a request finds no peer only since all that would do are at their limits.
    pub(super) fn is_full_for(&self, progress: &Progress, now: Nanos) -> bool {
        let full = |list, tried| {
            self.peers.list(list).iter().any(|id| self.peers.only_full(*id, tried, now))
        };
        if progress.on_backups {
            full(PeerList::Backups, &progress.tried)
        } else {
            full(PeerList::Primaries, &progress.tried)
                || full(PeerList::Backups, SoFar::NOWHERE.tried)
        }
    }

    /// The first instant after `after` at which a peer that is out by failures may be tested.
    pub(super) fn next_test_after(&self, after: Nanos) -> Option<Nanos> {
        let members = |list| self.peers.list(list).iter().filter_map(|id| self.peers.get(*id));
        members(PeerList::Primaries)
            .chain(members(PeerList::Backups))
            .filter_map(Peer::tested_from)
            .filter(|at| *at > after)
            .min()
    }
}
