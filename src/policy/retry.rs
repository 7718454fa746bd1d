//! When a failed attempt goes on to the next peer (NGINX `proxy_next_upstream`).

use serde::{Deserialize, Serialize};

use crate::units::Span;

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
