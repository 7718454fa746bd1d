//! Each decision in words, with the state it saw: for learning, and for finding a wrong policy.

mod words;

use std::fmt;

use super::observe::{Observe, Seen};
use super::{Options, run_observed};
use crate::policy::{Algorithm, Attempt, Refusal, RefusalReason, Upstream};
use crate::record::{AttemptOutcome, Discard, PickedBecause, RequestError, RequestRow};
use crate::scenario::Scenario;
use crate::units::{Nanos, Span};
use words::Before;

/// Something that was decided or became known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When.
    pub at: Nanos,
    /// The request it is about, if any.
    pub request: Option<u64>,
    /// What, in words.
    pub text: String,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.as_secs_f64();
        match self.request {
            Some(id) => write!(f, "{at:10.4}s  request {id:<4} {}", self.text),
            None => write!(f, "{at:10.4}s  {}", self.text),
        }
    }
}

/// Follows the first `requests` requests of replication 0 of `scenario` to their end: every
/// decision about them, and what became known about the peers meanwhile.
#[must_use]
pub fn trace(scenario: &Scenario, options: &Options<'_>, requests: usize) -> Vec<Step> {
    narrated(scenario, options, requests, Vec::new())
}

/// Follows the requests with these ids to their end; what becomes known of the peers is told up to
/// there.
#[must_use]
pub fn trace_of(scenario: &Scenario, options: &Options<'_>, ids: &[u64]) -> Vec<Step> {
    narrated(scenario, options, ids.len(), ids.to_vec())
}

fn narrated(
    scenario: &Scenario,
    options: &Options<'_>,
    wanted: usize,
    followed: Vec<u64>,
) -> Vec<Step> {
    let mut narrator = Narrator {
        algorithm: scenario.balancer.upstream.algorithm,
        views: scenario.balancer.views(),
        wanted,
        followed,
        finished: 0,
        before: Before::default(),
        steps: Vec::new(),
    };
    if wanted > 0 {
        let _ran = run_observed(scenario, 0, options, &mut Discard, &mut narrator);
    }
    narrator.steps
}

struct Narrator {
    algorithm: Algorithm,
    views: u32,
    wanted: usize,
    /// Ids of the requests that are followed.
    followed: Vec<u64>,
    finished: usize,
    before: Before,
    steps: Vec<Step>,
}

impl Narrator {
    /// Whether request `id` is one of those to follow.
    fn follows(&mut self, id: u64) -> bool {
        if !self.followed.contains(&id) {
            if self.followed.len() >= self.wanted {
                return false;
            }
            self.followed.push(id);
        }
        true
    }

    fn say(&mut self, at: Nanos, view: u32, request: Option<u64>, text: String) {
        let text = if self.views > 1 { format!("[view {view}] {text}") } else { text };
        self.steps.push(Step { at, request, text });
    }

    fn picked(
        &self,
        upstream: &Upstream,
        now: Nanos,
        attempt: &Attempt,
        why: PickedBecause,
    ) -> String {
        let name = words::name(upstream, attempt.peer);
        let why = match why {
            PickedBecause::Picked => "",
            PickedBecause::Retry => "retry, ",
            PickedBecause::Turn => "its turn has come, ",
            PickedBecause::Hedge => "the first is late, ",
        };
        let reason = self.before.reason(self.algorithm, upstream, now, attempt);
        format!("→ {name:<8} {why}{reason}")
    }
}

impl Observe for Narrator {
    const WATCHES: bool = true;

    fn prepare(&mut self, upstream: &Upstream) {
        self.before = Before::of(upstream);
    }

