//! What an autoscaler goes by, and what was measured of it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decision::MetricsError;
use super::instance::Usage;
use crate::units::Nanos;

/// One thing that is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// Of each instance; what counts is the mean (`Resource` and `Pods` of a HPA).
    Instances(ScaleMetric),
    /// Of all balancers together (`Object`): `Requests` are those that arrive there, `InFlight` those
    /// at backends, `Queue` those that wait for one. The others are none of theirs.
    Balancer(ScaleMetric),
    /// Of something else (`External`).
    External(External),
}

/// A metric of something that is neither instance nor balancer.
#[derive(Clone, Debug, PartialEq)]
pub struct External {
    /// Its name, in reasons and manifests.
    pub name: String,
    /// What Prometheus is asked; the values of the answer are added up.
    pub query: Option<String>,
    /// What it is from each instant on, in order of time: where no Prometheus is asked.
    pub series: Vec<(Nanos, f64)>,
}

impl External {
    /// What the series says at `now`; `None` before its first instant.
    #[must_use]
    pub fn given(&self, now: Nanos) -> Option<f64> {
        let after = self.series.partition_point(|(at, _)| *at <= now);
        self.series[..after].last().map(|(_, value)| *value)
    }
}

impl Metric {
    /// Its unit.
    #[must_use]
    pub const fn unit(&self) -> ScaleMetric {
        match self {
            Self::Instances(metric) | Self::Balancer(metric) => *metric,
            // A plain number.
            Self::External(_) => ScaleMetric::Queue,
        }
    }

    /// That of each instance, if it is one.
    #[must_use]
    pub const fn of_instances(&self) -> Option<ScaleMetric> {
        match self {
            Self::Instances(metric) => Some(*metric),
            Self::Balancer(_) | Self::External(_) => None,
        }
    }

    /// As a scenario names it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Instances(metric) | Self::Balancer(metric) => metric.word(),
            Self::External(external) => &external.name,
        }
    }
}

/// What it is called in a sentence.
impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instances(metric) => write!(f, "{metric} of the instances"),
            Self::Balancer(metric) => write!(f, "{metric} at the balancer"),
            Self::External(external) => f.write_str(&external.name),
        }
    }
}

/// What was measured of one metric.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Of the instances in these slots; those without a fresh value are left out.
    Instances(Vec<(u32, Usage)>),
    /// Of the whole.
    Whole(f64),
}

/// One for each metric of the configuration, in its order; an error where nothing can be known.
pub type Readings = [Result<Reading, MetricsError>];

/// What is measured, and its unit.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ScaleMetric {
    /// Share of time its workers are busy.
    #[default]
    Utilization,
    /// CPU time per allotted CPU.
    Cpu,
    /// Requests in flight.
    InFlight,
    /// Requests that wait in its queue.
    Queue,
    /// Requests per second.
    Requests,
}

impl ScaleMetric {
    /// Whether its unit is a share, shown as percent.
    #[must_use]
    pub const fn is_share(self) -> bool {
        matches!(self, Self::Utilization | Self::Cpu)
    }

    /// Whether it is the rate of a counter; otherwise it is the mean of a gauge over time.
    #[must_use]
    pub const fn is_rate(self) -> bool {
        matches!(self, Self::Utilization | Self::Cpu | Self::Requests)
    }

    /// As a scenario names it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Utilization => "utilization",
            Self::Cpu => "cpu",
            Self::InFlight => "in_flight",
            Self::Queue => "queue",
            Self::Requests => "requests",
        }
    }

    /// A value of it with its unit: `78.2 %`, `12`, `120.5/s`.
    pub(super) const fn show(self, value: f64) -> Shown {
        Shown { metric: self, value }
    }
}

/// Its name in a sentence: "the mean … of 3 ready instances".
impl fmt::Display for ScaleMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utilization => "utilization",
            Self::Cpu => "CPU use",
            Self::InFlight => "requests in flight",
            Self::Queue => "queue length",
            Self::Requests => "request rate",
        })
    }
}

/// A value of a metric, as shown.
pub(super) struct Shown {
    metric: ScaleMetric,
    value: f64,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = |value: f64| (value * 10.0).round() / 10.0;
        match self.metric {
            ScaleMetric::Utilization | ScaleMetric::Cpu => {
                write!(f, "{} %", tenths(self.value * 100.0))
            }
            ScaleMetric::InFlight | ScaleMetric::Queue => write!(f, "{}", tenths(self.value)),
            ScaleMetric::Requests => write!(f, "{}/s", tenths(self.value)),
        }
    }
}
