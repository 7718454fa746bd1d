//! What a backend is told at its start.

use std::io;
use std::net::SocketAddr;

use crate::scenario::Backend;
use crate::traffic::Law;
use crate::units::{Bytes, Ratio, Seed, Span};

use super::queue::QueueConfig;

/// A backend of the live world.
#[derive(Clone, Debug)]
pub struct BackendConfig {
    /// Name in answers and records.
    pub name: String,
    /// Its place in the scenario's expanded list; addresses the draws of its health checks.
    pub index: u32,
    /// Where it serves; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where it takes faults, if it does.
    pub control: Option<SocketAddr>,
    /// Workers, limit and discipline.
    pub queue: QueueConfig,
    /// Service takes `demand / speed`; positive.
    pub speed: f64,
    /// Law of the demand of requests that do not bring their own.
    pub service: Law,
    /// Share of the health checks that fail.
    pub health_failure: Ratio,
    /// Key of all draws.
    pub seed: Seed,
    /// A larger request body is answered with 413.
    pub body_limit: Bytes,
    /// Its health checks fail for this long after its start.
    pub ready_after: Span,
}

/// Default of [`BackendConfig::body_limit`].
pub const BODY_LIMIT: Bytes = Bytes(16 << 20);

impl BackendConfig {
    /// The one of `backends` that is called `name`, serving at `listen`.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(
        backends: &[Backend],
        name: &str,
        seed: Seed,
        listen: SocketAddr,
    ) -> Result<Self, BackendError> {
        let unknown = || BackendError::UnknownName {
            name: name.to_owned(),
            known: backends.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        let index = backends.iter().position(|one| one.name == name).ok_or_else(unknown)?;
        Ok(Self::of(&backends[index], index as u32, seed, listen))
    }

    fn of(backend: &Backend, index: u32, seed: Seed, listen: SocketAddr) -> Self {
        Self {
            name: backend.name.clone(),
            index,
            listen,
            control: None,
            queue: QueueConfig {
                discipline: backend.discipline,
                workers: backend.workers,
                limit: backend.queue_limit,
                real_time: false,
            },
            speed: backend.speed,
            service: backend.service.clone(),
            health_failure: backend.health_failure,
            seed,
            body_limit: BODY_LIMIT,
            ready_after: Span::ZERO,
        }
    }
}

/// Why a backend does not run.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The scenario does not know it.
    #[error("the scenario has no backend `{name}`; it has {known}")]
    UnknownName {
        /// As asked for.
        name: String,
        /// Those it has.
        known: String,
    },
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// As asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// No threads, or no real-time priority for them.
    #[error("cannot start the workers{hint}: {source}")]
    Workers {
        /// What may help.
        hint: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// Something else that the system refused.
    #[error("the system refused: {0}")]
    System(#[source] io::Error),
}
