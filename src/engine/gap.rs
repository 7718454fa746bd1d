//! What an engine cannot do.

use serde::{Deserialize, Serialize};

/// A key of the scenario that an engine does not follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The key, such as `balancer.health`.
    pub key: String,
    /// Why, such as `open-source NGINX has no active health checks`.
    pub why: String,
    /// What is done instead, such as `failures of requests (max_fails, fail_timeout)`; empty if
    /// nothing is.
    pub instead: String,
}

impl Gap {
    /// A gap in the place of `key`.
    #[must_use]
    pub fn new(key: &str, why: &str, instead: &str) -> Self {
        Self { key: key.to_owned(), why: why.to_owned(), instead: instead.to_owned() }
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.key, self.why)?;
        if self.instead.is_empty() { Ok(()) } else { write!(f, "; instead: {}", self.instead) }
    }
}
