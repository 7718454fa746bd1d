//! An attempt at a peer: the way there, the backend, the answer, and what follows.

use super::event::Event;
use super::flight::{Due, NO_TWIN, Phase};
use super::observe::{Observe, Seen};
use super::station::{Entry, Owner, Station, Work};
use super::world::World;
use crate::policy::{Attempt, Next, Outcome};
use crate::record::{AttemptOutcome, AttemptRow, PickedBecause, Sink};
use crate::scenario::Engine;
use crate::traffic::service::demand_word;
use crate::units::draw::unit_open;
use crate::units::{Nanos, Purpose, Span, World as Which};

/// Status of an answer after service, by fault injection, and beyond the queue limit.
pub(super) const SERVED: u16 = 200;
const INJECTED: u16 = 500;
const OVERLOADED: u16 = 503;

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// Does what the upstream machine said, as long as it follows at once.
    pub(super) fn follow(&mut self, slot: u32, next: Next, because: PickedBecause) {
        match next {
            Next::Done => {}
            Next::Retry(attempt) => self.try_peer(slot, attempt, because),
            Next::Wait(ticket) => self.wait_in_line(slot, ticket),
            Next::Refused(refusal) => self.refuse(slot, refusal),
        }
    }

    /// Tries peers until one takes the request up or none is left.
    pub(super) fn try_peer(&mut self, slot: u32, attempt: Attempt, because: PickedBecause) {
        let (mut attempt, mut because) = (attempt, because);
        while let Some(refused) = self.begin(slot, attempt, because) {
            match self.end_attempt(slot, refused, Outcome::ConnectFailed) {
                Next::Retry(next) => (attempt, because) = (next, PickedBecause::Retry),
                next => return self.follow(slot, next, PickedBecause::Retry),
            }
        }
    }

    /// Begins an attempt; gives it back if the connection is refused.
    pub(super) fn begin(
        &mut self,
        slot: u32,
        attempt: Attempt,
        because: PickedBecause,
    ) -> Option<Attempt> {
        let peer = attempt.peer;
        let flight = &mut self.flights[slot];
        let view = flight.view;
        flight.attempts = attempt.number;
        flight.upstream = peer.0;
        flight.because = because;
        flight.read_deadline = Nanos::MAX;
        flight.departs = Nanos::MAX;
        (flight.demand, flight.queued, flight.service) = (Span::ZERO, Span::ZERO, Span::ZERO);
        if O::WATCHES {
            self.see(view, Seen::Picked(&attempt, because));
        }
        // Nothing but a time-out of the whole request can end the wait for a connection.
        self.flights[slot].read_deadline =
            self.views[view as usize].upstream.request_ends(&attempt);
        let id = attempt.facts.id;
        let leg = self.hops.leg(id, attempt.number);
        let reused = self.views[view as usize].pool.take(peer, self.now);
        if self.fleet[peer.index()].crashed {
            return Some(attempt);
        }
        if self.hedges {
            self.plan_hedge(slot, view, &attempt);
        }
        let flight = &mut self.flights[slot];
        (flight.reused, flight.far_leg) = (reused, leg);
        flight.phase = if reused { Phase::Sent } else { Phase::Connecting };
        flight.attempt = Some(attempt);
        if leg == Span::ZERO {
            self.reach(slot);
        } else {
            self.plan(slot, self.now + leg, Due::AtBackend);
        }
        None
    }

    /// A connection, or a request on a kept one, reaches the backend's host.
    pub(super) fn reach(&mut self, slot: u32) {
        let flight = &mut self.flights[slot];
        let Some(attempt) = &flight.attempt else { return };
        let (peer, started) = (attempt.peer, attempt.started);
        let instance = &self.fleet[peer.index()];
        if instance.crashed {
            return self.end_and_follow(slot, Outcome::ConnectFailed);
        }
        let cut_until = instance.cut_until;
        let upstream = &self.views[flight.view as usize].upstream;
        let read_timeout = self.scenario.balancer.read_timeout;
        let gives_up = upstream.waits_until(attempt, self.now, read_timeout);
        if flight.phase == Phase::Connecting {
            if cut_until > self.now {
                return self.knock(slot, started, cut_until);
            }
            flight.phase = Phase::Sent;
        }
        self.flights[slot].read_deadline = gives_up;
        if self.fleet[peer.index()].deaf_until() > self.now {
            return self.hold(slot);
        }
        self.enter(slot);
    }

    /// Nothing answers the attempt to connect: it stands when the partition ends, or times out.
    fn knock(&mut self, slot: u32, started: Nanos, cut_until: Nanos) {
        let timeout = started + self.scenario.balancer.connect_timeout;
        if cut_until <= timeout {
            self.plan(slot, cut_until, Due::AtBackend);
        } else {
            self.plan(slot, timeout, Due::Ends(Outcome::ConnectTimedOut));
        }
    }

    /// The request is in a kernel's buffer until the backend can read it; it will be served then
    /// even if nobody waits for it any more.
    fn hold(&mut self, slot: u32) {
        let work = self.work(slot);
        let upstream = self.flights[slot].upstream;
        self.fleet[upstream as usize].held.push(work);
        self.plan(slot, Nanos::MAX, Due::Nothing);
    }

    /// The work that the attempt in `slot` is for its backend.
    fn work(&mut self, slot: u32) -> Work {
        let flight = &mut self.flights[slot];
        let (id, number) = (flight.request.id, flight.attempts);
        let instance = &self.fleet[flight.upstream as usize];
        flight.demand = flight.request.demand.unwrap_or_else(|| {
            let word = match number {
                1 => flight.request.demand_word,
                // Its request is made once and sent again as it is, with the first one's number.
                _ if self.scenario.balancer.engine == Engine::Nginx => flight.request.demand_word,
                _ => demand_word(self.seed, id, number),
            };
            instance.demand(word)
        });
        let owner = Owner { slot, number, id };
        if let Some(measured) = self.options.driven.and_then(|times| times.get(id, number)) {
            // What was measured holds every slowdown and cost already.
            return Work { owner, service: Span::ZERO, fixed: measured };
        }
        let service = instance.service(flight.demand);
        Work { owner, service, fixed: self.hops.occupation(id, number) }
    }

    /// A backend takes a request up.
    fn enter(&mut self, slot: u32) {
        let work = self.work(slot);
        let backend = self.flights[slot].upstream;
        if self.answers_with_error(backend, work.owner) {
            return self.answer(slot, INJECTED);
        }
        match self.fleet[backend as usize].station.enter(self.now, work) {
            Entry::Known { start, end } => {
                let flight = &mut self.flights[slot];
                flight.entered = self.now;
                flight.departs = end;
                flight.queued = start.since(self.now);
                flight.service = end.since(start);
                let head = end + flight.far_leg;
                flight.phase = Phase::Served;
                self.plan(slot, head, Due::Head(SERVED));
            }
            Entry::Shared => {
                let flight = &mut self.flights[slot];
                (flight.entered, flight.phase) = (self.now, Phase::Served);
                self.share(slot);
            }
            Entry::Full => self.overflow(slot),
        }
    }

    /// A processor-sharing station has taken an attempt up.
    pub(super) fn share(&mut self, slot: u32) {
        self.plan(slot, Nanos::MAX, Due::Nothing);
        self.plan_departure(self.flights[slot].upstream);
    }

    /// The station had no room for an attempt.
    pub(super) fn overflow(&mut self, slot: u32) {
        self.answer(slot, OVERLOADED);
    }

    /// A backend answers without service.
    fn answer(&mut self, slot: u32, status: u16) {
        let flight = &mut self.flights[slot];
        let head = self.now + flight.far_leg;
        flight.phase = Phase::Answered;
        self.plan(slot, head, Due::Head(status));
    }

    fn answers_with_error(&self, backend: u32, owner: Owner) -> bool {
        let rate = self.fleet[backend as usize].error_rate;
        if rate <= 0.0 {
            return false;
        }
        unit_open(self.seed.draw(Purpose::Error, owner.id, owner.number).word()) < rate
    }

    /// Work that was held reaches the backend; nobody may be waiting for it any more.
    pub(super) fn release_held(&mut self, backend: u32) {
        let instance = &mut self.fleet[backend as usize];
        if instance.crashed || instance.deaf_until() > self.now {
            return;
        }
        for work in std::mem::take(&mut instance.held) {
            if self.flights.of(work.owner).is_some() {
                self.enter(work.owner.slot);
            } else if !self.answers_with_error(backend, work.owner) {
                let entry = self.fleet[backend as usize].station.enter(self.now, work);
                if entry == Entry::Shared {
                    self.plan_departure(backend);
                }
            }
        }
    }

    /// Puts the next departure of a processor-sharing station into the queue.
    fn plan_departure(&mut self, backend: u32) {
        let Station::Sharing(sharing) = &mut self.fleet[backend as usize].station else { return };
        // Every arrival plans anew: void plans would soon be most of the queue.
        let (void, next) = (sharing.plan(), sharing.plan_departure());
        self.withdraw(Event::Departure { backend, plan: void });
        if let Some((at, plan)) = next {
            self.queue.push(at, Event::Departure { backend, plan });
        }
    }

    /// A processor-sharing station has finished a job.
    pub(super) fn depart(&mut self, backend: u32, plan: u32) {
        let instance = &mut self.fleet[backend as usize];
        let Station::Sharing(sharing) = &mut instance.station else { return };
        if !sharing.is_current(plan) {
            return;
        }
        if instance.hung_until > self.now {
            return self.queue.push(instance.hung_until, Event::Departure { backend, plan });
        }
        let mut first = true;
        while let Station::Sharing(sharing) = &mut self.fleet[backend as usize].station
            && let Some((owner, took)) = sharing.depart(self.now, std::mem::take(&mut first))
        {
            if let Some(flight) = self.flights.of(owner) {
                flight.departs = self.now;
                flight.service = took;
                let head = self.now + flight.far_leg;
                self.plan(owner.slot, head, Due::Head(SERVED));
            }
        }
        self.plan_departure(backend);
    }

    /// The station of `backend` has planned its jobs anew: so must their flights.
    pub(super) fn plan_flights_again(&mut self, backend: u32) {
        let Station::Fifo(fifo) = &self.fleet[backend as usize].station else { return };
        let jobs: Vec<_> = fifo.jobs().copied().collect();
        for job in jobs {
            self.unfold(job.owner.slot);
            if let Some(flight) = self.flights.of(job.owner)
                && flight.departs != job.end
            {
                flight.departs = job.end;
                flight.queued = job.start.since(flight.entered);
                flight.service = job.end.since(job.start);
                let head = job.end + flight.far_leg;
                self.plan(job.owner.slot, head, Due::Head(SERVED));
            }
        }
    }

    /// A response with `status` reaches the balancer.
    pub(super) fn take_head(&mut self, slot: u32, status: u16) {
        let flight = &mut self.flights[slot];
        let cut_until = self.fleet[flight.upstream as usize].cut_until;
        if cut_until > self.now {
            return self.plan(slot, cut_until, Due::Head(status));
        }
        flight.phase = Phase::Moving;
        let Some(attempt) = &flight.attempt else { return };
        let (number, started, peer) = (flight.view, attempt.started, attempt.peer);
        if O::WATCHES {
            self.prepare(number);
        }
        if self.flights[slot].twin != NO_TWIN {
            if let Some(attempt) = self.flights.take_attempt(slot) {
                self.take_head_of_two(slot, attempt, status);
            }
            return;
        }
        let view = &mut self.views[number as usize];
        match view.upstream.answered(self.now, &mut self.flights[slot].attempt, status) {
            None => {
                view.pool.put(peer, self.now);
                self.bind_session(slot, peer);
                self.attempt_ended(slot, started, AttemptOutcome::Passed, status);
                self.respond(slot, status);
            }
            Some(next) => {
                self.attempt_ended(slot, started, AttemptOutcome::StatusRetried, status);
                self.follow(slot, next, PickedBecause::Retry);
            }
        }
    }

    /// The attempt in `slot` ends without an answer; does what follows.
    pub(super) fn end_and_follow(&mut self, slot: u32, outcome: Outcome) {
        if let Some(attempt) = self.flights.take_attempt(slot) {
            if self.flights[slot].twin != NO_TWIN {
                return self.lose(slot, attempt, outcome);
            }
            let next = self.end_attempt(slot, attempt, outcome);
            self.follow(slot, next, PickedBecause::Retry);
        }
    }

    /// Gives an attempt back to the upstream machine.
    pub(super) fn end_attempt(&mut self, slot: u32, attempt: Attempt, outcome: Outcome) -> Next {
        let view = self.flights[slot].view as usize;
        let started = attempt.started;
        self.prepare(view as u32);
        let next = self.views[view].upstream.finished(self.now, attempt, outcome);
        let outcome = AttemptOutcome::from(outcome);
        self.attempt_ended(slot, started, outcome, 0);
        next
    }

    /// Records the end of an attempt.
    pub(super) fn attempt_ended(
        &mut self,
        slot: u32,
        started: Nanos,
        outcome: AttemptOutcome,
        status: u16,
    ) {
        let flight = &self.flights[slot];
        let view = flight.view;
        self.counts.attempts += 1;
        if S::TIMELINE {
            let fine = matches!(outcome, AttemptOutcome::Passed | AttemptOutcome::Superseded);
            let failed = !fine || status >= 500;
            self.timeline.ended(flight.upstream, self.now.since(started), failed);
        }
        let row = AttemptRow {
            world: Which::Sim,
            replication: self.replication,
            id: flight.request.id,
            number: flight.attempts,
            view: (view % self.serving) as u16,
            upstream: flight.upstream,
            start_ns: started.0,
            end_ns: self.now.0,
            outcome,
            status,
            because: flight.because,
        };
        if S::ATTEMPTS {
            self.sink.attempt(&row);
        }
        if O::WATCHES {
            let peer = crate::policy::PeerId(row.upstream);
            let took = self.now.since(started);
            self.see(view, Seen::Ended { id: row.id, peer, took, outcome, status });
        }
    }
}
