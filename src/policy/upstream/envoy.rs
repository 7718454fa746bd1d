//! The machine under Envoy's rules: the way of a request from priority to host to connection, what
//! follows a failed attempt, and when picks learn of changes.

use super::{
    Admission, Attempt, Balancer, Event, Nanos, Next, Outcome, PeerId, Progress, QueueConfig,
    RefusalReason, RequestFacts, Ticket, Upstream, UpstreamConfig, next_number,
};
use crate::policy::connections::Room;
use crate::policy::envoy::{Envoy, as_host, refusal, resilience};
use crate::policy::group::Pick;
use crate::policy::limit::Waiter;
use crate::policy::peer::Peer;
use crate::policy::peers::PeerList;
use crate::policy::retry::status_is_failure;
use crate::policy::rules::EnvoyRules;
use crate::units::{Purpose, Seed, Span};

impl Upstream {
    pub(super) fn envoy(&self) -> Option<&Envoy> {
        self.resilience.as_ref()?.envoy.as_ref()
    }

    pub(super) fn envoy_mut(&mut self) -> Option<&mut Envoy> {
        self.resilience.as_mut()?.envoy.as_mut()
    }

    /// When the balancer stops waiting for the head of `attempt`, whose request was sent at `sent`
    /// and which has `read_timeout`. Envoy has a time-out of its own for the attempt and one for
    /// the whole request, and ends the wait by these.
    #[must_use]
    pub fn waits_until(&self, attempt: &Attempt, sent: Nanos, read_timeout: Span) -> Nanos {
        self.envoy().map_or(sent + read_timeout, |envoy| envoy.attempt_deadline(attempt, sent))
    }

    /// When the whole request of `attempt` has taken too long, also before the attempt has its
    /// connection: only under Envoy's rules, else [`Nanos::MAX`].
    #[must_use]
    pub fn request_ends(&self, attempt: &Attempt) -> Nanos {
        self.envoy().map_or(Nanos::MAX, |envoy| envoy.deadline(attempt.progress.first_started))
    }

    /// The machine under Envoy's rules.
    pub(super) fn under_envoy(
        config: &UpstreamConfig,
        rules: &EnvoyRules,
        seed: Seed,
        balancer: Balancer,
    ) -> Self {
        let max_conns: Vec<u32> = config.peers.iter().map(|peer| peer.max_conns).collect();
        let hosts = UpstreamConfig {
            peers: config.peers.iter().cloned().map(as_host).collect(),
            queue: QueueConfig::default(),
            resilience: resilience(&config.resilience, rules),
            ..config.clone()
        };
        let envoy = Envoy::new(rules, config.resilience.panic);
        let mut upstream = Self::build(&hosts, Some(envoy), seed, balancer);
        upstream.begin_as_envoy(&max_conns);
        upstream
    }

    /// The group at its start: Envoy serves once it has checked its hosts for the first time.
    fn begin_as_envoy(&mut self, max_conns: &[u32]) {
        self.group.peers.be_late();
        for (id, limit) in (0..).map(PeerId).zip(max_conns) {
            self.limit_connections(id, *limit);
            if self.checks.is_some() {
                self.group.peers.change(id, |peer| peer.await_check(false));
            }
            if self.peer(id).is_some_and(|peer| !peer.is_removed()) {
                self.group.peers.begin_slow_start(id, Nanos::ZERO);
            }
        }
        for list in [PeerList::Primaries, PeerList::Backups] {
            self.tell(Nanos::ZERO, list);
        }
    }

    pub(super) fn limit_connections(&mut self, id: PeerId, limit: u32) {
        if let Some(envoy) = self.envoy_mut() {
            envoy.connections.limit(id, limit);
        }
    }

    /// A peer was added: it is unhealthy until it has passed a check, if there are any.
    pub(super) fn added_as_envoy(&mut self, now: Nanos, id: PeerId) {
        if self.checks.is_some() {
            self.group.peers.change(id, |peer| peer.await_check(true));
        } else {
            self.group.peers.begin_slow_start(id, now);
        }
    }

    pub(super) fn admit_as_envoy(&mut self, now: Nanos, facts: &RequestFacts) -> Admission {
        let Some(envoy) = self.envoy_mut() else {
            return Admission::Refused(refusal(RefusalReason::NoLiveUpstream));
        };
        envoy.used = true;
        let progress = Progress { first_started: now, ..Progress::new(envoy.tries()) };
        self.send(now, facts, 1, progress, None)
    }

