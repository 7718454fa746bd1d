//! The decision core: balancing, health, limits and retry as pure state machines.
//!
//! No clock, no socket, no randomness of its own: time is handed in as [`Nanos`](crate::units::Nanos)
//! and a draw is a function of (seed, request, attempt). Both worlds drive [`Upstream`] alone, so
//! a decision is made once or not at all. The rules are those of NGINX 1.22 unless a part says
//! otherwise; each part names the NGINX source that it follows.

pub mod affinity;
mod attempt;
pub mod backoff;
pub mod balance;
pub mod budget;
mod connections;
mod envoy;
mod event;
mod group;
mod haproxy;
pub mod health;
pub mod hedge;
pub mod kit;
mod limit;
pub mod load_report;
mod merge_window;
pub mod outcome;
mod panic;
pub mod peer;
mod peers;
mod priority;
mod quantile;
mod ranking;
pub mod resilience;
pub mod retry;
mod roster;
pub mod rules;
pub mod scale;
pub mod slow_start;
pub mod upstream;

pub use affinity::{AffinityConfig, PeerToken};
pub use balance::haproxy::{HaproxyAlgorithm, HaproxyHash};
pub use balance::least_request::LeastRequestConfig;
pub use balance::peak_ewma::{PeakEwmaConfig, PeakEwmaVariant};
pub use balance::prequal::PrequalConfig;
pub use balance::{
    Algorithm, Balance, Candidates, ConsistentHashConfig, LoadFactor, MaglevConfig, Policy,
    RegisterError, Ring,
};
pub use health::active::ActiveHealthConfig;
pub use health::outlier::OutlierConfig;
pub use load_report::{LatencyByLoad, LoadReport};
pub use outcome::{Outcome, Refusal, RefusalReason};
pub use peer::{Forced, Peer, PeerConfig, PeerId, PeerState};
pub use peers::{PeerList, Peers};
pub use resilience::{ResilienceConfig, ResilienceCounts};
pub use retry::{RetryConditions, RetryConfig};
pub use rules::Rules;
pub use upstream::{
    Admission, Attempt, Detour, Event, FirstAttempt, Head, Next, PeerChange, QueueConfig,
    RequestFacts, Ticket, Upstream, UpstreamConfig,
};
