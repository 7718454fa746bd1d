//! Whose rules the machine follows where NGINX, HAProxy and Envoy differ.
//!
//! NGINX's are the default and cost nothing. Each other program has its own settings here; what it
//! does with them stands where the machine decides it, with the program's source named.

pub mod envoy;
pub mod haproxy;

pub use envoy::{CircuitBreakers, EnvoyRetry, EnvoyRules, RetryOn};
pub use haproxy::{HaproxyObserve, HaproxyOnError, HaproxyRetryOn, HaproxyRules, ObservedLayer};

/// The program whose rules hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Rules {
    /// NGINX 1.22: retries on the next peer, failures in whole seconds, backups when nobody is up.
    #[default]
    Nginx,
    /// HAProxy 2.6.
    Haproxy(HaproxyRules),
    /// Envoy 1.40.
    Envoy(EnvoyRules),
}