    /// Chooses a host (`chooseHost` in `source/extensions/load_balancing_policies/common/
    /// load_balancer_impl.cc` and `thread_aware_lb_impl.cc`): the priority by a random word or the
    /// request's hash, the host in it by the algorithm; again if that was tried and is not to be.
    fn choose(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        tried: &[PeerId],
    ) -> Option<Pick> {
        let envoy = self.envoy()?;
        let first = envoy.shares.first;
        let retry = envoy.rules.retry.as_ref().filter(|retry| retry.previous_hosts);
        let again = retry
            .map_or(0, |retry| if tried.is_empty() { 0 } else { retry.host_selection_attempts });
        let mut chosen = None;
        for round in 0..=again {
            let sub = number.wrapping_add((round as u16) << 12);
            let mut draw = self.group.seed.draw(Purpose::Pick, facts.id, sub);
            let hash = if facts.key == 0 { draw.word() } else { facts.key };
            let on_backups = hash % 100 >= first;
            let list = if on_backups { PeerList::Backups } else { PeerList::Primaries };
            let peer = self.group.pick_from(
                now,
                list,
                &RequestFacts { key: hash, ..*facts },
                round,
                draw,
            )?;
            chosen = Some(Pick { peer, draws: 0, on_backups });
            if !tried.contains(&peer) {
                break;
            }
        }
        chosen
    }

    /// Sends a request to a host that is to be chosen, or lets it wait there for a connection.
    fn send(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        progress: Progress,
        ticket: Option<Ticket>,
    ) -> Admission {
        let Some(pick) = self.choose(now, facts, number, &progress.tried) else {
            return Admission::Refused(refusal(RefusalReason::NoLiveUpstream));
        };
        let active = self.peer(pick.peer).map_or(0, Peer::in_flight);
        let all = self.group.peers.in_flight();
        let next_ticket = ticket.unwrap_or_else(|| self.line.next_ticket());
        let Some(envoy) = self.envoy_mut() else {
            return Admission::Refused(refusal(RefusalReason::NoLiveUpstream));
        };
        let progress = Progress { on_backups: pick.on_backups, ..progress };
        match envoy.connections.ask(pick.peer, active, all) {
            Room::Free => {
                Admission::Go(self.group.begin_at(now, facts, number, pick.peer, progress))
            }
            Room::Overflow => Admission::Refused(refusal(RefusalReason::QueueFull)),
            Room::Pending => {
                let deadline = envoy.deadline(progress.first_started);
                let ticket = next_ticket;
                let waiter = Waiter { ticket, facts: *facts, number, progress, deadline };
                envoy.connections.wait(pick.peer, waiter);
                Admission::Wait(ticket)
            }
        }
    }

    /// An attempt ended and gives its connection to one that waits for it.
    pub(super) fn end_as_envoy(&mut self, now: Nanos, attempt: &Attempt, failed: bool) {
        let peer = attempt.peer;
        let _no_counts_of_failures = self.group.end(now, attempt, failed);
        let active = self.peer(peer).map_or(0, Peer::in_flight);
        if let Some(envoy) = self.envoy_mut() {
            envoy.connections.release(peer, active);
        }
        while let Some(waiter) = self.next_pending(peer) {
            let Waiter { ticket, facts, number, progress, .. } = waiter;
            let all = self.group.peers.in_flight();
            let most = self.envoy().map_or(0, |envoy| envoy.rules.circuit_breakers.max_requests);
            if all < u64::from(most) {
                let attempt = self.group.begin_at(now, &facts, number, peer, progress);
                self.events.push_back(Event::Turn(ticket, attempt));
            } else {
                self.turn_away(ticket, number, RefusalReason::QueueFull);
            }
        }
    }

    fn next_pending(&mut self, peer: PeerId) -> Option<Waiter> {
        let active = self.peer(peer).map_or(0, Peer::in_flight);
        self.envoy_mut()?.connections.next(peer, active)
    }

    /// One who waited gets no turn.
    fn turn_away(&mut self, ticket: Ticket, number: u16, reason: RefusalReason) {
        if number > 1 {
            self.retry_over();
        }
        self.events.push_back(Event::Expired(ticket, refusal(reason)));
    }

    /// The connection of a request in flight at `peer` will not outlast it.
    pub(super) fn doom_connection(&mut self, peer: PeerId) {
        if let Some(envoy) = self.envoy_mut() {
            envoy.connections.doom(peer);
        }
    }

    /// `peer` left: its idle connections close, and those in use when their requests end
    /// (`ClusterManagerImpl::drainConnPools` in `source/common/upstream/cluster_manager_impl.cc`).
    pub(super) fn close_connections(&mut self, peer: PeerId) {
        let active = self.peer(peer).map_or(0, Peer::in_flight);
        if let Some(envoy) = self.envoy_mut() {
            envoy.connections.drain(peer, active);
            envoy.connections.doom_all(peer);
        }
    }

    /// A response with `status` is thrown away for another attempt.
    pub(super) fn bad_status_as_envoy(
        &mut self,
        now: Nanos,
        attempt: Attempt,
        status: u16,
    ) -> Next {
        self.end(now, &attempt, status_is_failure(status));
        self.go_on_as_envoy(now, attempt)
    }

