//! What can go wrong when an engine is driven.

use std::io;

/// Why an engine could not be driven to the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error("{command} is not installed: install the package {package}")]
    Missing { command: &'static str, package: &'static str },
    #[error("{what}: {error}")]
    System { what: String, error: io::Error },
    #[error("{program} does not serve: {log}")]
    NotServing { program: &'static str, log: String },
    #[error("nothing happened for 20 s: {0}")]
    Silence(String),
    #[error("{0}")]
    Unexpected(String),
}

/// A result of driving an engine.
pub(crate) type Tried<T> = Result<T, Problem>;

impl Problem {
    /// For `map_err`: what was being done when the system refused.
    pub(crate) fn during(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::System { what, error }
    }
}
