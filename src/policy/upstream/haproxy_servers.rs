//! Servers by HAProxy's rules: their health, what a change of it does to those who wait, and slow
//! starts (`src/check.c`, `src/server.c`, `src/queue.c` of HAProxy 2.6).

use super::{Attempt, Event, Nanos, Peer, PeerChange, PeerId, Upstream, UpstreamConfig};
use crate::policy::HaproxyAlgorithm;
use crate::policy::attempt::Seat;
use crate::policy::group::Group;
use crate::policy::haproxy::checks::Sign;
use crate::policy::limit::Waiter;

impl Upstream {
    /// Under HAProxy's rules a server of weight 0 gets no new requests.
    pub(super) fn drain_weightless(&mut self, config: &UpstreamConfig) {
        if !self.is_haproxy() {
            return;
        }
        for (place, peer) in config.peers.iter().enumerate() {
            if peer.weight == 0 && !peer.absent {
                self.weightless(PeerId(place as u32));
            }
        }
        self.peers_changed(Nanos::ZERO);
    }

    fn weightless(&mut self, id: PeerId) {
        self.group.peers.change(id, |peer| peer.drain(true));
        if let Some(backend) = self.haproxy_mut()
            && !backend.weightless.contains(&id)
        {
            backend.weightless.push(id);
        }
    }

    /// A change of weight to 0 drains under HAProxy's rules, and one from 0 resumes.
    pub(super) fn translated(&mut self, change: PeerChange) -> PeerChange {
        let PeerChange::Weight(id, weight) = change else { return change };
        if !self.is_haproxy() {
            return change;
        }
        if weight == 0 {
            self.weightless(id);
            return PeerChange::Drain(id);
        }
        let before = self.haproxy().map_or(0, |backend| backend.weightless.len());
        if let Some(backend) = self.haproxy_mut() {
            backend.weightless.retain(|other| *other != id);
            if backend.weightless.len() < before {
                self.group.peers.change(id, |peer| peer.drain(false));
            }
        }
        change
    }

    /// Peers came, went, or changed weight or health.
    #[cold]
    pub(super) fn peers_changed(&mut self, now: Nanos) {
        if !self.is_haproxy() {
            return self.group.peers_changed(now);
        }
        let usable: Vec<bool> = self.group.peers.iter().map(Peer::is_usable).collect();
        let before = self
            .haproxy_mut()
            .map(|backend| std::mem::replace(&mut backend.usable, usable.clone()))
            .unwrap_or_default();
        let was = |place: usize| before.get(place).copied().unwrap_or(false);
        let turned = |up: bool| {
            let usable = &usable;
            (0..usable.len())
                .filter(move |place| usable[*place] == up && was(*place) != up)
                .map(|place| PeerId(place as u32))
        };
        for id in turned(true) {
            self.begin_warm_up(now, id);
        }
        self.group.peers_changed(now);
        if let Some(resilience) = &mut self.resilience
            && let Some(backend) = &mut resilience.haproxy
        {
            backend.recount(&self.group.peers);
        }
        for id in turned(false) {
            self.went_down(now, id);
        }
        for id in turned(true) {
            self.grab(now, id);
        }
    }

    fn begin_warm_up(&mut self, now: Nanos, id: PeerId) {
        let weighs = self.group.haproxy_algorithm().is_some_and(HaproxyAlgorithm::is_dynamic);
        if let Some(backend) = self.resilience.as_mut().and_then(|r| r.haproxy.as_mut()) {
            backend.warm_up.begin(now, &mut self.group.peers, id, weighs);
        }
    }

    /// `pendconn_redistribute`: with `option redispatch` those who wait for a server that went down
    /// are sent elsewhere. Those of one that left the group must be.
    fn went_down(&mut self, now: Nanos, id: PeerId) {
        let gone = self.group.peers.get(id).is_none_or(Peer::is_removed);
        let Some(backend) = self.resilience.as_mut().and_then(|r| r.haproxy.as_mut()) else {
            return;
        };
        backend.warm_up.end(&mut self.group.peers, id);
        if backend.rules.redispatch || gone {
            while let Some(waiter) = self.haproxy_mut().and_then(|b| b.queues.take_bound(id)) {
                self.send_elsewhere(now, id, waiter);
            }
        }
    }

