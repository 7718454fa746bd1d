//! The pause before a retry: the request holds a ticket meanwhile, as one in the waiting line does.

use super::{Event, Nanos, Progress, Refusal, RefusalReason, RequestFacts, Ticket, Upstream};
use crate::policy::limit::Waiter;

impl Upstream {
    /// Begins the pause before attempt `number` if there is to be one; else gives the progress back.
    pub(super) fn pause(
        &mut self,
        now: Nanos,
        facts: &RequestFacts,
        number: u16,
        progress: Progress,
    ) -> Result<Ticket, Progress> {
        let Some(resilience) = &mut self.resilience else { return Err(progress) };
        let Some(backoff) = resilience.backoff else { return Err(progress) };
        let mut until = now + backoff.pause(self.group.seed, facts.id, number);
        if let Some(envoy) = &resilience.envoy {
            until = until.min(envoy.deadline(progress.first_started));
        }
        let ticket = self.line.next_ticket();
        let waiter = Waiter { ticket, facts: *facts, number, progress, deadline: Nanos::MAX };
        resilience.pausing.insert((until, ticket), waiter);
        Ok(ticket)
    }

    /// Those whose pause is over go on: to a peer, into the waiting line, or to a refusal.
    pub(super) fn end_pauses(&mut self, now: Nanos) {
        while let Some(waiter) = self.resilience.as_mut().and_then(|r| r.next_paused(now)) {
            if self.envoy().is_some() {
                self.resume_as_envoy(now, waiter);
                continue;
            }
            let Waiter { ticket, facts, number, ref progress, .. } = waiter;
            if let Some(pick) = self.group.pick(now, &facts, number, progress.so_far()) {
                let attempt = self.group.begin(now, &facts, number, pick, waiter.progress);
                self.events.push_back(Event::Turn(ticket, attempt));
                continue;
            }
            let reason = if !self.line.is_on() || !self.group.is_full_for(progress, now) {
                RefusalReason::NoLiveUpstream
            } else if self.line.rejoin(now, waiter) {
                self.line_served = self.line_served.max(now);
                continue;
            } else {
                RefusalReason::QueueFull
            };
            self.retry_over();
            self.events.push_back(Event::Expired(ticket, Refusal::new(reason)));
        }
    }

    /// A client left during its pause; whether it was in one.
    pub(super) fn leave_pause(&mut self, now: Nanos, ticket: Ticket) -> bool {
        if self.is_haproxy() {
            return self.leave_haproxy(now, ticket);
        }
        let paused = self.resilience.as_mut().and_then(|r| r.leave(ticket));
        let left = paused.or_else(|| self.envoy_mut()?.connections.leave(ticket));
        if let Some(waiter) = &left {
            self.gave_up(waiter);
        }
        left.is_some()
    }

    /// One who waited goes away; a retry that waited is over.
    pub(super) fn gave_up(&mut self, waiter: &Waiter) {
        if waiter.number > 1 {
            self.retry_over();
        }
    }

    /// When the pause of a request ends; `None` if it is in none.
    #[must_use]
    pub fn paused_until(&self, ticket: Ticket) -> Option<Nanos> {
        if let Some(backend) = self.haproxy() {
            return backend.paused.keys().find(|(_, paused)| *paused == ticket).map(|(at, _)| *at);
        }
        let pausing = &self.resilience.as_ref()?.pausing;
        pausing.keys().find(|(_, paused)| *paused == ticket).map(|(until, _)| *until)
    }
}
