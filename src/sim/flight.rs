//! Requests between their arrival and their answer, in slots that are used again.

use std::ops::{Index, IndexMut};

use super::station::Owner;
use crate::policy::{Attempt, Outcome, PeerId, Ticket};
use crate::record::{NO_UPSTREAM, PickedBecause, RequestError, RequestRow};
use crate::traffic::Request;
use crate::units::{Nanos, Span, World};

/// Where a flight is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waits for a connection of the client.
    Unsent,
    /// On its way to the balancer.
    ToBalancer,
    /// In the waiting line at the balancer.
    Waiting(Ticket),
    /// In the hands of the code that runs now.
    Moving,
    /// Its attempt has no connection yet.
    Connecting,
    /// Its attempt is sent, and not yet taken up by the backend.
    Sent,
    /// Its attempt is in the backend's station.
    Served,
    /// The answer to its attempt is on the way to the balancer.
    Answered,
    /// The slot is free.
    Over,
}

/// What happens next to a flight, unless something else happens first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing is planned.
    Nothing,
    /// It reaches the balancer.
    AtBalancer,
    /// It reaches the backend.
    AtBackend,
    /// Its head reaches the balancer, with this status.
    Head(u16),
    /// The attempt ends without an answer.
    Ends(Outcome),
    /// The client gives up.
    GivesUp,
}

/// No other flight has the same request.
pub(super) const NO_TWIN: u32 = u32::MAX;

/// A request in flight.
#[derive(Debug)]
pub(super) struct Flight {
    /// As planned; in a closed loop `at` is still the think time.
    pub(super) request: Request,
    /// When it was due.
    pub(super) scheduled: Nanos,
    /// When the client gives up.
    pub(super) deadline: Nanos,
    /// When it was sent.
    pub(super) sent: Nanos,
    /// When its connection stood.
    pub(super) connected: Nanos,
    /// One leg between client and balancer.
    pub(super) leg: Span,
    /// The balancer's view.
    pub(super) view: u32,
    /// Requests its connection had carried before it.
    pub(super) carried: u32,
    /// Where it is.
    pub(super) phase: Phase,
    /// The attempt that is going on, if any. Beside the phase and not in it, as the compiler moves
    /// the fields of an enum's variant as a block of bytes, which stalls what was just written.
    pub(super) attempt: Option<Attempt>,
    /// What is due.
    pub(super) due: Due,
    /// Number of the newest plan; counts on over the slot's flights, so that no old event fits.
    pub(super) plan: u32,
    /// What led to the present attempt.
    pub(super) because: PickedBecause,
    /// Whether the attempt's connection had carried an earlier one.
    pub(super) reused: bool,
    /// When the balancer stops waiting for the head of the present attempt.
    pub(super) read_deadline: Nanos,
    /// Number of attempts so far.
    pub(super) attempts: u16,
    /// Peer of the last attempt.
    pub(super) upstream: u32,
    /// When the last attempt reached the backend's station.
    pub(super) entered: Nanos,
    /// When its service ends; [`Nanos::MAX`] if that is not known yet.
    pub(super) departs: Nanos,
    /// One leg between the balancer and the peer of the last attempt.
    pub(super) far_leg: Span,
    /// Demand of the last attempt.
    pub(super) demand: Span,
    /// Wait of the last attempt.
    pub(super) queued: Span,
    /// Service of the last attempt.
    pub(super) service: Span,
    /// Slot of the other attempt of the same request, of two at once.
    pub(super) twin: u32,
    /// Attempts of the request, if this one is not the last; only set where there were two at once.
    pub(super) issued: u16,
}

impl Flight {
    /// A request that is due at `scheduled`; `plan` is the number of the slot's last plan.
    pub(super) fn new(
        request: Request,
        scheduled: Nanos,
        timeout: Span,
        view: u32,
        plan: u32,
    ) -> Self {
        Self {
            request,
            scheduled,
            deadline: scheduled + timeout,
            sent: Nanos::ZERO,
            connected: Nanos::ZERO,
            leg: Span::ZERO,
            view,
            carried: 0,
            phase: Phase::Unsent,
            attempt: None,
            due: Due::Nothing,
            plan,
            because: PickedBecause::Picked,
            reused: false,
            read_deadline: Nanos::MAX,
            attempts: 0,
            upstream: NO_UPSTREAM,
            entered: Nanos::ZERO,
            departs: Nanos::MAX,
            far_leg: Span::ZERO,
            demand: Span::ZERO,
            queued: Span::ZERO,
            service: Span::ZERO,
            twin: NO_TWIN,
            issued: 0,
        }
    }

    /// The flight is over; whatever was planned for it is void.
    #[inline(always)]
    pub(super) fn end(&mut self) {
        debug_assert!(self.phase != Phase::Over, "a flight ends once");
        self.phase = Phase::Over;
        self.plan = self.plan.wrapping_add(1);
    }

