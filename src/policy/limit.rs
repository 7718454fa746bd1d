//! The waiting line at the balancer, for requests that found every peer at its limit.
//!
//! First in, first out, with a length and a longest wait, as the `queue` directive of NGINX Plus
//! (`ngx_http_upstream_module`): a request that finds the line full, or whose wait gets too long,
//! is answered with 502 as documented there. Open-source NGINX has no line: a length of 0.

use std::collections::VecDeque;

use super::attempt::{Progress, RequestFacts, Ticket};
use crate::units::{Nanos, Span};

/// The waiting line at the balancer; length 0 switches it off, as in open-source NGINX.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueConfig {
    /// Most requests waiting.
    pub length: u32,
    /// Longest wait; zero is no limit.
    pub timeout: Span,
}

/// A request in the line. It is not an attempt: no peer counts it.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) ticket: Ticket,
    pub(super) facts: RequestFacts,
    /// Number of the attempt it waits for.
    pub(super) number: u16,
    pub(super) progress: Progress,
    pub(super) deadline: Nanos,
}

/// The line itself.
#[derive(Debug)]
pub(super) struct WaitingLine {
    config: QueueConfig,
    line: VecDeque<Waiter>,
    next_ticket: u64,
}

impl WaitingLine {
    pub(super) const fn new(config: QueueConfig) -> Self {
        Self { config, line: VecDeque::new(), next_ticket: 0 }
    }

    /// Whether requests may wait at all.
    pub(super) const fn is_on(&self) -> bool {
        self.config.length != 0
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.line.len()
    }

    /// A ticket that nobody else has.
    pub(super) const fn next_ticket(&mut self) -> Ticket {
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        ticket
    }

    /// Takes a place at the end; `None` if the line is full.
    pub(super) fn join(
        &mut self,
        now: Nanos,
        facts: RequestFacts,
        number: u16,
        progress: Progress,
    ) -> Option<Ticket> {
        if self.line.len() >= self.config.length as usize {
            return None;
        }
        let ticket = self.next_ticket();
        self.join_with(now, Waiter { ticket, facts, number, progress, deadline: Nanos::MAX });
        Some(ticket)
    }

    /// The same for one that has a ticket already; whether there was room.
    pub(super) fn rejoin(&mut self, now: Nanos, waiter: Waiter) -> bool {
        let room = self.line.len() < self.config.length as usize;
        if room {
            self.join_with(now, waiter);
        }
        room
    }

    fn join_with(&mut self, now: Nanos, mut waiter: Waiter) {
        waiter.deadline =
            if self.config.timeout == Span::ZERO { Nanos::MAX } else { now + self.config.timeout };
        self.line.push_back(waiter);
    }

    pub(super) fn get(&self, place: usize) -> Option<&Waiter> {
        self.line.get(place)
    }

    pub(super) fn take(&mut self, place: usize) -> Option<Waiter> {
        self.line.remove(place)
    }

    /// Takes out a ticket; `None` if it does not wait.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waiter> {
        let place = self.line.iter().position(|waiter| waiter.ticket == ticket)?;
        self.line.remove(place)
    }

    /// When the first in the line has waited too long: all may wait equally long, so it is the
    /// earliest.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        self.line.front().map(|waiter| waiter.deadline).filter(|at| *at != Nanos::MAX)
    }

    /// Takes out the first in the line if it has waited too long.
    pub(super) fn expire(&mut self, now: Nanos) -> Option<Waiter> {
        self.next_deadline().filter(|at| *at <= now)?;
        self.line.pop_front()
    }
}
