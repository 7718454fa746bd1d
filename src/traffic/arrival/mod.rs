//! Arrival processes, one file each, and the time change by which stages step and ramp.

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
