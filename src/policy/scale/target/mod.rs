//! Keep the mean at a target: the rule of the Kubernetes Horizontal Pod Autoscaler.
//!
//! Of the version with tolerances in each direction (1.33), with one metric or several; a group of
//! none is not made.

mod config;
mod limits;
mod replicas;

#[cfg(test)]
mod vectors;

pub use config::{
    Behavior, PolicyKind, ScalingPolicy, ScalingRules, SelectPolicy, TargetConfig, TargetValue,
};
use limits::{Bounds, History};
use replicas::{Goal, Pod, Standing, Tolerances, Whole, replicas};

use super::decision::MetricsError;
use super::instance::{InstanceSample, Measured, Phase, Usage};
use super::metric::{Metric, Reading, Readings, ScaleMetric};
use super::reason::{Finding, Limit};
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

/// What one metric proposes.
struct Proposed {
    replicas: i64,
    finding: Finding,
}

impl Target {
    pub(super) fn new(config: TargetConfig) -> Self {
        Self { config, history: History::default(), begun: false }
    }

    /// How many of `current` instances there should be, from `min` to `max`: as many as the metric
    /// wants that wants most (`computeReplicasForMetrics` in
    /// `pkg/controller/podautoscaler/horizontal.go`).
    pub(super) fn judge(
        &mut self,
        now: Nanos,
        metrics: &[Metric],
        (instances, readings): (&[InstanceSample], &Readings),
        current: u32,
        (min, max): (u32, u32),
    ) -> Judgement {
        let size = i64::from(current);
        if !std::mem::replace(&mut self.begun, true) {
            self.history.recommended.push((now, size));
        }
        let mut proposed = Vec::new();
        let mut unknown: Option<(String, Finding)> = None;
        let mut unknowns = 0;
        for (metric, target, reading) in self.each(metrics, readings) {
            match self.propose(now, (metric, target), (instances, reading), size) {
                Ok(one) => proposed.push(one),
                Err(finding) => {
                    unknowns += 1;
                    unknown.get_or_insert_with(|| (metric.to_string(), finding));
                }
            }
        }
        // Of equals the first.
        let most = proposed.iter().map(|one| one.replicas).max();
        let Some(wanted) = most else {
            return Judgement::none(unknown.map_or(Finding::NoSample, |(_, finding)| finding));
        };
        let first = proposed.iter().position(|one| one.replicas == wanted).unwrap_or_default();
        let finding = proposed.remove(first).finding;
        let others: Vec<Finding> = proposed.into_iter().map(|one| one.finding).collect();
        let finding = match others.is_empty() {
            true => finding,
            false => Finding::Most { finding: Box::new(finding), others },
        };
        let mut limits = Vec::new();
        if let Some((metric, why)) = unknown {
            let why = why.to_string();
            limits.push(Limit::Unknown { metric, why, of: unknowns });
            if wanted < size {
                // What is not known might want more; nothing is recommended either.
                return Judgement { wanted: Some(current), finding, limits };
            }
        }
        let sizes = (size, wanted);
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

    /// Each metric with its target and what was measured.
    fn each<'a>(
        &self,
        metrics: &'a [Metric],
        readings: &'a Readings,
    ) -> Vec<(&'a Metric, TargetValue, &'a Result<Reading, MetricsError>)> {
        let targets = self.config.values.iter().copied();
        let both = metrics.iter().zip(targets).zip(readings);
        both.map(|((metric, target), reading)| (metric, target, reading)).collect()
    }

    /// What one metric proposes, or why it proposes nothing.
    fn propose(
        &self,
        now: Nanos,
        (metric, target): (&Metric, TargetValue),
        (instances, reading): (&[InstanceSample], &Result<Reading, MetricsError>),
        size: i64,
    ) -> Result<Proposed, Finding> {
        let reading = reading.as_ref().map_err(|error| Finding::NoMetrics(error.clone()))?;
        match reading {
            Reading::Instances(usages) => {
                let measured = Measured::all(instances, usages);
                self.propose_by_mean(now, (metric.unit(), target.number()), &measured, size)
            }
            Reading::Whole(value) if value.is_finite() => {
                let ready = instances.iter().filter(|one| one.phase == Phase::Ready).count();
                let (usage, goal) = (thousandths(*value), thousandths(target.number()).max(1));
                let whole = match target {
                    TargetValue::Whole(_) => Whole::Total { ready: ready as i64 },
                    TargetValue::Average(_) => Whole::Each,
                };
                let replicas = whole.replicas((usage, goal), self.tolerances(), size);
                let wanted = replicas.clamp(0, i64::from(u32::MAX)) as u32;
                let (metric, value) = (metric.clone(), usage as f64 / 1000.0);
                let finding = Finding::Whole { metric, value, target, wanted };
                Ok(Proposed { replicas, finding })
            }
            Reading::Whole(_) => Err(Finding::NoSample),
        }
    }

    fn propose_by_mean(
        &self,
        now: Nanos,
        (metric, value): (ScaleMetric, f64),
        instances: &[Measured],
        size: i64,
    ) -> Result<Proposed, Finding> {
        let pods: Vec<Pod> = instances
            .iter()
            .filter_map(|instance| self.standing(now, metric, instance))
            .map(|standing| Pod { standing, request: WHOLE })
            .collect();
        let goal = goal(metric, value);
        let Some(found) = replicas(&pods, goal, self.tolerances(), size) else {
            return Err(Finding::NoSample);
        };
        let (mean, target) = match goal {
            Goal::Utilization(percent) => (found.usage as f64 / 100.0, percent as f64 / 100.0),
            Goal::Average(goal) => (found.usage as f64 / 1000.0, goal as f64 / 1000.0),
        };
        let wanted = found.replicas.clamp(0, i64::from(u32::MAX)) as u32;
        let (of, assumed) = (found.measured, found.assumed);
        let finding = Finding::Target { metric, mean, of, target, assumed, wanted };
        Ok(Proposed { replicas: found.replicas, finding })
    }

    /// The group was told to change.
    pub(super) fn changed(&mut self, now: Nanos, before: u32, after: u32) {
        if let Some(behavior) = &self.config.behavior {
            self.history.changed(now, (before.into(), after.into()), behavior);
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
    fn standing(&self, now: Nanos, metric: ScaleMetric, measured: &Measured) -> Option<Standing> {
        let Measured { instance, usage } = measured;
        let usage = usage.filter(|usage| usage.value.is_finite());
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

fn goal(metric: ScaleMetric, value: f64) -> Goal {
    if metric.is_share() {
        Goal::Utilization((value * 100.0).round().max(1.0) as i64)
    } else {
        Goal::Average(thousandths(value).max(1))
    }
}

/// Thousandths, rounded up as those of a quantity, but for what is below a billionth.
fn thousandths(value: f64) -> i64 {
    libm::ceil((value * 1e9).round() / 1e6) as i64
}
