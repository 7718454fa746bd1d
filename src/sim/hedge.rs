//! Hedged requests: two attempts at once, each in a flight of its own, that know of each other.
//!
//! The first good answer counts. The other attempt is cancelled as far as the balancer goes; its
//! work stays where it is, since a backend that has taken a request up serves it to the end, as
//! lab's own does.

use super::event::{Event, brief};
use super::flight::{Flight, NO_TWIN};
use super::observe::Observe;
use super::world::World;
use crate::policy::{Attempt, Next, Outcome};
use crate::record::{AttemptOutcome, PickedBecause, Sink};

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// An attempt begins: when it will be late, if that is to be known.
    pub(super) fn plan_hedge(&mut self, slot: u32, view: u32, attempt: &Attempt) {
        if let Some(at) = self.views[view as usize].upstream.hedge_at(attempt) {
            let brief = brief(attempt.facts.id);
            self.queue.push(at.max(self.now), Event::Hedge { slot, brief });
        }
    }

    /// The attempt of a flight is late, if the slot still holds the request: another peer is asked
    /// too, if the machine says so.
    pub(super) fn hedge(&mut self, slot: u32, expected: u32) {
        if !self.flights.holds(slot) {
            return;
        }
        let flight = &mut self.flights[slot];
        if brief(flight.request.id) != expected || flight.twin != NO_TWIN {
            return;
        }
        let view = flight.view;
        self.prepare(view);
        let upstream = &mut self.views[view as usize].upstream;
        let Some(first) = &mut self.flights[slot].attempt else { return };
        if let Some(second) = upstream.hedge(self.now, first) {
            let twin = self.double(slot);
            if let Some(refused) = self.begin(twin, second, PickedBecause::Hedge) {
                self.lose(twin, refused, Outcome::ConnectFailed);
            }
        }
        self.settle(view);
    }

    /// A second flight for the request in `slot`.
    fn double(&mut self, slot: u32) -> u32 {
        let twin = self.flights.reserve_twin();
        let first = &mut self.flights[slot];
        (first.twin, first.issued) = (twin, 2);
        let Flight { request, scheduled, sent, connected, leg, view, carried, .. } = *first;
        let timeout = first.deadline.since(scheduled);
        let second = Flight::new(request, scheduled, timeout, view);
        let second = Flight { sent, connected, leg, carried, twin: slot, issued: 2, ..second };
        self.flights.fill(twin, second);
        twin
    }

    /// One of two attempts ended without an answer; the other goes on alone.
    pub(super) fn lose(&mut self, slot: u32, attempt: Attempt, outcome: Outcome) {
        let (view, started) = (self.flights[slot].view, attempt.started);
        self.prepare(view);
        let twin = self.flights[slot].twin;
        let upstream = &mut self.views[view as usize].upstream;
        if let Some(other) = &mut self.flights[twin].attempt {
            upstream.lost(self.now, attempt, outcome, other);
        }
        self.attempt_ended(slot, started, outcome.into(), 0);
        self.flights.part(slot);
    }

    /// A head with `status` answers one of two attempts.
    pub(super) fn take_head_of_two(&mut self, slot: u32, attempt: Attempt, status: u16) {
        let (view, started, peer) = (self.flights[slot].view, attempt.started, attempt.peer);
        let twin = self.flights[slot].twin;
        let upstream = &mut self.views[view as usize].upstream;
        let Some(other) = &mut self.flights[twin].attempt else { return };
        let Some(attempt) = upstream.head_beside(self.now, attempt, status, other) else {
            self.attempt_ended(slot, started, AttemptOutcome::StatusRetried, status);
            return self.flights.part(slot);
        };
        if let Some(other) = self.flights.take_attempt(twin) {
            let began = other.started;
            self.views[view as usize].upstream.superseded(self.now, other);
            self.attempt_ended(twin, began, AttemptOutcome::Superseded, 0);
        }
        self.flights.part(twin);
        self.bind_session(slot, peer);
        let view = &mut self.views[view as usize];
        let next = view.upstream.finished(self.now, attempt, Outcome::Responded);
        debug_assert!(matches!(next, Next::Done), "nothing follows an answer");
        view.pool.put(peer, self.now);
        self.attempt_ended(slot, started, AttemptOutcome::Passed, status);
        self.respond(slot, status);
    }

    /// The request in `slot` ends: so does a second attempt, if there is one.
    pub(super) fn drop_twin(&mut self, slot: u32) {
        let twin = self.flights[slot].twin;
        if twin == NO_TWIN {
            return;
        }
        if let Some(attempt) = self.flights.take_attempt(twin) {
            let next = self.end_attempt(twin, attempt, Outcome::ClientGone);
            debug_assert!(matches!(next, Next::Done), "nothing follows a client that is gone");
        }
        self.flights.part(twin);
    }
}