    fn see(&mut self, now: Nanos, view: u32, upstream: &Upstream, seen: Seen<'_>) {
        if self.is_satisfied() {
            return;
        }
        let (request, text) = match seen {
            Seen::Picked(attempt, why) => {
                (Some(attempt.facts.id), self.picked(upstream, now, attempt, why))
            }
            Seen::Waits { id } => {
                let waiting = upstream.waiting();
                (Some(id), format!("waits at the balancer, place {waiting}: every peer is full"))
            }
            Seen::Pauses { id, until } => {
                (Some(id), format!("waits {} before its next attempt", until.since(now)))
            }
            Seen::Withheld { id } => (Some(id), "is not tried again: over the retry budget".into()),
            Seen::Panic(true) => (None, "too few peers are healthy: all are used".into()),
            Seen::Panic(false) => (None, "enough peers are healthy again".into()),
            Seen::Refused { id, refusal } => (Some(id), refused(refusal)),
            Seen::Ended { outcome: AttemptOutcome::Passed, .. } => return,
            Seen::Ended { id, peer, took, outcome, status } => {
                let name = words::name(upstream, peer);
                (Some(id), format!("✗ {name:<8} {} after {took}", ended(outcome, status)))
            }
            Seen::Finished(row) => (Some(row.id), finished(upstream, row)),
            Seen::Changed { peer, state, reason } => {
                let name = words::name(upstream, peer);
                (None, format!("{name} is {}: {reason}", words::state(state)))
            }
            Seen::Scaled(decision) => (None, format!("autoscaler: {decision}")),
            Seen::Instance(name, news) => (None, format!("{name} {news}")),
            Seen::Fault(name, true) => (None, format!("fault `{name}` begins")),
            Seen::Fault(name, false) => (None, format!("fault `{name}` ends")),
        };
        if request.is_some_and(|id| !self.follows(id)) {
            return;
        }
        self.say(now, view, request, text);
        self.finished += usize::from(matches!(seen, Seen::Finished(_)));
    }

    fn is_satisfied(&self) -> bool {
        self.finished >= self.wanted
    }
}

fn refused(refusal: Refusal) -> String {
    let why = match refusal.reason {
        RefusalReason::NoLiveUpstream => "no peer may be picked: all are out, full, or were tried",
        RefusalReason::QueueFull => "every peer is full, and so is the waiting line",
        RefusalReason::QueueTimedOut => "it waited too long for a peer",
        RefusalReason::AttemptFailed => "the attempt failed and may not be retried",
        RefusalReason::AttemptTimedOut => "the attempt timed out and may not be retried",
    };
    format!("refused with {}: {why}", refusal.status)
}

fn ended(outcome: AttemptOutcome, status: u16) -> String {
    match outcome {
        AttemptOutcome::Passed => format!("answered {status}"),
        AttemptOutcome::StatusRetried => format!("answered {status}, which is retried,"),
        AttemptOutcome::ConnectFailed => "refused the connection".into(),
        AttemptOutcome::ConnectTimedOut => "did not connect".into(),
        AttemptOutcome::Closed => "broke the connection".into(),
        AttemptOutcome::ReadTimedOut => "did not answer".into(),
        AttemptOutcome::InvalidHead => "answered nonsense".into(),
        AttemptOutcome::ClientGone => "left by its client".into(),
        AttemptOutcome::Refused => "refused".into(),
        AttemptOutcome::RetryWithheld => "over the budget".into(),
        AttemptOutcome::Superseded => "was overtaken".into(),
    }
}

fn finished(upstream: &Upstream, row: &RequestRow) -> String {
    let latency = Span(row.latency_ns());
    match row.error {
        RequestError::None if row.status < 400 => {
            let name = words::name(upstream, crate::policy::PeerId(row.upstream));
            let (queued, service) = (Span(row.queued_ns), Span(row.service_ns));
            format!("✓ {name:<8} {} in {latency}: waited {queued}, served {service}", row.status)
        }
        RequestError::None => format!("✗ answered {} in {latency}", row.status),
        RequestError::Timeout => format!("✗ its client gives up after {latency}"),
        RequestError::Dropped => "✗ dropped: too many are in flight".into(),
        _ => format!("✗ without an answer after {latency}"),
    }
}
