//! The rules, as one.

use super::config::{ScaleConfig, ScaleRule};
use super::decision::Direction;
use super::instance::{InstanceSample, Measured};
use super::metric::{Reading, Readings};
use super::reason::{Finding, Limit};
use super::target::Target;
use super::target_tracking::TargetTracking;
use super::threshold::Threshold;
use crate::units::{Nanos, Span};

/// What a rule makes of what was measured.
#[derive(Clone, Debug)]
pub(super) struct Judgement {
    /// How many instances there should be; `None` if nothing was measured.
    pub(super) wanted: Option<u32>,
    pub(super) finding: Finding,
    /// What of its own kept it from wanting more, or less.
    pub(super) limits: Vec<Limit>,
}

impl Judgement {
    pub(super) const fn none(finding: Finding) -> Self {
        Self { wanted: None, finding, limits: Vec::new() }
    }
}

/// A rule and what it remembers.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Threshold(Threshold),
    Target(Box<Target>),
    TargetTracking(Box<TargetTracking>),
}

impl Rule {
    pub(super) fn new(rule: &ScaleRule) -> Self {
        match rule {
            ScaleRule::Threshold(config) => Self::Threshold(Threshold::new(*config)),
            ScaleRule::Target(config) => Self::Target(Box::new(Target::new(config.clone()))),
            ScaleRule::TargetTracking(config) => {
                Self::TargetTracking(Box::new(TargetTracking::new(*config)))
            }
        }
    }

    /// How many of `size` instances there should be.
    pub(super) fn judge(
        &mut self,
        now: Nanos,
        config: &ScaleConfig,
        (instances, readings): (&[InstanceSample], &Readings),
        size: u32,
    ) -> Judgement {
        let rule = match self {
            Self::Target(rule) => {
                let bounds = (config.min, config.max);
                let known = (instances, readings);
                return rule.judge(now, &config.metrics, known, size, bounds);
            }
            rule => rule,
        };
        let measured = match readings.first() {
            Some(Ok(Reading::Instances(usages))) => Measured::all(instances, usages),
            Some(Err(error)) => return Judgement::none(Finding::NoMetrics(error.clone())),
            Some(Ok(Reading::Whole(_))) | None => Vec::new(),
        };
        match rule {
            Self::Threshold(rule) => rule.judge(config.unit(), &measured, size),
            Self::TargetTracking(rule) => rule.judge(now, config.unit(), &measured, size),
            Self::Target(_) => Judgement::none(Finding::NoSample),
        }
    }

    /// The group was told to change.
    pub(super) fn changed(&mut self, now: Nanos, before: u32, after: u32) {
        match self {
            Self::Threshold(_) => {}
            Self::Target(rule) => rule.changed(now, before, after),
            Self::TargetTracking(rule) => rule.changed(now),
        }
    }

    /// Whether it waits for a change that is being carried out before it wants another. The HPA does
    /// not, nor does AWS before it adds more: they count what starts. With a cooldown, which begins
    /// when the change is done, they do.
    pub(super) const fn waits(&self, direction: Direction, cooldown: Span) -> bool {
        match (self, direction) {
            (Self::Threshold(_), _) | (Self::TargetTracking(_), Direction::In) => true,
            (Self::Target(_), _) | (Self::TargetTracking(_), Direction::Out) => cooldown.0 > 0,
        }
    }
}
