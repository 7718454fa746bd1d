//! When a failed attempt goes on to the next peer (NGINX `proxy_next_upstream`).
//!
//! Two questions, as in `src/http/ngx_http_upstream.c`: may a response with this status be thrown
//! away (`ngx_http_upstream_test_next`), and may an attempt that broke be followed by another
//! (`ngx_http_upstream_next`). The first is asked **before** the attempt is given back and wants
//! more than one try left, so the last peer's response always reaches the client; the second is
//! asked after it, and wants at least one.

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, Progress};
use super::outcome::Outcome;
use crate::units::{Nanos, Span};

/// Retry as configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RetryConfig {
    /// What is retried.
    pub on: RetryConditions,
    /// Most attempts of one request, the first included; 0 is no limit but the number of peers.
    pub tries: u32,
    /// No further attempt this long after the first began; zero is no limit. It never interrupts one.
    pub timeout: Span,
}

impl Default for RetryConfig {
    /// NGINX's defaults: errors and time-outs, every peer once, no limit in time.
    fn default() -> Self {
        Self { on: RetryConditions::default(), tries: 0, timeout: Span::ZERO }
    }
}

impl RetryConfig {
    /// Whether a response with `status` to `attempt`, still in flight, leads to the next peer.
    pub(super) fn acts_on_status(&self, attempt: &Attempt, status: u16, now: Nanos) -> bool {
        self.on.statuses.contains(&status)
            && attempt.repeatable
            && attempt.progress.tries > 1
            && (attempt.facts.idempotent || self.on.non_idempotent)
            && !self.is_over(&attempt.progress, now)
    }

    /// Whether a request whose attempt ended with `outcome` may go on with another; `progress` is
    /// what that attempt left of its tries.
    pub(super) fn acts_on_outcome(
        &self,
        progress: &Progress,
        idempotent: bool,
        outcome: Outcome,
        now: Nanos,
    ) -> bool {
        progress.tries > 0
            && self.on.lists(outcome)
            && (!outcome.was_sent() || idempotent || self.on.non_idempotent)
            && !self.is_over(progress, now)
    }

    fn is_over(&self, progress: &Progress, now: Nanos) -> bool {
        self.timeout != Span::ZERO && now.since(progress.first_started) >= self.timeout
    }
}

/// Whether a status that leads to the next peer counts against the peer that gave it
/// (`NGX_PEER_NEXT` instead of `NGX_PEER_FAILED`).
pub(super) const fn status_is_failure(status: u16) -> bool {
    !matches!(status, 403 | 404)
}

/// The conditions of `proxy_next_upstream`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryConditions {
    /// Connection refused, reset, or closed before the full head.
    pub error: bool,
    /// Connect or read time-out before the head.
    pub timeout: bool,
    /// A head that cannot be parsed.
    pub invalid_header: bool,
    /// Statuses acted on, out of 403, 404, 429, 500, 502, 503, 504; sorted.
    pub statuses: Vec<u16>,
    /// POST, LOCK and PATCH too, once they were sent.
    pub non_idempotent: bool,
}

impl Default for RetryConditions {
    fn default() -> Self {
        Self {
            error: true,
            timeout: true,
            invalid_header: false,
            statuses: Vec::new(),
            non_idempotent: false,
        }
    }
}

impl RetryConditions {
    const fn lists(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::ConnectFailed | Outcome::Closed { .. } => self.error,
            Outcome::ConnectTimedOut | Outcome::ReadTimedOut => self.timeout,
            Outcome::InvalidHead => self.invalid_header,
            Outcome::Responded | Outcome::ClientGone | Outcome::Superseded => false,
        }
    }
}
