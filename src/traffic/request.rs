//! A request of the plan, and the configuration of classes, keys and the client.

use crate::units::{Bytes, Nanos, Ratio, Span};

/// A request of the plan.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Open loop: its index. Closed loop: `user << 32 | turn`.
    pub id: u64,
    /// Open loop: when it is due. Closed loop: the think time before it, as an instant after zero.
    pub at: Nanos,
    /// Index into the classes.
    pub class: u16,
    /// Its key; 0 without keys.
    pub key: u64,
    /// The random word from which the service law of the chosen backend makes the demand of the
    /// first attempt; see [`super::service::demand_word`] for later ones.
    pub demand_word: u64,
    /// A demand that overrides every law (from a trace).
    pub demand: Option<Span>,
}

/// A kind of request.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassConfig {
    /// Name in reports.
    pub name: String,
    /// Path and query.
    pub path: String,
    /// HTTP method, in capitals.
    pub method: String,
    /// Share of the requests; the shares add up to 1.
    pub share: Ratio,
    /// Size of the request body.
    pub body: Bytes,
}

impl ClassConfig {
    /// Whether NGINX would send it again after it was sent once (not POST, LOCK or PATCH).
    #[must_use]
    pub fn idempotent(&self) -> bool {
        !matches!(self.method.as_str(), "POST" | "LOCK" | "PATCH")
    }
}

/// Keys drawn by a Zipf law: rank `k` of `count` has probability proportional to `k^-exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyConfig {
    /// Number of distinct keys; at least 1.
    pub count: u64,
    /// Skew; 0 is uniform.
    pub exponent: f64,
}

/// The client side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClientConfig {
    /// Most connections kept open to the balancer; 0 lets an open loop open as many as are due.
    pub connections: u32,
    /// Requests on a connection before it is closed; 0 is no limit.
    pub requests_per_connection: u32,
    /// The client gives up this long after the request was due.
    pub timeout: Span,
    /// Requests beyond this many in flight are dropped and count as failed; 0 is no limit.
    pub in_flight_cap: u32,
}
