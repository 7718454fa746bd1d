//! Arrival processes, one file each, and the time change by which stages step and ramp.
//!
//! A process gives the running sum of its gaps at a mean rate of one, the *operational time*.
//! The offered load turns it into real time through the inverse of its integral
//! ([`clock::Clock`]), which is exact for steps and linear ramps: a Poisson process stays Poisson
//! with the rate of its stage, and nothing is thinned or rejected.

pub mod clock;
pub mod mmpp;
pub mod pareto;
pub mod poisson;
pub mod trace;
pub mod uniform;

use std::sync::Arc;

use crate::units::{Nanos, Span};

/// An arrival process at unit rate; the stages give it its rate by a change of time, except a trace.
#[derive(Clone, Debug, PartialEq)]
pub enum ArrivalConfig {
    /// Exponential gaps.
    Poisson,
    /// Equal gaps: request `i` is due at exactly `i / rate`.
    Uniform,
    /// A Markov-modulated Poisson process of two states, on and off.
    Mmpp {
        /// Rate while bursting over the rate while quiet; at least 1.
        burst_ratio: f64,
        /// Mean length of a burst.
        burst: Span,
        /// Mean length of a quiet period.
        quiet: Span,
    },
    /// Independent Pareto gaps.
    Pareto {
        /// Tail index, above 1.
        alpha: f64,
    },
    /// Recorded arrivals.
    Trace {
        /// In order of arrival.
        entries: Arc<[TraceEntry]>,
        /// Time runs this many times as fast as recorded.
        speed: f64,
    },
}

impl ArrivalConfig {
    /// Operational time of request `index`, where `before` is that of the request before it (0
    /// for the first) and `gap` the gap between them. A trace has none of its own.
    #[inline]
    pub(super) fn operational(&self, index: u64, before: f64, gap: f64) -> f64 {
        match self {
            Self::Poisson | Self::Mmpp { .. } | Self::Pareto { .. } => before + gap,
            Self::Uniform => uniform::time(index),
            Self::Trace { .. } => f64::INFINITY,
        }
    }
}

/// One recorded arrival.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TraceEntry {
    /// Since the first arrival of the trace.
    pub at: Nanos,
    /// Its service demand, if recorded.
    pub demand: Option<Span>,
    /// Its class, an index into the classes; `None` draws one by share.
    pub class: Option<u16>,
}
