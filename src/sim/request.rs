//! A request between the client and the balancer: arrival, connection, admission, answer.

use super::ahead::Planned;
use super::client::Connection;
use super::event::Event;
use super::flight::{Due, Flight, Phase};
use super::observe::{Observe, Seen};
use super::world::World;
use crate::policy::{Admission, Next, Outcome, Refusal, Ticket};
use crate::record::{PickedBecause, RequestError, Sink};
use crate::traffic::{Request, Source};
use crate::units::{Nanos, Span};

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// A request is due, step by step.
    #[inline(never)]
    pub(super) fn arrive_otherwise(&mut self, request: &Request, view: u32) {
        let full = self.flights.len() >= self.in_flight_cap;
        let slot = self.flights.reserve();
        let timeout = self.patience.client;
        self.flights.fill(slot, Flight::new(*request, self.now, timeout, view));
        if full {
            self.fail(slot, self.now + timeout, RequestError::Dropped);
        } else {
            self.send(slot);
        }
    }

    /// Sends a request as soon as there is a connection for it.
    fn send(&mut self, slot: u32) {
        let flight = &mut self.flights[slot];
        let id = flight.request.id;
        let opening = match self.client.take(flight.view) {
            Connection::Kept(carried) => {
                flight.carried = carried;
                Span::ZERO
            }
            Connection::Fresh => self.hops.connection(id),
            Connection::None => {
                self.client.wait(slot, id);
                return self.plan(slot, Nanos::MAX, Due::Nothing);
            }
        };
        flight.sent = self.now;
        flight.connected = self.now + opening;
        flight.leg = self.hops.leg(id, 1);
        flight.phase = Phase::ToBalancer;
        let arrives = flight.connected + flight.leg;
        if arrives == self.now {
            self.admit(slot);
        } else {
            self.plan(slot, arrives, Due::AtBalancer);
        }
    }

    /// A request reaches its balancer.
    pub(super) fn admit(&mut self, slot: u32) {
        let flight = &mut self.flights[slot];
        flight.phase = Phase::Moving;
        let view = flight.view;
        self.prepare(view);
        let facts = self.facts(&self.flights[slot].request);
        let admission = self.ask(slot, view, facts);
        match admission {
            Admission::Go(attempt) => self.try_peer(slot, attempt, PickedBecause::Picked),
            Admission::Wait(ticket) => self.wait_in_line(slot, ticket),
            Admission::Refused(refusal) => self.refuse(slot, refusal),
        }
    }

    /// A request waits at the balancer for a free peer.
    pub(super) fn wait_in_line(&mut self, slot: u32, ticket: Ticket) {
        let flight = &mut self.flights[slot];
        flight.phase = Phase::Waiting(ticket);
        flight.read_deadline = Nanos::MAX;
        let (view, id) = (flight.view, flight.request.id);
        self.views[view as usize].tickets.insert(ticket.0, slot);
        if O::WATCHES {
            match self.views[view as usize].upstream.paused_until(ticket) {
                Some(until) => self.see(view, Seen::Pauses { id, until }),
                None => self.see(view, Seen::Waits { id }),
            }
        }
        self.plan(slot, Nanos::MAX, Due::Nothing);
    }

    /// The balancer answers a request itself.
    pub(super) fn refuse(&mut self, slot: u32, refusal: Refusal) {
        let flight = &self.flights[slot];
        let (view, id, attempts) = (flight.view, flight.request.id, flight.attempts);
        self.see(view, Seen::Refused { id, refusal });
        if S::ATTEMPTS {
            let row = self.source(view).refusal(self.now, id, attempts, refusal);
            row.iter().for_each(|row| self.sink.attempt(row));
        }
        self.respond(slot, refusal.status);
    }

    /// A response with `status` leaves the balancer.
    pub(super) fn respond(&mut self, slot: u32, status: u16) {
        let flight = &self.flights[slot];
        let arrives = self.now + flight.leg;
        if arrives <= flight.deadline {
            self.conclude(slot, arrives, arrives, status, RequestError::None);
        } else {
            let deadline = flight.deadline;
            self.fail(slot, deadline, RequestError::Timeout);
        }
    }

    /// The client gives up.
    pub(super) fn give_up(&mut self, slot: u32) {
        let flight = &mut self.flights[slot];
        if let Phase::Waiting(ticket) = flight.phase {
            let view = &mut self.views[flight.view as usize];
            view.upstream.abandon(self.now, ticket);
            view.redeem(ticket);
        }
        self.drop_twin(slot);
        let flight = &mut self.flights[slot];
        if let Some(attempt) = flight.attempt.take() {
            let next = self.end_attempt(slot, attempt, Outcome::ClientGone);
            debug_assert!(matches!(next, Next::Done), "nothing follows a client that is gone");
        }
        self.fail(slot, self.now, RequestError::Timeout);
    }

    /// The run ends before the request does.
    pub(super) fn interrupt(&mut self, slot: u32) {
        if !self.flights.holds(slot) {
            // It was the second attempt of one that was interrupted.
            return;
        }
        self.unfold(slot);
        self.drop_twin(slot);
        if let Some(attempt) = self.flights.take_attempt(slot) {
            let _nothing_follows = self.end_attempt(slot, attempt, Outcome::ClientGone);
        }
        self.fail(slot, self.now, RequestError::Interrupted);
    }

    /// The client gets no response.
    #[inline(never)]
    fn fail(&mut self, slot: u32, finished: Nanos, error: RequestError) {
        self.conclude(slot, finished, Nanos::ZERO, 0, error);
    }

    /// The request is over for the client at `finished`: one row, and what the client does next.
    fn conclude(
        &mut self,
        slot: u32,
        finished: Nanos,
        first_byte: Nanos,
        status: u16,
        error: RequestError,
    ) {
        let flight = &self.flights[slot];
        let mut row = flight.row(self.replication, finished, first_byte, status, error);
        row.attempts = row.attempts.max(flight.issued);
        let (view, carried) = (flight.view, flight.carried);
        let was_sent = !matches!(flight.phase, Phase::Unsent);
        self.counts.add(status, row.attempts, error);
        self.sink.request(&row);
        self.see(view, Seen::Finished(&row));
        self.flights.remove(slot);
        if was_sent && self.client.is_followed() {
            self.release_connection(view, carried + 1, finished, error);
        }
        if !self.turns.is_empty() {
            let user = (row.id >> 32) as u32;
            self.plan_turn_after(user, finished);
        }
    }

    fn release_connection(&mut self, view: u32, carried: u32, at: Nanos, error: RequestError) {
        // The client breaks the connection of a request that it has given up; a worker that was
        // told to go closes it behind its answer.
        if error == RequestError::None && self.serves(view) {
            self.queue.push(at, Event::ConnectionFree { view, carried });
        } else {
            self.client.close();
            self.queue.push(at, Event::ConnectionFree { view, carried: 0 });
        }
    }

    /// A connection of the client is free (`carried` above zero) or gone: who waits may go.
    pub(super) fn free_connection(&mut self, view: u32, carried: u32) {
        if carried > 0 {
            self.client.give_back(view, carried);
        }
        while let Some((slot, id)) = self.client.next_waiting() {
            if !self.flights.holds(slot) {
                continue;
            }
            let flight = &self.flights[slot];
            if flight.request.id == id && matches!(flight.phase, Phase::Unsent) {
                let view = flight.view;
                self.send(slot);
                self.settle(view);
            }
        }
    }

    /// Plans the first turn of a user.
    pub(super) fn plan_turn(&mut self, user: u32) {
        self.plan_turn_after(user, Nanos::ZERO);
    }

    #[inline(never)]
    pub(super) fn plan_turn_after(&mut self, user: u32, answered: Nanos) {
        let request = self.plan.turn(user, self.turns[user as usize]);
        let due = answered + Span(request.at.0);
        if due < self.plan.end() {
            self.queue.push(due, Event::User(user));
        }
    }

    /// A user of a closed loop sends the next request.
    pub(super) fn take_turn(&mut self, user: u32) {
        let turn = self.turns[user as usize];
        self.turns[user as usize] += 1;
        debug_assert!(matches!(self.scenario.traffic.source, Source::Closed { .. }));
        let request = self.plan.turn(user, turn);
        self.arrive(Planned { request: &request, demand: request.demand });
    }
}
