//! HAProxy's rules (2.6) where they differ from NGINX's.
//!
//! What lies elsewhere in an [`UpstreamConfig`](crate::policy::UpstreamConfig) keeps its place:
//! `weight` (0 gets no new requests), `backup`, `down` (disabled), `max_conns` (`maxconn`) and
//! `slow_start` in the peers, path, interval, `rise` and `fall` of checks in `health`. Server ids are
//! 1, 2, 3, … in the order of the peers. `retry` and `queue` there are NGINX's and are not read
//! under these rules, and no peer goes out by `max_fails`, which HAProxy does not know:
//! [`HaproxyRules::retries`], [`HaproxyRules::retry_on`], [`HaproxyRules::queue_timeout`] and
//! [`HaproxyRules::observe`] say the like.

use crate::policy::outcome::{Outcome, Refusal, RefusalReason};
use crate::units::Span;

/// Settings of a backend of HAProxy that the machine reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaproxyRules {
    /// `retries`: attempts after the first. Default 3.
    pub retries: u32,
    /// `retry-on`. Default `conn-failure`.
    pub retry_on: HaproxyRetryOn,
    /// `option redispatch`: a retry may go to another server. Off by default, and then each retry
    /// goes to the same server, after a pause if it could not be connected to.
    pub redispatch: bool,
    /// The number after `option redispatch`: n > 0 is every n-th retry, −n the n-th from the end.
    /// Default −1, the last. Whatever it is, every retry goes elsewhere at once if more than one
    /// server is up, no session binds the request, and the algorithm is not a hash.
    pub redispatch_interval: i32,
    /// `option allbackups`: all usable backups share the load; without it the first has all of it.
    pub all_backups: bool,
    /// `timeout connect`; the pause before a retry at the same server is not longer. Default 5 s,
    /// as in HAProxy's examples: it has none of its own.
    pub connect_timeout: Span,
    /// `timeout queue`, HAProxy's default for which is `timeout connect`; zero is no limit.
    /// Default 5 s.
    pub queue_timeout: Span,
    /// `maxqueue` of every server: most requests waiting for it alone; 0, the default, is no limit.
    pub max_queue: u32,
    /// `fastinter`: between checks while a server is neither fully up nor fully down. `None`, the
    /// default, is the interval.
    pub fast_interval: Option<Span>,
    /// `downinter`: between checks of a server that is fully down. `None`, the default, is the
    /// interval.
    pub down_interval: Option<Span>,
    /// `observe`, which wants health checks: what requests say of a server. Off by default.
    pub observe: Option<HaproxyObserve>,
}

impl Default for HaproxyRules {
    fn default() -> Self {
        Self {
            retries: 3,
            retry_on: HaproxyRetryOn::default(),
            redispatch: false,
            redispatch_interval: -1,
            all_backups: false,
            connect_timeout: Span::from_secs(5),
            queue_timeout: Span::from_secs(5),
            max_queue: 0,
            fast_interval: None,
            down_interval: None,
            observe: None,
        }
    }
}

impl HaproxyRules {
    /// The pause before a connection that was refused is tried again (`back_handle_st_cer` in
    /// `src/backend.c`): one second, or `timeout connect` if that is shorter.
    pub(in crate::policy) fn turn_around(&self) -> Span {
        let second = Span::from_secs(1);
        if self.connect_timeout == Span::ZERO { second } else { second.min(self.connect_timeout) }
    }

    /// Whether retry number `retry`, from 1, is one that leaves the server by
    /// `option redispatch` alone (`stream_choose_redispatch` in `include/haproxy/stream.h`).
    pub(in crate::policy) fn leaves_at(&self, retry: u32) -> bool {
        let interval = i64::from(self.redispatch_interval);
        let every = if interval > 0 { interval } else { i64::from(self.retries) + 1 + interval };
        self.redispatch && interval != 0 && every > 0 && i64::from(retry) % every == 0
    }
}

/// `retry-on`. HAProxy has no rule about idempotence: a POST is retried as a GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaproxyRetryOn {
    /// `conn-failure`: no connection, or none in time.
    pub conn_failure: bool,
    /// `empty-response`: closed after the request was sent and before a response.
    pub empty_response: bool,
    /// `junk-response`: a response that cannot be parsed.
    pub junk_response: bool,
    /// `response-timeout`: no response within `timeout server`.
    pub response_timeout: bool,
    /// Statuses, out of 401, 403, 404, 408, 425, 500, 501, 502, 503 and 504.
    pub statuses: Vec<u16>,
}

impl Default for HaproxyRetryOn {
    fn default() -> Self {
        Self {
            conn_failure: true,
            empty_response: false,
            junk_response: false,
            response_timeout: false,
            statuses: Vec::new(),
        }
    }
}

impl HaproxyRetryOn {
    /// Whether an attempt that ended so may be followed by another.
    #[must_use]
    pub const fn lists(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::ConnectFailed | Outcome::ConnectTimedOut => self.conn_failure,
            Outcome::Closed { .. } => self.empty_response,
            Outcome::InvalidHead => self.junk_response,
            Outcome::ReadTimedOut => self.response_timeout,
            Outcome::Responded | Outcome::ClientGone | Outcome::Superseded => false,
        }
    }
}

/// `observe` and what goes with it on a server line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HaproxyObserve {
    /// What counts as an error.
    pub layer: ObservedLayer,
    /// `error-limit`: errors in a row that have a consequence. Default 10.
    pub error_limit: u32,
    /// `on-error`. Default `fail-check`.
    pub on_error: HaproxyOnError,
}

impl Default for HaproxyObserve {
    fn default() -> Self {
        Self { layer: ObservedLayer::Layer4, error_limit: 10, on_error: HaproxyOnError::default() }
    }
}

/// What `observe` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObservedLayer {
    /// Connections: refused or timed out against established.
    Layer4,
    /// Responses: none, broken, or with a 5xx other than 501 and 505, and connections that fail,
    /// against all other responses.
    Layer7,
}

/// What too many errors in a row lead to. In all cases the next check comes after `fastinter`, if
/// that is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HaproxyOnError {
    /// `fastinter`: nothing else.
    FastInterval,
    /// `fail-check`: as one failed check.
    #[default]
    FailCheck,
    /// `sudden-death`: so that the next failed check takes the server down.
    SuddenDeath,
    /// `mark-down`: the server is down at once.
    MarkDown,
}

/// The answer of HAProxy itself (`http_return_srv_error` and `http_wait_for_response` in
/// `src/http_ana.c`): 503 without a server or a connection, 504 without a response in time, 502
/// with a broken one.
pub(in crate::policy) const fn refusal(ended: Option<Outcome>, reason: RefusalReason) -> Refusal {
    let status = match ended {
        Some(Outcome::ReadTimedOut) => 504,
        Some(Outcome::Closed { .. } | Outcome::InvalidHead) => 502,
        _ => 503,
    };
    Refusal { reason, status }
}
