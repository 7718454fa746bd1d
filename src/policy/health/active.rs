//! Active health checks: a peer goes out after `fall` failed checks in a row and returns after
//! `rise` passed ones.

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// Active health checks as configured. NGINX Plus' `health_check` and HAProxy's `check` have the
/// same three numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ActiveHealthConfig {
    /// Path asked for.
    pub path: String,
    /// Time from the start of one check to the start of the next.
    pub interval: Span,
    /// A check without an answer after this has failed.
    pub timeout: Span,
    /// Passed checks in a row that bring a peer back; at least 1.
    pub rise: u32,
    /// Failed checks in a row that take a peer out; at least 1.
    pub fall: u32,
}