    /// An attempt broke; what follows.
    pub(super) fn broke_as_envoy(
        &mut self,
        now: Nanos,
        attempt: Attempt,
        outcome: Outcome,
    ) -> Next {
        self.watch_outcome(now, &attempt, outcome);
        self.doom_connection(attempt.peer);
        let listed =
            self.envoy().is_some_and(|envoy| envoy.retries_outcome(&attempt, outcome, now));
        let again = listed && self.may_retry(now, &attempt.facts);
        self.end(now, &attempt, true);
        if again {
            return self.go_on_as_envoy(now, attempt);
        }
        let after = self.envoy().map(|envoy| envoy.refusal_after(&attempt, outcome, now));
        Next::Refused(after.unwrap_or(refusal(RefusalReason::AttemptFailed)))
    }

    fn go_on_as_envoy(&mut self, now: Nanos, attempt: Attempt) -> Next {
        let number = next_number(&attempt);
        let Attempt { facts, peer, mut progress, .. } = attempt;
        progress.tries = progress.tries.saturating_sub(1);
        if !progress.tried.contains(&peer) {
            progress.tried.push(peer);
        }
        let progress = match self.pause(now, &facts, number, progress) {
            Ok(ticket) => return Next::Wait(ticket),
            Err(progress) => progress,
        };
        match self.send(now, &facts, number, progress, None) {
            Admission::Go(attempt) => Next::Retry(attempt),
            Admission::Wait(ticket) => Next::Wait(ticket),
            Admission::Refused(refusal) => {
                self.retry_over();
                Next::Refused(refusal)
            }
        }
    }

    /// The pause before a retry is over, or the time of the whole request.
    pub(super) fn resume_as_envoy(&mut self, now: Nanos, waiter: Waiter) {
        let Waiter { ticket, facts, number, progress, .. } = waiter;
        let ends = self.envoy().map_or(Nanos::MAX, |envoy| envoy.deadline(progress.first_started));
        if now >= ends {
            return self.turn_away(ticket, number, RefusalReason::AttemptTimedOut);
        }
        match self.send(now, &facts, number, progress, Some(ticket)) {
            Admission::Go(attempt) => self.events.push_back(Event::Turn(ticket, attempt)),
            Admission::Wait(_) => {}
            Admission::Refused(refusal) => {
                self.retry_over();
                self.events.push_back(Event::Expired(ticket, refusal));
            }
        }
    }

    /// Ends waits that took too long, and tells picks what they are to know by now.
    pub(super) fn let_envoy_pass(&mut self, now: Nanos) {
        while let Some(waiter) = self.envoy_mut().and_then(|envoy| envoy.connections.expire(now)) {
            self.turn_away(waiter.ticket, waiter.number, RefusalReason::AttemptTimedOut);
        }
        while let Some(list) = self.envoy_mut().and_then(|envoy| envoy.merge.take_due(now)) {
            self.tell(now, list);
        }
    }

    /// The health or the weight of a peer changed: picks learn of it now or later.
    pub(super) fn turned(&mut self, now: Nanos, id: PeerId) {
        let Some(peer) = self.peer(id) else { return };
        let (active, list, healthy) = (peer.in_flight(), list_of(peer), peer.is_healthy());
        let Some(envoy) = self.envoy_mut() else { return };
        if !healthy {
            envoy.connections.drain(id, active);
        }
        if envoy.merge.changed(now, list) {
            self.tell(now, list);
        }
    }

    /// A peer came, went or was changed by an operator: picks learn of it at once.
    pub(super) fn group_changed(&mut self, now: Nanos, id: PeerId) {
        match (self.peer(id).map(list_of), self.envoy_mut()) {
            (Some(list), Some(envoy)) => {
                envoy.merge.told(now, list);
                self.tell(now, list);
            }
            _ => self.peers_changed(now),
        }
    }

    fn tell(&mut self, now: Nanos, list: PeerList) {
        let peers = &mut self.group.peers;
        peers.tell(list);
        let hosts = [PeerList::Primaries, PeerList::Backups].map(|list| peers.hosts(list));
        let Some(envoy) = self.resilience.as_mut().and_then(|r| r.envoy.as_mut()) else { return };
        if let Some(begins) = envoy.divide(hosts) {
            self.events.push_back(Event::Panic(begins));
        }
        let [first, second] = envoy.shares.panic;
        peers.panic(PeerList::Primaries, first);
        peers.panic(PeerList::Backups, second);
        self.group.peers_changed(now);
    }
}

const fn list_of(peer: &Peer) -> PeerList {
    if peer.config.backup { PeerList::Backups } else { PeerList::Primaries }
}
