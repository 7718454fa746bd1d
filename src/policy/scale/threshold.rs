//! One more above an upper bound, one less below a lower one; nothing between.

use super::instance::Measured;
use super::metric::ScaleMetric;
use super::reason::Finding;
use super::rule::Judgement;

/// The threshold rule as configured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThresholdConfig {
    /// Instances are added while the mean is above this, in the metric's unit.
    pub up: f64,
    /// Instances are taken away while the mean is below this; below `up`.
    pub down: f64,
    /// Polls in a row that must find the mean above `up`; at least 1.
    pub up_polls: u32,
    /// Polls in a row that must find the mean below `down`; at least 1.
    pub down_polls: u32,
    /// Instances added or taken away at once; at least 1.
    pub step: u32,
}

/// Above 70 %, below 30 %, at once, by one.
impl Default for ThresholdConfig {
    fn default() -> Self {
        Self { up: 0.70, down: 0.30, up_polls: 1, down_polls: 1, step: 1 }
    }
}

/// The rule and how long it has seen what it sees.
#[derive(Clone, Debug)]
pub(super) struct Threshold {
    config: ThresholdConfig,
    above: u32,
    below: u32,
}

impl Threshold {
    pub(super) const fn new(config: ThresholdConfig) -> Self {
        Self { config, above: 0, below: 0 }
    }

    /// How many of `size` instances there should be.
    pub(super) fn judge(
        &mut self,
        metric: ScaleMetric,
        instances: &[Measured],
        size: u32,
    ) -> Judgement {
        let Some((mean, of)) = mean(instances) else { return Judgement::none(Finding::NoSample) };
        let ThresholdConfig { up, down, up_polls, down_polls, step } = self.config;
        self.above = if mean > up { self.above.saturating_add(1) } else { 0 };
        self.below = if mean < down { self.below.saturating_add(1) } else { 0 };
        let desired = if self.above >= up_polls.max(1) {
            size.saturating_add(step)
        } else if self.below >= down_polls.max(1) {
            size.saturating_sub(step)
        } else {
            size
        };
        let finding = if mean > up {
            Finding::Above { metric, mean, of, bound: up, polls: self.above, needed: up_polls }
        } else if mean < down {
            Finding::Below { metric, mean, of, bound: down, polls: self.below, needed: down_polls }
        } else {
            Finding::Between { metric, mean, of, down, up }
        };
        Judgement { wanted: Some(desired), finding, limits: Vec::new() }
    }
}

/// The mean over the ready instances that were measured, and how many those are.
fn mean(instances: &[Measured]) -> Option<(f64, u32)> {
    let values = || instances.iter().filter_map(Measured::counted);
    let count = values().count();
    (count > 0).then(|| (values().sum::<f64>() / count as f64, count as u32))
}
