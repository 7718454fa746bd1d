//! The autoscaler as configured.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::target::TargetConfig;
use super::target_tracking::TargetTrackingConfig;
use super::threshold::ThresholdConfig;
use crate::policy::backoff::BackoffConfig;
use crate::units::Span;

/// The autoscaler as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct ScaleConfig {
    /// Fewest instances; at least 1.
    pub min: u32,
    /// Most instances; not below `min`.
    pub max: u32,
    /// Instances wanted at first, from `min` to `max`.
    pub initial: u32,
    /// Time between decisions; positive. Decisions fall on its multiples since the run's zero.
    pub poll: Span,
    /// What is measured of each instance.
    pub metric: ScaleMetric,
    /// How many instances follow from that.
    pub rule: ScaleRule,
    /// No scale-out sooner than this after the last one was carried out.
    pub cooldown_up: Span,
    /// No scale-in sooner than this after the last change of either direction was carried out: what
    /// a new instance changes must be seen before one is taken away. A scale-out does not wait for
    /// it, since load that comes back must not.
    pub cooldown_down: Span,
    /// Most instances that one decision adds; at least 1, `None` is no limit.
    pub max_step_up: Option<u32>,
    /// Most instances that one decision takes away; at least 1, `None` is no limit.
    pub max_step_down: Option<u32>,
    /// The pause after a failed poll or action.
    pub backoff: BackoffConfig,
}

impl ScaleConfig {
    /// The pause after failures, if none is configured: from 1 s, doubling up to 5 min.
    pub const BACKOFF: BackoffConfig =
        BackoffConfig { base: Span::from_secs(1), max: Span::from_secs(300) };

    /// From `min` to `max` instances by the 70 % / 30 % rule on utilization, decided every 15 s,
    /// without cooldowns or limits of a step.
    #[must_use]
    pub fn new(min: u32, max: u32) -> Self {
        Self {
            min,
            max,
            initial: min,
            poll: Span::from_secs(15),
            metric: ScaleMetric::Utilization,
            rule: ScaleRule::Threshold(ThresholdConfig::default()),
            cooldown_up: Span::ZERO,
            cooldown_down: Span::ZERO,
            max_step_up: None,
            max_step_down: None,
            backoff: Self::BACKOFF,
        }
    }
}

/// What is measured of each instance.
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

/// How many instances follow from what is measured.
#[derive(Clone, Debug, PartialEq)]
pub enum ScaleRule {
    /// One more above an upper bound, one less below a lower one.
    Threshold(ThresholdConfig),
    /// Keep the mean at a target, as the Kubernetes HPA does.
    Target(TargetConfig),
    /// Keep the mean at a target, as AWS Auto Scaling does.
    TargetTracking(TargetTrackingConfig),
}
