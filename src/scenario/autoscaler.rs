//! The autoscaler as meant: the rule, and what surrounds it in either world.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::check::Check;
use crate::policy::scale::ScaleConfig;
use crate::units::Span;

/// The autoscaler of one group of backends.
///
/// The group stands in [`Scenario::backends`](super::Scenario::backends) with all its instances:
/// slot `k`, which is `name-(k+1)`, is backend `slots.start + k`. The first `scale.initial` are
/// there at the start, the others are [`absent`](super::Backend::absent).
///
/// Scrapes happen at multiples of [`Self::scrape_interval`] since the run's zero, polls at
/// multiples of `scale.poll`, or as [`Scaler`](crate::policy::scale) says; at one instant the scrape
/// goes first.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoscalerFacts {
    /// Name of the group.
    pub group: String,
    /// Its places among the backends; there are `scale.max` of them.
    pub slots: Range<usize>,
    /// What is decided, and when; `scale.initial` of the group are there at the start.
    pub scale: ScaleConfig,
    /// Where the live world gets it.
    pub source: MetricSource,
    /// Time between two looks at the instances; positive.
    pub scrape_interval: Span,
    /// Window over which the metric is taken; positive, and for counters at least two scrape
    /// intervals.
    pub rate_window: Span,
    /// From the start of an instance until it is ready.
    pub start_up: Span,
    /// Longest time for what an instance that leaves has in flight.
    pub drain_timeout: Span,
    /// What each second should hold: an upper bound on p50, p99 or errors of all requests.
    pub slo: Option<Check>,
}

/// Where the live world gets the metric.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricSource {
    /// From the instances.
    #[default]
    Scrape,
    /// From a Prometheus server.
    Prometheus,
}
