//! A request between its arrival and its answer.

use crate::policy::{Attempt, Outcome, Ticket};
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
    /// A request that is due at `scheduled`.
    pub(super) fn new(request: Request, scheduled: Nanos, timeout: Span, view: u32) -> Self {
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

    /// Its row, with how it ended for the client.
    #[inline]
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
