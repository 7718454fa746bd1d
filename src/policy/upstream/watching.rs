//! The machine's part in outlier detection and retry budgets: what it saw goes to the detector,
//! whose verdicts take peers out and bring them back.

use super::{Attempt, Event, Nanos, Outcome, PeerId, RequestFacts, Upstream};
use crate::policy::health::outlier::{Changes, Observation, OutlierCounts, OutlierKind};
use crate::policy::resilience::ResilienceCounts;

impl Upstream {
    /// What retry budget and hedging have come to.
    #[must_use]
    pub fn resilience_counts(&self) -> ResilienceCounts {
        self.resilience.as_ref().map_or_else(ResilienceCounts::default, |r| r.counts)
    }

    /// What outlier detection has come to, if it is configured.
    #[must_use]
    pub fn outlier_counts(&self) -> Option<&OutlierCounts> {
        let resilience = self.resilience.as_ref()?;
        resilience.outlier.as_ref().map(crate::policy::health::outlier::Detector::counts)
    }

    /// A peer came, went, or was changed. The detector forgets one that is out of the group.
    pub(super) fn membership_changed(&mut self, id: PeerId) {
        let Some(peer) = self.group.peers.get(id) else { return };
        if let Some(tokens) = &mut self.tokens {
            tokens.add(id, peer.name());
        }
        let belongs = peer.is_checked();
        let Some(detector) = self.resilience.as_mut().and_then(|r| r.outlier.as_mut()) else {
            return;
        };
        if belongs {
            detector.join(id);
        } else {
            detector.leave(id);
            self.group.peers.eject(id, false);
        }
    }

    /// A response head came.
    #[inline]
    pub(super) fn watch_head(&mut self, now: Nanos, attempt: &Attempt, status: u16) {
        if self.resilience.is_some() {
            self.learn(now, attempt);
            self.watch_server(now, attempt, status);
            self.observe(now, attempt.peer, Observation::Status(status));
        }
    }

    /// An attempt broke.
    pub(super) fn watch_outcome(&mut self, now: Nanos, attempt: &Attempt, outcome: Outcome) {
        if let Some(seen) = Observation::of(outcome) {
            self.observe(now, attempt.peer, seen);
        }
        if outcome.is_timeout() && outcome.was_sent() {
            self.learn(now, attempt);
        }
    }

    #[inline(never)]
    fn observe(&mut self, now: Nanos, peer: PeerId, seen: Observation) {
        let Some(resilience) = &mut self.resilience else { return };
        let Some(detector) = &mut resilience.outlier else { return };
        if let Some(kind) = detector.observe(now, peer, seen) {
            self.eject(now, peer, kind);
        }
    }

    fn eject(&mut self, now: Nanos, peer: PeerId, kind: OutlierKind) {
        self.group.peers.eject(peer, true);
        self.health_changed(now, peer, kind.words());
    }

    /// A health check of `peer` passed: whether that ends its ejection.
    pub(super) fn check_returns(&mut self, now: Nanos, peer: PeerId) -> bool {
        let detector = self.resilience.as_mut().and_then(|r| r.outlier.as_mut());
        let returns = detector.is_some_and(|detector| detector.check_passed(now, peer));
        if returns {
            self.group.peers.eject(peer, false);
        }
        returns
    }

    /// Ticks of outlier detection, and ends of pauses.
    #[inline]
    pub(super) fn let_resilience_pass(&mut self, now: Nanos) {
        if self.resilience.is_some() {
            self.let_envoy_pass(now);
            self.tick_outliers(now);
            self.end_pauses(now);
            self.let_haproxy_pass(now);
        }
    }

    fn tick_outliers(&mut self, now: Nanos) {
        let Some(resilience) = &mut self.resilience else { return };
        let Some(detector) = &mut resilience.outlier else { return };
        let Changes { returned, ejected } = detector.tick(now);
        for peer in &returned {
            self.group.peers.eject(*peer, false);
            self.health_changed(now, *peer, "its ejection is over");
        }
        for (peer, kind) in ejected {
            self.eject(now, peer, kind);
        }
        if !returned.is_empty() {
            self.serve_line(now);
        }
    }

    /// Whether the budget allows a retry, which then counts as under way.
    #[inline]
    pub(super) fn may_retry(&mut self, now: Nanos, facts: &RequestFacts) -> bool {
        self.resilience.is_none() || self.withdraw_retry(now, facts)
    }

    #[inline(never)]
    fn withdraw_retry(&mut self, now: Nanos, facts: &RequestFacts) -> bool {
        let Some(resilience) = &mut self.resilience else { return true };
        let waiting = match &resilience.envoy {
            Some(envoy) => envoy.connections.waiting() as usize,
            None => self.line.len() + resilience.pausing.len(),
        };
        let present = self.group.peers.in_flight() + waiting as u64;
        let running = resilience.retries;
        let allowed = match &mut resilience.retry_budget {
            Some(budget) => budget.withdraw(now, running, present),
            None => true,
        };
        if allowed {
            resilience.retries += 1;
        } else {
            resilience.counts.retries_withheld += 1;
            self.events.push_back(Event::RetryWithheld { id: facts.id });
        }
        allowed
    }

    /// A retry came to nothing.
    pub(super) fn retry_over(&mut self) {
        if let Some(resilience) = &mut self.resilience {
            resilience.retry_over();
        }
    }
}
