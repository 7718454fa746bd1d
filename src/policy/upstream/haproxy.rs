//! The way of a request by HAProxy's rules: where it goes, where it waits, and what follows an
//! attempt that failed (`src/backend.c`, `src/queue.c`, `src/http_ana.c` of HAProxy 2.6).

use super::{
    Admission, Attempt, Event, Nanos, Next, Outcome, Peer, PeerId, Peers, Progress, Refusal,
    RefusalReason, RequestFacts, RetryConfig, Ticket, Upstream, UpstreamConfig, next_number,
};
use crate::policy::RetryConditions;
use crate::policy::attempt::Seat;
use crate::policy::group::Group;
use crate::policy::haproxy::checks::Sign;
use crate::policy::haproxy::{Census, HaproxyBackend, Paused};
use crate::policy::limit::Waiter;
use crate::policy::peers::PeerList;
use crate::policy::rules::haproxy::{HaproxyRules, refusal};
use crate::policy::{HaproxyAlgorithm, Rules};
use crate::units::Span;

/// The retries of the machine, and what it keeps besides, under the rules of `config`.
pub(super) fn build(
    config: &UpstreamConfig,
    peers: &Peers,
) -> (RetryConfig, Option<Box<HaproxyBackend>>) {
    let Rules::Haproxy(rules) = &config.rules else { return (config.retry.clone(), None) };
    let on = RetryConditions {
        statuses: rules.retry_on.statuses.clone(),
        non_idempotent: true,
        ..RetryConditions::default()
    };
    let retry = RetryConfig { on, tries: rules.retries.saturating_add(1), timeout: Span::ZERO };
    let backend = HaproxyBackend::new(rules.clone(), config.health.as_ref(), peers);
    (retry, Some(Box::new(backend)))
}

/// A request on its way to attempt `number`.
struct Traveller {
    facts: RequestFacts,
    number: u16,
    progress: Progress,
    /// If it has waited before.
    ticket: Option<Ticket>,
}

/// Where a request is to go (`assign_server`).
enum Choice {
    Server(PeerId),
    /// All are full.
    AnyServer,
    /// There is none.
    Nobody,
}

impl Upstream {
    pub(super) fn haproxy(&self) -> Option<&HaproxyBackend> {
        self.resilience.as_ref()?.haproxy.as_deref()
    }

    pub(super) fn haproxy_mut(&mut self) -> Option<&mut HaproxyBackend> {
        self.resilience.as_mut()?.haproxy.as_deref_mut()
    }

    pub(super) fn is_haproxy(&self) -> bool {
        self.haproxy().is_some()
    }

    /// A new request, which its session may have bound to a server.
    #[inline(never)]
    pub(super) fn admit_at_haproxy(
        &mut self,
        now: Nanos,
        facts: RequestFacts,
        bound: Option<PeerId>,
    ) -> Admission {
        let mut progress = Progress::new(self.retry.tries);
        progress.first_started = now;
        progress.seat = if bound.is_some() { Seat::Bound } else { Seat::Chosen };
        let choice = match bound {
            Some(server) => Choice::Server(server),
            None => self.choose_server(now, &facts, 1, None),
        };
        match self.send_to_server(
            now,
            Traveller { facts, number: 1, progress, ticket: None },
            choice,
        ) {
            Next::Retry(attempt) => Admission::Go(attempt),
            Next::Wait(ticket) => Admission::Wait(ticket),
            Next::Refused(refusal) => Admission::Refused(refusal),
            Next::Done => Admission::Refused(refusal(None, RefusalReason::NoLiveUpstream)),
        }
    }

    /// `assign_server`.
    fn choose_server(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        avoid: Option<PeerId>,
    ) -> Choice {
        let algorithm = self.group.haproxy_algorithm();
        let Some(backend) = self.haproxy() else { return Choice::Nobody };
        let Census { active, backups, first_backup } = backend.census;
        if active + backups == 0 {
            return Choice::Nobody;
        }
        let in_line = algorithm.is_none_or(HaproxyAlgorithm::stands_in_line);
        if in_line && !backend.queues.backend_is_empty() {
            return Choice::AnyServer;
        }
        let list = if active > 0 {
            PeerList::Primaries
        } else if backend.rules.all_backups {
            PeerList::Backups
        } else {
            return first_backup.map_or(Choice::Nobody, Choice::Server);
        };
        let leastconn = algorithm == Some(HaproxyAlgorithm::LeastConn);
        let room = if leastconn { backend.rules.max_queue } else { 0 };
        let picked = self.group.pick_server(now, facts, number, list, (avoid, room));
        picked.map_or(Choice::AnyServer, Choice::Server)
    }

