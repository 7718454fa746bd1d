//! The autoscaler as configured.

use super::metric::{Metric, ScaleMetric};
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
    /// What is measured; at least one. Of several, which only [`ScaleRule::Target`] knows, the one
    /// that asks for most counts. The other rules go by the first, of the instances.
    pub metrics: Vec<Metric>,
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
            metrics: vec![Metric::Instances(ScaleMetric::Utilization)],
            rule: ScaleRule::Threshold(ThresholdConfig::default()),
            cooldown_up: Span::ZERO,
            cooldown_down: Span::ZERO,
            max_step_up: None,
            max_step_down: None,
            backoff: Self::BACKOFF,
        }
    }

    /// The same, going by the first of its metrics that is one of the instances alone; `None` if none
    /// is.
    #[must_use]
    pub fn by_instances(&self) -> Option<Self> {
        let place = self.metrics.iter().position(|metric| metric.of_instances().is_some())?;
        let mut config = Self { metrics: vec![self.metrics[place].clone()], ..self.clone() };
        if let ScaleRule::Target(target) = &mut config.rule {
            target.values = target.values.get(place).copied().into_iter().collect();
        }
        Some(config)
    }

    /// The unit of the first metric.
    #[must_use]
    pub fn unit(&self) -> ScaleMetric {
        self.metrics.first().map_or(ScaleMetric::Utilization, Metric::unit)
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
