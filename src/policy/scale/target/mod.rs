//! Keep the mean at a target: the rule of the Kubernetes Horizontal Pod Autoscaler.
//!
//! Of the version with tolerances in each direction (1.33). One metric, of each instance; a group of
//! none is not made, and the manifest's other kinds of metrics are not.

mod config;
mod limits;
mod replicas;

#[cfg(test)]
mod vectors;

pub use config::{Behavior, PolicyKind, ScalingPolicy, ScalingRules, SelectPolicy, TargetConfig};
use limits::{Bounds, History};
use replicas::{Goal, Pod, Standing, Tolerances, replicas};

use super::config::ScaleMetric;
use super::instance::{InstanceSample, Phase, Usage};
use super::reason::Finding;
use super::rule::Judgement;
use crate::units::Nanos;

/// What an instance is allotted of a share, in thousandths: all of it.
const WHOLE: i64 = 1000;

/// The rule, and what it remembers.
#[derive(Clone, Debug)]
pub(super) struct Target {
    config: TargetConfig,
    history: History,
    begun: bool,
}

impl Target {
    pub(super) fn new(config: TargetConfig) -> Self {
        Self { config, history: History::default(), begun: false }
    }

    /// How many of `current` instances there should be, from `min` to `max`.
    pub(super) fn judge(
        &mut self,
        now: Nanos,
        metric: ScaleMetric,
        instances: &[InstanceSample],
        current: u32,
        (min, max): (u32, u32),
    ) -> Judgement {
        let size = i64::from(current);
        if !std::mem::replace(&mut self.begun, true) {
            self.history.recommended.push((now, size));
        }
        let pods: Vec<Pod> = instances
            .iter()
            .filter_map(|instance| self.standing(now, metric, instance))
            .map(|standing| Pod { standing, request: WHOLE })
            .collect();
        let goal = self.goal(metric);
        let Some(found) = replicas(&pods, goal, self.tolerances(), size) else {
            return Judgement::none(Finding::NoSample);
        };
        let (mean, target) = match goal {
            Goal::Utilization(percent) => (found.usage as f64 / 100.0, percent as f64 / 100.0),
            Goal::Average(goal) => (found.usage as f64 / 1000.0, goal as f64 / 1000.0),
        };
        let wanted = found.replicas.clamp(0, i64::from(u32::MAX)) as u32;
        let (of, assumed) = (found.measured, found.assumed);
        let finding = Finding::Target { metric, mean, of, target, assumed, wanted };
        let mut limits = Vec::new();
        let sizes = (size, found.replicas);
        let bounds = Bounds { min: min.into(), max: max.into() };
        let window = self.config.stabilization;
        let allowed = match &self.config.behavior {
            None => self.history.plain(now, sizes, window, bounds, &mut limits),
            Some(behavior) => {
                let behavior = (behavior, window);
                self.history.with_behavior(now, sizes, behavior, bounds, &mut limits)
            }
        };
        let allowed = allowed.clamp(bounds.min, bounds.max) as u32;
        Judgement { wanted: Some(allowed), finding, limits }
    }

    /// The group was told to change.
    pub(super) fn changed(&mut self, now: Nanos, before: u32, after: u32) {
        if let Some(behavior) = &self.config.behavior {
            self.history.changed(now, (before.into(), after.into()), behavior);
        }
    }

    fn goal(&self, metric: ScaleMetric) -> Goal {
        if metric.is_share() {
            Goal::Utilization((self.config.value * 100.0).round().max(1.0) as i64)
        } else {
            Goal::Average(thousandths(self.config.value).max(1))
        }
    }

    fn tolerances(&self) -> Tolerances {
        let behavior = self.config.behavior.as_ref();
        let of = |tolerance: Option<f64>| tolerance.unwrap_or(self.config.tolerance);
        Tolerances {
            down: of(behavior.and_then(|behavior| behavior.down.tolerance)),
            up: of(behavior.and_then(|behavior| behavior.up.tolerance)),
        }
    }

    /// How an instance counts (`groupPods`); `None` if it does not.
    fn standing(
        &self,
        now: Nanos,
        metric: ScaleMetric,
        instance: &InstanceSample,
    ) -> Option<Standing> {
        let usage = instance.usage.filter(|usage| usage.value.is_finite());
        match (instance.phase, usage) {
            (Phase::Draining | Phase::Dead, _) => None,
            // As a pod that is pending.
            (Phase::Starting, None) => Some(Standing::Unready),
            (_, None) => Some(Standing::Missing),
            (_, Some(usage)) if metric.is_share() && self.is_unready(now, instance, usage) => {
                Some(Standing::Unready)
            }
            (_, Some(usage)) => Some(Standing::Measured(thousandths(usage.value))),
        }
    }

    /// The rules for CPU: in its first time an instance counts once it is ready and was measured
    /// over a whole window since; later unless it has never been ready.
    fn is_unready(&self, now: Nanos, instance: &InstanceSample, usage: Usage) -> bool {
        let TargetConfig { initialization, initial_readiness_delay, .. } = self.config;
        let is_ready = instance.phase == Phase::Ready;
        let (started, changed) = (instance.started_at, instance.readiness_changed_at);
        if started + initialization > now {
            let window = usage.until.since(usage.from);
            !is_ready || usage.until < changed + window
        } else {
            !is_ready && started + initial_readiness_delay > changed
        }
    }
}

/// Thousandths, rounded up as those of a quantity, but for what is below a billionth.
fn thousandths(value: f64) -> i64 {
    libm::ceil((value * 1e9).round() / 1e6) as i64
}
