//! A flight in short: all that must be kept of a request whose answer is known to come.
//!
//! Nearly every request is sent at once to a backend that says at once when it will answer, and
//! nothing comes between. Of a [`Flight`] such a request needs a fourth, and writing the rest costs
//! more than the choice of its backend. So it is kept in short, and made whole only when something
//! else than its answer happens: a fault, a change of the fleet, the end of the run.

use super::attempt::SERVED;
use super::flight::{Due, Flight, Phase};
use crate::policy::{FirstAttempt, RequestFacts};
use crate::record::{RequestError, RequestRow};
use crate::traffic::Request;
use crate::units::{Nanos, Span, World};

/// A request in flight that went the straight way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plain {
    /// Of the request; the plan knows the rest of it.
    pub(super) id: u64,
    /// When it was due, sent, given to a peer and taken up by its backend: all one instant.
    pub(super) at: Nanos,
    /// When its service starts.
    pub(super) start: Nanos,
    /// When it ends, and with it the flight.
    pub(super) end: Nanos,
    /// Its demand.
    pub(super) demand: Span,
    /// Its attempt, the first.
    pub(super) first: FirstAttempt,
    /// The balancer's view.
    pub(super) view: u32,
    /// Its class.
    pub(super) class: u16,
    /// Whether its connection to the peer had carried an earlier attempt.
    pub(super) reused: bool,
}

/// How long is waited for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// By the client, since the request was due.
    pub(super) client: Span,
    /// By the balancer, since the attempt was sent.
    pub(super) balancer: Span,
    /// By whoever gives up first, where both begin at once.
    shorter: Span,
}

impl Patience {
    /// Of both.
    pub(super) fn new(client: Span, balancer: Span) -> Self {
        // Nobody waits for half of all time.
        Self { client, balancer, shorter: client.min(balancer).min(Span(u64::MAX / 2)) }
    }

    /// Whether a flight that began at `now` is answered at `end` before anyone gives up, so that it
    /// may be kept in short.
    #[inline]
    pub(super) const fn suffices(&self, now: Nanos, end: Nanos) -> bool {
        // A station that cannot say when it ends says "never", which is further away than this.
        end.0.wrapping_sub(now.0) <= self.shorter.0
    }
}

impl Plain {
    /// Its row if it is answered at `now`.
    #[inline(always)]
    pub(super) const fn row(&self, replication: u32, now: Nanos) -> RequestRow {
        RequestRow {
            world: World::Sim,
            replication,
            id: self.id,
            class: self.class,
            scheduled_ns: self.at.0,
            sent_ns: self.at.0,
            connected_ns: self.at.0,
            first_byte_ns: now.0,
            finished_ns: now.0,
            demand_ns: self.demand.0,
            queued_ns: self.start.since(self.at).0,
            service_ns: self.end.since(self.start).0,
            upstream: self.first.peer().0,
            attempts: 1,
            status: SERVED,
            error: RequestError::None,
            bytes: 0,
        }
    }

    /// The flight as it would be had it never been kept in short, before its answer comes.
    pub(super) fn whole(
        &self,
        request: Request,
        facts: RequestFacts,
        patience: Patience,
    ) -> Flight {
        let Self { at, start, end, demand, first, view, reused, .. } = *self;
        Flight {
            sent: at,
            connected: at,
            phase: Phase::Served,
            attempt: Some(first.whole(facts, at)),
            due: Due::Head(SERVED),
            reused,
            read_deadline: at + patience.balancer,
            attempts: 1,
            upstream: first.peer().0,
            entered: at,
            departs: end,
            demand,
            queued: start.since(at),
            service: end.since(start),
            ..Flight::new(request, at, patience.client, view)
        }
    }
}
