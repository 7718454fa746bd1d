//! The rule of the Kubernetes HPA as configured.

use serde::{Deserialize, Serialize};

use crate::units::Span;

/// Keep the mean at a target, as the Horizontal Pod Autoscaler of Kubernetes does.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetConfig {
    /// What to keep, one for each metric, in their order. Of a share whole percents count, of
    /// anything else thousandths, as in Kubernetes.
    pub values: Vec<TargetValue>,
    /// Relative distance from the target within which nothing changes
    /// (`--horizontal-pod-autoscaler-tolerance`), unless the behavior says otherwise.
    pub tolerance: f64,
    /// How long a higher recommendation keeps the group from shrinking
    /// (`--horizontal-pod-autoscaler-downscale-stabilization`), unless the behavior says otherwise.
    pub stabilization: Span,
    /// For so long after its start an instance counts only once it is ready and was measured over a
    /// whole window since (`--horizontal-pod-autoscaler-cpu-initialization-period`). For shares
    /// alone.
    pub initialization: Span,
    /// An unready instance whose readiness changed last within this time of its start has never
    /// been ready (`--horizontal-pod-autoscaler-initial-readiness-delay`). For shares alone.
    pub initial_readiness_delay: Span,
    /// How fast the group may grow and shrink. Without it, to twice its size or 4 at once, and down
    /// at once.
    pub behavior: Option<Behavior>,
}

impl TargetConfig {
    /// A target for the mean of one metric, with Kubernetes' defaults: 10 % tolerance, 5 min of
    /// stabilization.
    #[must_use]
    pub fn new(value: f64) -> Self {
        Self {
            values: vec![TargetValue::Average(value)],
            tolerance: 0.1,
            stabilization: Span::from_secs(300),
            initialization: Span::from_secs(300),
            initial_readiness_delay: Span::from_secs(30),
            behavior: None,
        }
    }
}

/// What is to be kept, in the metric's unit: above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TargetValue {
    /// For each instance (`averageUtilization`, `averageValue`): the mean, or the whole divided by
    /// their number.
    Average(f64),
    /// The whole (`value`); for metrics that are not of the instances.
    Whole(f64),
}

impl TargetValue {
    /// The number.
    #[must_use]
    pub const fn number(self) -> f64 {
        match self {
            Self::Average(value) | Self::Whole(value) => value,
        }
    }
}

/// How fast a group may grow and shrink (`behavior`).
#[derive(Clone, Debug, PartialEq)]
pub struct Behavior {
    /// Growing (`scaleUp`).
    pub up: ScalingRules,
    /// Shrinking (`scaleDown`).
    pub down: ScalingRules,
}

impl Default for Behavior {
    fn default() -> Self {
        Self { up: ScalingRules::up(), down: ScalingRules::down() }
    }
}

/// How fast in one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingRules {
    /// The least that was recommended in this time is what the group grows to; the most, what it
    /// shrinks to. `None` is [`TargetConfig::stabilization`] when shrinking, else nothing.
    pub stabilization: Option<Span>,
    /// Which of the policies counts.
    pub select: SelectPolicy,
    /// What each allows; at least one, unless the direction is disabled.
    pub policies: Vec<ScalingPolicy>,
    /// [`TargetConfig::tolerance`] in this direction.
    pub tolerance: Option<f64>,
}

impl ScalingRules {
    /// Kubernetes' defaults for growing: 4 instances or 100 % in 15 s, whatever is more.
    #[must_use]
    pub fn up() -> Self {
        let policy = |kind, value| ScalingPolicy { kind, value, period: Span::from_secs(15) };
        Self {
            stabilization: None,
            select: SelectPolicy::Max,
            policies: vec![policy(PolicyKind::Pods, 4), policy(PolicyKind::Percent, 100)],
            tolerance: None,
        }
    }

    /// Kubernetes' defaults for shrinking: 100 % in 15 s.
    #[must_use]
    pub fn down() -> Self {
        let period = Span::from_secs(15);
        let all = ScalingPolicy { kind: PolicyKind::Percent, value: 100, period };
        Self { policies: vec![all], ..Self::up() }
    }
}

/// Which of several policies counts (`selectPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelectPolicy {
    /// The one that allows the greatest change.
    #[default]
    Max,
    /// The one that allows the least.
    Min,
    /// None: the group does not change in this direction.
    Disabled,
}

/// How much a group may change in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScalingPolicy {
    /// What `value` counts.
    pub kind: PolicyKind,
    /// How much; above 0.
    pub value: u32,
    /// In which time; from 1 s to 30 min in Kubernetes.
    pub period: Span,
}

/// What a policy counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// Instances.
    Pods,
    /// Percent of the group at the beginning of the period.
    Percent,
}
