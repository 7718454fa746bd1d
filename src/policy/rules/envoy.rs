//! Envoy's rules (1.40) where they differ from NGINX's.
//!
//! What lies elsewhere in an [`UpstreamConfig`](crate::policy::UpstreamConfig) keeps its place: the
//! panic threshold (Envoy's default is 50 %), outlier detection, slow start and the retry budget in
//! `resilience`, thresholds of active checks in `health`, weights and backups in the peers. Backups
//! are priority 1. `retry` and `queue` there are NGINX's and are not read under these rules, and no
//! peer goes out by `max_fails`, which Envoy does not know; [`EnvoyRules::retry`] and
//! [`EnvoyRules::circuit_breakers`] say the like.

use crate::policy::backoff::BackoffConfig;
use crate::policy::outcome::Outcome;
use crate::units::Span;

/// Settings of Envoy that the machine reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyRules {
    /// `common_lb_config.update_merge_window`: a change of health within this time of the last
    /// applied one is applied this long after it happened, together with those that came
    /// meanwhile; zero merges nothing.
    pub update_merge_window: Span,
    /// `overprovisioning_factor`, percent: how many times its healthy share a priority is trusted
    /// to carry. Default 140.
    pub overprovisioning_percent: u32,
    /// The route's `timeout` over all attempts and pauses of a request, after which it is answered
    /// with 504; zero is none. Default 15 s.
    pub route_timeout: Span,
    /// The route's retry policy; off by default.
    pub retry: Option<EnvoyRetry>,
    /// The cluster's limits.
    pub circuit_breakers: CircuitBreakers,
    /// Whether connections to hosts outlast their request; by default they do. Without, each request
    /// has its own (`max_requests_per_connection: 1`).
    pub keeps_connections: bool,
    /// `no_traffic_interval` of the health checks: between the checks of a cluster that no request
    /// has used yet. Default 60 s.
    pub no_traffic_interval: Span,
    /// Whether the `retriable_statuses` of the health checks hold every status of an
    /// error: one counts towards `unhealthy_threshold`, as a time-out does. By default it takes
    /// the host out at once (`setUnhealthy` in `health_checker_base_impl.cc`).
    pub retriable_statuses: bool,
}

impl Default for EnvoyRules {
    fn default() -> Self {
        Self {
            update_merge_window: Span::from_secs(1),
            overprovisioning_percent: 140,
            route_timeout: Span::from_secs(15),
            retry: None,
            circuit_breakers: CircuitBreakers::default(),
            keeps_connections: true,
            no_traffic_interval: Span::from_secs(60),
            retriable_statuses: false,
        }
    }
}

/// `retry_policy` of a route. Envoy has no rule about idempotence: a POST is retried as a GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvoyRetry {
    /// What is retried.
    pub on: RetryOn,
    /// `num_retries`: attempts after the first. Default 1.
    pub num_retries: u32,
    /// `per_try_timeout`, from the start of an attempt; zero is none, as by default.
    pub per_try_timeout: Span,
    /// The pause before a retry. Default 25 ms, doubled up to 250 ms.
    pub backoff: BackoffConfig,
    /// The predicate `previous_hosts`: a host that the request has tried is drawn again. Off by
    /// default: a retry may meet the same host.
    pub previous_hosts: bool,
    /// `host_selection_retry_max_attempts`: how often it is drawn again before the host is taken
    /// all the same. Default 1.
    pub host_selection_attempts: u32,
}

impl Default for EnvoyRetry {
    fn default() -> Self {
        Self {
            on: RetryOn::default(),
            num_retries: 1,
            per_try_timeout: Span::ZERO,
            backoff: BackoffConfig { base: Span::from_millis(25), max: Span::from_millis(250) },
            previous_hosts: false,
            host_selection_attempts: 1,
        }
    }
}

/// `retry_on`, by Envoy's names; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryOn {
    /// `connect-failure`: no connection, or none in time.
    pub connect_failure: bool,
    /// `reset`: no response, whatever the reason: no connection, a reset, a time-out of the attempt.
    pub reset: bool,
    /// `gateway-error`: 502, 503 and 504, and all of `reset`.
    pub gateway_error: bool,
    /// `5xx`, and all of `reset`.
    pub server_error: bool,
    /// `retriable-4xx`: 409.
    pub retriable_4xx: bool,
    /// `retriable-status-codes`, any status.
    pub statuses: Vec<u16>,
}

impl RetryOn {
    /// Whether an answer with `status` is thrown away for another attempt
    /// (`RetryStateImpl::wouldRetryFromHeaders` in `source/common/router/retry_state_impl.cc`).
    #[must_use]
    pub fn lists_status(&self, status: u16) -> bool {
        (self.server_error && (500..600).contains(&status))
            || (self.gateway_error && (502..=504).contains(&status))
            || (self.retriable_4xx && status == 409)
            || self.statuses.contains(&status)
    }

    /// Whether an attempt without an answer is followed by another (`wouldRetryFromReset` there).
    #[must_use]
    pub const fn lists_outcome(&self, outcome: Outcome) -> bool {
        let any = self.reset || self.gateway_error || self.server_error;
        match outcome {
            Outcome::ConnectFailed | Outcome::ConnectTimedOut => any || self.connect_failure,
            Outcome::Closed { .. } | Outcome::ReadTimedOut | Outcome::InvalidHead => any,
            Outcome::Responded | Outcome::ClientGone | Outcome::Superseded => false,
        }
    }
}

/// `circuit_breakers.thresholds` of a cluster; 1024 each but for the retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitBreakers {
    /// Most connections to all hosts together; idle ones count. A host that has none may always
    /// have one.
    pub max_connections: u32,
    /// Most requests that wait for a connection, each at the host that was chosen for it.
    pub max_pending_requests: u32,
    /// Most requests in flight.
    pub max_requests: u32,
    /// Most retries at once, those in their pause included; not read with a retry budget.
    pub max_retries: u32,
}

impl Default for CircuitBreakers {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            max_pending_requests: 1024,
            max_requests: 1024,
            max_retries: 3,
        }
    }
}