    /// Its row, with how it ended for the client.
    #[inline(always)]
    pub(super) const fn row(
        &self,
        replication: u32,
        finished: Nanos,
        first_byte: Nanos,
        status: u16,
        error: RequestError,
    ) -> RequestRow {
        RequestRow {
            world: World::Sim,
            replication,
            id: self.request.id,
            class: self.request.class,
            scheduled_ns: self.scheduled.0,
            sent_ns: self.sent.0,
            connected_ns: self.connected.0,
            first_byte_ns: first_byte.0,
            finished_ns: finished.0,
            demand_ns: self.demand.0,
            queued_ns: self.queued.0,
            service_ns: self.service.0,
            upstream: self.upstream,
            attempts: self.attempts,
            status,
            error,
            bytes: 0,
        }
    }
}

/// All flights.
#[derive(Debug, Default)]
pub(super) struct Flights {
    slots: Vec<Flight>,
    free: Vec<u32>,
    /// Flights that are the second of a request.
    twins: usize,
}

impl Flights {
    /// A free slot, to be filled at once.
    #[inline]
    pub(super) fn reserve(&mut self) -> u32 {
        match self.free.pop() {
            Some(slot) => slot,
            None => self.add_slot(),
        }
    }

    /// A free slot for the second attempt of a request.
    pub(super) fn reserve_twin(&mut self) -> u32 {
        self.twins += 1;
        self.reserve()
    }

    /// Frees the slot of one of two attempts of a request; the other is alone then.
    pub(super) fn part(&mut self, slot: u32) {
        let twin = std::mem::replace(&mut self.slots[slot as usize].twin, NO_TWIN);
        self.slots[twin as usize].twin = NO_TWIN;
        self.twins -= 1;
        self.remove(slot);
    }

    #[cold]
    fn add_slot(&mut self) -> u32 {
        let request =
            Request { id: 0, at: Nanos::ZERO, class: 0, key: 0, demand_word: 0, demand: None };
        let mut flight = Flight::new(request, Nanos::ZERO, Span::ZERO, 0, 0);
        flight.phase = Phase::Over;
        self.slots.push(flight);
        self.slots.len() as u32 - 1
    }

    /// Frees a slot; whatever was planned for it is void.
    #[inline]
    pub(super) fn remove(&mut self, slot: u32) {
        self.slots[slot as usize].end();
        self.free.push(slot);
    }

    /// Frees the slot of a flight that [`Flight::end`] has ended.
    #[inline(always)]
    pub(super) fn free(&mut self, slot: u32) {
        self.free.push(slot);
    }

    /// Takes the attempt out of a flight, to be given back to its upstream machine.
    #[inline]
    pub(super) fn take_attempt(&mut self, slot: u32) -> Option<Attempt> {
        let flight = &mut self.slots[slot as usize];
        flight.phase = Phase::Moving;
        flight.attempt.take()
    }

    /// How many requests there are.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len() - self.twins
    }

    /// The slots of all of them.
    pub(super) fn all(&self) -> Vec<u32> {
        let slots = self.slots.iter().enumerate();
        let taken = slots.filter(|(_, flight)| !matches!(flight.phase, Phase::Over));
        taken.map(|(slot, _)| slot as u32).collect()
    }

    /// The flight that `owner` speaks of, if its attempt is still going on.
    pub(super) fn of(&mut self, owner: Owner) -> Option<&mut Flight> {
        let flight = &mut self.slots[owner.slot as usize];
        let same = flight.request.id == owner.id
            && flight.attempts == owner.number
            && flight.attempt.is_some();
        same.then_some(flight)
    }

    /// What the balancer of `view` has in hand is from now on in the hands of `to`.
    pub(super) fn hand_over(&mut self, view: u32, to: u32) {
        for flight in self.slots.iter_mut().filter(|flight| flight.view == view) {
            if flight.attempt.is_some() || matches!(flight.phase, Phase::Waiting(_)) {
                flight.view = to;
            }
        }
    }

    /// The flights that try `peer`, in order of the beginning of their attempts.
    pub(super) fn trying(&self, peer: PeerId) -> Vec<u32> {
        let mut found: Vec<(Nanos, u64, u32)> = Vec::new();
        for (slot, flight) in self.slots.iter().enumerate() {
            if let Some(attempt) = &flight.attempt
                && attempt.peer == peer
            {
                found.push((attempt.started, flight.request.id, slot as u32));
            }
        }
        found.sort_unstable();
        found.into_iter().map(|(.., slot)| slot).collect()
    }
}

impl Index<u32> for Flights {
    type Output = Flight;
    #[inline]
    fn index(&self, slot: u32) -> &Flight {
        &self.slots[slot as usize]
    }
}

impl IndexMut<u32> for Flights {
    #[inline]
    fn index_mut(&mut self, slot: u32) -> &mut Flight {
        &mut self.slots[slot as usize]
    }
}