    /// `pendconn_grab_from_px`: a server that came back takes of those who wait for any, as many as
    /// it may have. It does not count them, so that it may have more than its limit afterwards.
    fn grab(&mut self, now: Nanos, id: PeerId) {
        for taken in 0.. {
            let Some(peer) = self.group.peers.get(id) else { return };
            let Some(backend) = self.haproxy() else { return };
            if !peer.may_serve(taken + 1) || !backend.serves_all(peer) {
                return;
            }
            let waiter = self.haproxy_mut().and_then(|backend| backend.queues.take_unbound());
            let Some(Waiter { ticket, facts, number, mut progress, .. }) = waiter else { return };
            self.group.peers.adjust(id, Peer::grab);
            progress.seat = Seat::Grabbed;
            let attempt = Group::begin_again(now, facts, number, id, progress);
            self.events.push_back(Event::Turn(ticket, attempt));
        }
    }

    /// A health check ended.
    pub(super) fn checked_by_haproxy(&mut self, now: Nanos, id: PeerId, passed: bool) {
        let checks = self.haproxy_mut().and_then(|backend| backend.checks.as_mut());
        if let Some(up) = checks.and_then(|checks| checks.checked(now, id, passed)) {
            let reason = if passed { "health checks passed" } else { "health checks failed" };
            self.health_is(now, id, up, reason);
        }
    }

    /// What a request said of its server.
    pub(super) fn observe_server(&mut self, now: Nanos, id: PeerId, sign: Sign) {
        let checks = self.haproxy_mut().and_then(|backend| backend.checks.as_mut());
        if let Some(up) = checks.and_then(|checks| checks.observed(now, id, sign)) {
            self.health_is(now, id, up, "too many failed requests");
        }
    }

    /// A response head came. One that is thrown away for a retry says nothing.
    pub(super) fn watch_server(&mut self, now: Nanos, attempt: &Attempt, status: u16) {
        if !self.is_haproxy() || self.retry.acts_on_status(attempt, status, now) {
            return;
        }
        let good = status < 500 || matches!(status, 501 | 505);
        let sign = if good { Sign::GoodResponse } else { Sign::BadResponse };
        self.observe_server(now, attempt.peer, sign);
    }

    fn health_is(&mut self, now: Nanos, id: PeerId, up: bool, reason: &'static str) {
        let turns = self.peer(id).is_some_and(|peer| peer.passes_checks() != up);
        if turns && self.group.peers.checked(id, up, 1, 1) {
            self.report(now, id, reason);
            self.peers_changed(now);
        }
    }

    /// What time brings: checks, ends of pauses and of patience, steps of slow starts.
    pub(super) fn let_haproxy_pass(&mut self, now: Nanos) {
        let peers = &mut self.group.peers;
        let Some(backend) = self.resilience.as_mut().and_then(|r| r.haproxy.as_mut()) else {
            return;
        };
        if let Some(checks) = &mut backend.checks
            && checks.next() <= now
        {
            let wanted = |id| peers.get(id).is_some_and(Peer::is_checked);
            let there = |id| peers.get(id).is_some_and(|peer: &Peer| !peer.is_removed());
            let due = checks.take_due(now, peers.count(), there, wanted);
            self.events.extend(due.into_iter().map(Event::ProbeDue));
        }
        if backend.warm_up.next().is_some_and(|next| next <= now) {
            let changed = backend.warm_up.advance(peers, now);
            self.peers_changed(now);
            for id in changed {
                self.grab(now, id);
            }
        }
        self.end_haproxy_pauses(now);
        self.expire_haproxy_queues(now);
    }

    /// Whether a session that is bound to `id` goes there: also while it drains by a weight of 0 or
    /// an operator's word, and also if it has to wait for it.
    pub(super) fn keeps_session(&self, id: PeerId) -> bool {
        self.peer(id).is_some_and(|peer| peer.is_usable() || peer.is_draining())
            && self.peer(id).is_some_and(|peer| peer.is_checked() && peer.passes_checks())
    }
}