    /// `assign_server_and_queue`.
    fn send_to_server(&mut self, now: Nanos, traveller: Traveller, choice: Choice) -> Next {
        match choice {
            Choice::Nobody => Next::Refused(refusal(None, RefusalReason::NoLiveUpstream)),
            Choice::AnyServer => Next::Wait(self.join_queue(now, None, traveller)),
            Choice::Server(server) => {
                let peer = self.group.peers.get(server);
                if !peer.is_some_and(|peer| peer.lacks_room(0)) {
                    let Traveller { facts, number, progress, .. } = traveller;
                    let attempt = self.group.begin_at(now, &facts, number, server, progress);
                    return Next::Retry(attempt);
                }
                let most = self.haproxy().map_or(0, |backend| backend.rules.max_queue);
                if most > 0 && peer.is_some_and(|peer| peer.waiting() >= most) {
                    return Next::Refused(refusal(None, RefusalReason::QueueFull));
                }
                Next::Wait(self.join_queue(now, Some(server), traveller))
            }
        }
    }

    /// `pendconn_add`.
    fn join_queue(&mut self, now: Nanos, server: Option<PeerId>, traveller: Traveller) -> Ticket {
        let Traveller { facts, number, progress, ticket } = traveller;
        let ticket = ticket.unwrap_or_else(|| self.line.next_ticket());
        if let Some(id) = server {
            self.group.peers.adjust(id, |peer| peer.wait(true));
        }
        if let Some(backend) = self.haproxy_mut() {
            let longest = backend.rules.queue_timeout;
            let deadline = if longest == Span::ZERO { Nanos::MAX } else { now + longest };
            backend.queues.join(now, server, Waiter { ticket, facts, number, progress, deadline });
        }
        ticket
    }

    /// An attempt ended: its place is free (`process_srv_queue`).
    #[inline(never)]
    pub(super) fn end_at_haproxy(&mut self, now: Nanos, attempt: &Attempt) {
        if attempt.progress.seat == Seat::Grabbed {
            self.group.peers.adjust(attempt.peer, Peer::let_go);
        } else {
            let _ = self.group.end(now, attempt, false);
        }
        // All that is there counts for this, grabbed or not (`may_dequeue_tasks` in
        // `include/haproxy/queue.h`).
        if self.group.peers.get(attempt.peer).is_some_and(|peer| !peer.is_full()) {
            self.serve_queues(now, attempt.peer);
        }
    }

    /// Those who waited take the free places of `server`. One without a limit never has any: nobody
    /// waits for it.
    pub(super) fn serve_queues(&mut self, now: Nanos, server: PeerId) {
        loop {
            let Some(peer) = self.group.peers.get(server) else { return };
            if peer.config.max_conns == 0 || !peer.may_serve(1) {
                return;
            }
            let Some(backend) = self.haproxy() else { return };
            let all = backend.serves_all(peer);
            let taken = self.haproxy_mut().and_then(|b| b.queues.take_for(server, all));
            let Some((waiter, bound)) = taken else { return };
            self.take_turn(now, server, waiter, bound);
        }
    }

    /// A request that waited begins its attempt at `server`.
    pub(super) fn take_turn(&mut self, now: Nanos, server: PeerId, waiter: Waiter, bound: bool) {
        if bound {
            self.group.peers.adjust(server, |peer| peer.wait(false));
        }
        let Waiter { ticket, facts, number, progress, .. } = waiter;
        let attempt = self.group.begin_at(now, &facts, number, server, progress);
        self.events.push_back(Event::Turn(ticket, attempt));
    }

    /// An attempt ended without a response (`back_handle_st_cer`, `http_wait_for_response`).
    pub(super) fn broke_at_haproxy(
        &mut self,
        now: Nanos,
        attempt: Attempt,
        outcome: Outcome,
    ) -> Next {
        let listed = self.haproxy().is_some_and(|b| b.rules.retry_on.lists(outcome));
        let whole = attempt.repeatable || !outcome.was_sent();
        let again = listed && whole && attempt.progress.tries > 1;
        if !outcome.was_sent() {
            self.observe_server(now, attempt.peer, Sign::NoConnection);
        } else if !again {
            self.observe_server(now, attempt.peer, Sign::BadResponse);
        }
        if again {
            return self.retry_at_haproxy(now, attempt, Some(outcome));
        }
        self.end_at_haproxy(now, &attempt);
        let reason = if outcome.is_timeout() {
            RefusalReason::AttemptTimedOut
        } else {
            RefusalReason::AttemptFailed
        };
        Next::Refused(refusal(Some(outcome), reason))
    }

    /// Another attempt after one without a response, or with a listed status (`None`): at the same
    /// server or at another (`stream_choose_redispatch`), at once or after a pause.
    pub(super) fn retry_at_haproxy(
        &mut self,
        now: Nanos,
        attempt: Attempt,
        ended: Option<Outcome>,
    ) -> Next {
        let number = next_number(&attempt);
        let leaves = self.leaves(&attempt);
        let pause = self.pause_before(leaves, ended);
        if leaves {
            self.end_at_haproxy(now, &attempt);
        }
        let Attempt { facts, peer: server, mut progress, .. } = attempt;
        progress.tries = progress.tries.saturating_sub(1);
        if leaves {
            progress.seat = Seat::Chosen;
        }
        if !progress.tried.contains(&server) {
            progress.tried.push(server);
        }
        if let Some(pause) = pause {
            let ticket = self.line.next_ticket();
            let waiter = Waiter { ticket, facts, number, progress, deadline: Nanos::MAX };
            let paused = Paused { waiter, server, stays: !leaves };
            if let Some(backend) = self.haproxy_mut() {
                backend.paused.insert((now + pause, ticket), paused);
            }
            return Next::Wait(ticket);
        }
        if !leaves {
            return Next::Retry(Group::begin_again(now, facts, number, server, progress));
        }
        let choice = self.choose_server(now, &facts, number, Some(server));
        self.send_to_server(now, Traveller { facts, number, progress, ticket: None }, choice)
    }

