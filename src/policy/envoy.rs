//! What Envoy's rules add to the machine: its settings, and the state that goes with them.

use super::attempt::Attempt;
use super::budget::{BudgetConfig, ConcurrencyConfig};
use super::connections::Connections;
use super::merge_window::MergeWindow;
use super::outcome::{Outcome, Refusal, RefusalReason};
use super::peer::PeerConfig;
use super::priority::{Hosts, Shares, shares};
use super::resilience::ResilienceConfig;
use super::rules::EnvoyRules;
use crate::units::{Nanos, Ratio, Span};

/// The state of a group under Envoy's rules.
#[derive(Debug)]
pub(super) struct Envoy {
    pub(super) rules: EnvoyRules,
    pub(super) merge: MergeWindow,
    pub(super) connections: Connections,
    pub(super) shares: Shares,
    /// A request has come, so that health checks have their proper interval.
    pub(super) used: bool,
    panic_threshold: Ratio,
}

impl Envoy {
    pub(super) fn new(rules: &EnvoyRules, panic_threshold: Ratio) -> Self {
        Self {
            merge: MergeWindow::new(rules.update_merge_window),
            connections: Connections::new(rules.circuit_breakers, rules.keeps_connections),
            shares: shares(rules.overprovisioning_percent, panic_threshold, <_>::default()),
            rules: rules.clone(),
            used: false,
            panic_threshold,
        }
    }

    /// Divides the load anew; whether panic begins or ends by it.
    pub(super) fn divide(&mut self, hosts: [Hosts; 2]) -> Option<bool> {
        let panicked = self.shares.panic != [false; 2];
        self.shares = shares(self.rules.overprovisioning_percent, self.panic_threshold, hosts);
        let panics = self.shares.panic != [false; 2];
        (panics != panicked).then_some(panics)
    }

    /// Attempts of a request.
    pub(super) fn tries(&self) -> u32 {
        self.rules.retry.as_ref().map_or(1, |retry| retry.num_retries.saturating_add(1))
    }

    /// When a request that began at `first_started` is answered with 504.
    pub(super) fn deadline(&self, first_started: Nanos) -> Nanos {
        match self.rules.route_timeout {
            Span::ZERO => Nanos::MAX,
            timeout => first_started + timeout,
        }
    }

    /// When an attempt that got its connection at `connected` has taken too long.
    pub(super) fn attempt_deadline(&self, attempt: &Attempt, connected: Nanos) -> Nanos {
        let route = self.deadline(attempt.progress.first_started);
        match self.rules.retry.as_ref().map_or(Span::ZERO, |retry| retry.per_try_timeout) {
            Span::ZERO => route,
            timeout => route.min(connected + timeout),
        }
    }

    /// Whether an answer with `status` is thrown away for another attempt.
    pub(super) fn retries_status(&self, attempt: &Attempt, status: u16, now: Nanos) -> bool {
        self.has_another(attempt, now)
            && self.rules.retry.as_ref().is_some_and(|retry| retry.on.lists_status(status))
    }

    /// Whether an attempt that broke is followed by another.
    pub(super) fn retries_outcome(&self, attempt: &Attempt, outcome: Outcome, now: Nanos) -> bool {
        self.has_another(attempt, now)
            && self.rules.retry.as_ref().is_some_and(|retry| retry.on.lists_outcome(outcome))
    }

    fn has_another(&self, attempt: &Attempt, now: Nanos) -> bool {
        let progress = &attempt.progress;
        attempt.repeatable && progress.tries > 1 && now < self.deadline(progress.first_started)
    }

    /// The answer to the client of an attempt that broke and is not followed by another
    /// (`Filter::onUpstreamReset`, `onResponseTimeout` in `source/common/router/router.cc`).
    pub(super) fn refusal_after(&self, attempt: &Attempt, outcome: Outcome, now: Nanos) -> Refusal {
        if now >= self.deadline(attempt.progress.first_started) {
            return refusal(RefusalReason::AttemptTimedOut);
        }
        match outcome {
            Outcome::ReadTimedOut => refusal(RefusalReason::AttemptTimedOut),
            // A connection that is not made in time is one that is not made.
            Outcome::ConnectTimedOut => {
                Refusal { reason: RefusalReason::AttemptTimedOut, status: 503 }
            }
            Outcome::InvalidHead => Refusal { reason: RefusalReason::AttemptFailed, status: 502 },
            _ => refusal(RefusalReason::AttemptFailed),
        }
    }

    /// When something is due.
    pub(super) fn next_timeout(&self) -> Option<Nanos> {
        self.merge.next().into_iter().chain(self.connections.next_deadline()).min()
    }
}

/// The refusal that Envoy gives: 504 after a time-out, else 503.
pub(super) const fn refusal(reason: RefusalReason) -> Refusal {
    let status = if matches!(reason, RefusalReason::AttemptTimedOut) { 504 } else { 503 };
    Refusal { reason, status }
}

/// A peer without what Envoy does not know: no failures of requests take it out but by outlier
/// detection, and no limit of its own keeps it from being chosen.
pub(super) fn as_host(config: PeerConfig) -> PeerConfig {
    PeerConfig { max_fails: 0, max_conns: 0, ..config }
}

/// The pause before a retry and the limit of retries at once, which Envoy always has, beside the
/// rest as configured. Panic is decided by priority.
pub(super) fn resilience(config: &ResilienceConfig, rules: &EnvoyRules) -> ResilienceConfig {
    let most = ConcurrencyConfig {
        percent: Ratio(0.0),
        min_concurrency: rules.circuit_breakers.max_retries,
    };
    let limit = BudgetConfig { concurrency: Some(most), tokens: None };
    ResilienceConfig {
        backoff: rules.retry.as_ref().map(|retry| retry.backoff),
        retry_budget: config.retry_budget.or(Some(limit)),
        panic: Ratio(0.0),
        ..config.clone()
    }
}
