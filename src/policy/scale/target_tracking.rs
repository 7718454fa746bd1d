//! Keep the mean at a target by two alarms: target tracking as of AWS Auto Scaling.
//!
//! As its documentation has it ("Target tracking scaling policies", "Amazon EC2 Auto Scaling User
//! Guide"): the metric is looked at in periods of a minute; above the target for 3 of them in a row
//! the group grows in proportion, below 90 % of it for 15 in a row it shrinks. How far it shrinks at
//! once is not said, only that it is more gradual: here by one. New instances count in the size at
//! once, and in the mean when they have warmed up; until then the group does not shrink. Without
//! data a period breaks the row.

use super::instance::{Measured, Phase};
use super::metric::ScaleMetric;
use super::reason::{Finding, Limit};
use super::rule::Judgement;
use crate::units::{Nanos, Span};

/// Target tracking as configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetTrackingConfig {
    /// The mean to keep, in the metric's unit; above 0.
    pub value: f64,
    /// Over which the metric is averaged for one data point; positive.
    pub period: Span,
    /// Data points in a row above the target that make the group grow; at least 1.
    pub up_periods: u32,
    /// Data points in a row below `low` that make it shrink; at least 1.
    pub down_periods: u32,
    /// Share of the target below which the group may shrink, from 0 to 1.
    pub low: f64,
    /// How long after it is ready an instance is left out of the mean.
    pub warm_up: Span,
}

impl TargetTrackingConfig {
    /// A target with the values of AWS: alarms at 3 and 15 minutes, without warm-up.
    #[must_use]
    pub const fn new(value: f64) -> Self {
        Self {
            value,
            period: Span::from_secs(60),
            up_periods: 3,
            down_periods: 15,
            low: 0.9,
            warm_up: Span::ZERO,
        }
    }
}

/// The rule, and its data points.
#[derive(Clone, Debug)]
pub(super) struct TargetTracking {
    config: TargetTrackingConfig,
    /// The period that polls fall in now, by number, and what they found.
    period: u64,
    sum: f64,
    count: u32,
    /// Periods in a row that were above the target, and below its share.
    above: u32,
    below: u32,
}

impl TargetTracking {
    pub(super) const fn new(config: TargetTrackingConfig) -> Self {
        Self { config, period: 0, sum: 0.0, count: 0, above: 0, below: 0 }
    }

    pub(super) fn judge(
        &mut self,
        now: Nanos,
        metric: ScaleMetric,
        instances: &[Measured],
        size: u32,
    ) -> Judgement {
        let TargetTrackingConfig { value: target, up_periods, down_periods, low, .. } = self.config;
        let warm: Vec<f64> = self.warm(now, instances).collect();
        let Some(mean) = mean(&warm) else {
            self.pass(now, None);
            return Judgement::none(Finding::NoSample);
        };
        self.pass(now, Some(mean));
        let of = warm.len() as u32;
        let proportional = libm::ceil(f64::from(size) * mean / target);
        let proportional = (proportional as u32).max(1);
        let (wanted, periods, needed) = if mean > target {
            (proportional.max(size), self.above, up_periods.max(1))
        } else if mean < low * target {
            (proportional.min(size), self.below, down_periods.max(1))
        } else {
            (size, 0, 0)
        };
        let finding = Finding::Target { metric, mean, of, target, assumed: 0, wanted };
        let mut limits = Vec::new();
        let allowed = if wanted == size {
            size
        } else if periods < needed {
            limits.push(Limit::Alarm { periods, needed, period: self.config.period });
            size
        } else if wanted > size {
            wanted
        } else if self.is_warming(now, instances) {
            limits.push(Limit::WarmingUp);
            size
        } else {
            if wanted + 1 < size {
                limits.push(Limit::StepDown(1));
            }
            size - 1
        };
        Judgement { wanted: Some(allowed), finding, limits }
    }

    /// After a change the alarms begin anew.
    pub(super) const fn changed(&mut self, _now: Nanos) {
        (self.above, self.below) = (0, 0);
    }

    /// Takes in what a poll found; with the first of a new period the last one becomes a data point.
    fn pass(&mut self, now: Nanos, mean: Option<f64>) {
        // A poll at the end of a period belongs to it.
        let period = now.0.saturating_sub(1) / self.config.period.0.max(1);
        if period != self.period {
            let missed = period - self.period > 1;
            self.close(missed);
            self.period = period;
        }
        if let Some(mean) = mean {
            self.sum += mean;
            self.count += 1;
        }
        let ends = now.0.is_multiple_of(self.config.period.0.max(1));
        if ends {
            self.close(false);
            self.period = period + 1;
        }
    }

    fn close(&mut self, missed: bool) {
        let point = (self.count > 0 && !missed).then(|| self.sum / f64::from(self.count));
        (self.sum, self.count) = (0.0, 0);
        let TargetTrackingConfig { value, low, .. } = self.config;
        let above = point.is_some_and(|point| point > value);
        let below = point.is_some_and(|point| point < low * value);
        self.above = if above { self.above.saturating_add(1) } else { 0 };
        self.below = if below { self.below.saturating_add(1) } else { 0 };
    }

    fn warm(&self, now: Nanos, instances: &[Measured]) -> impl Iterator<Item = f64> {
        let warm_up = self.config.warm_up;
        let warm =
            instances.iter().filter(move |one| one.instance.readiness_changed_at + warm_up <= now);
        warm.filter_map(Measured::counted)
    }

    fn is_warming(&self, now: Nanos, instances: &[Measured]) -> bool {
        instances.iter().any(|one| match one.instance.phase {
            Phase::Starting => true,
            Phase::Ready => one.instance.readiness_changed_at + self.config.warm_up > now,
            Phase::Unready | Phase::Draining | Phase::Dead => false,
        })
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