    /// Whether the retry after `attempt` gives its server up.
    fn leaves(&self, attempt: &Attempt) -> bool {
        let Some(backend) = self.haproxy() else { return false };
        let HaproxyRules { redispatch, .. } = backend.rules;
        let peer = self.group.peers.get(attempt.peer);
        let unfit = peer.is_none_or(|peer| !peer.is_usable() && !peer.is_draining());
        let elsewhere = attempt.progress.seat != Seat::Bound
            && backend.census.active > 1
            && self.any_server_does();
        redispatch
            && (unfit
                || backend.warm_up.contains(attempt.peer)
                || backend.rules.leaves_at(u32::from(attempt.number))
                || elsewhere)
    }

    /// The pause before a retry: after a refused connection, unless another server is asked.
    fn pause_before(&self, leaves: bool, ended: Option<Outcome>) -> Option<Span> {
        let backend = self.haproxy()?;
        let same = !leaves || backend.census.active <= 1;
        (ended == Some(Outcome::ConnectFailed) && same).then(|| backend.rules.turn_around())
    }

    /// No server is better than another for a request: all but hashes (`BE_LB_KIND_HI`).
    fn any_server_does(&self) -> bool {
        !self.group.haproxy_algorithm().is_some_and(HaproxyAlgorithm::hashes)
    }

    /// One who waited for `server` alone is sent where it can be.
    pub(super) fn send_elsewhere(&mut self, now: Nanos, server: PeerId, waiter: Waiter) {
        self.left_queue(Some(server));
        let Waiter { ticket, facts, number, mut progress, .. } = waiter;
        progress.seat = Seat::Chosen;
        self.go_on_at_haproxy(
            now,
            Traveller { facts, number, progress, ticket: Some(ticket) },
            server,
        );
    }

    fn go_on_at_haproxy(&mut self, now: Nanos, traveller: Traveller, avoid: PeerId) {
        let Traveller { facts, number, ticket, .. } = traveller;
        let Some(ticket) = ticket else { return };
        let choice = self.choose_server(now, &facts, number, Some(avoid));
        match self.send_to_server(now, traveller, choice) {
            Next::Retry(attempt) => self.events.push_back(Event::Turn(ticket, attempt)),
            Next::Refused(refusal) => self.events.push_back(Event::Expired(ticket, refusal)),
            Next::Wait(_) | Next::Done => {}
        }
    }

    /// Those whose pause is over go on.
    pub(super) fn end_haproxy_pauses(&mut self, now: Nanos) {
        while let Some(paused) = self.haproxy_mut().and_then(|b| b.next_paused(now)) {
            let Paused { waiter, server, stays } = paused;
            let Waiter { ticket, facts, number, progress, .. } = waiter;
            if stays {
                let attempt = Group::begin_again(now, facts, number, server, progress);
                self.events.push_back(Event::Turn(ticket, attempt));
                continue;
            }
            let traveller = Traveller { facts, number, progress, ticket: Some(ticket) };
            self.go_on_at_haproxy(now, traveller, server);
        }
    }

    /// Those who have waited too long get 503.
    pub(super) fn expire_haproxy_queues(&mut self, now: Nanos) {
        while let Some((waiter, server)) = self.haproxy_mut().and_then(|b| b.queues.expire(now)) {
            self.left_queue(server);
            let refusal: Refusal = refusal(None, RefusalReason::QueueTimedOut);
            self.events.push_back(Event::Expired(waiter.ticket, refusal));
        }
    }

    fn left_queue(&mut self, server: Option<PeerId>) {
        if let Some(id) = server {
            self.group.peers.adjust(id, |peer| peer.wait(false));
        }
    }

    /// A client left while its request waited or paused; whether it did either.
    pub(super) fn leave_haproxy(&mut self, now: Nanos, ticket: Ticket) -> bool {
        let Some(backend) = self.haproxy_mut() else { return false };
        if let Some((_, server)) = backend.queues.leave(ticket) {
            self.left_queue(server);
            return true;
        }
        let Some(Paused { waiter, server, stays }) = backend.leave_pause(ticket) else {
            return false;
        };
        if stays {
            let Waiter { facts, number, progress, .. } = waiter;
            let attempt = Group::begin_again(now, facts, number, server, progress);
            self.end_at_haproxy(now, &attempt);
        }
        true
    }
}
