//! `[autoscaler]`: who changes the number of instances of a group, by which rule, from what it
//! knows.

use crate::policy::scale::{PolicyKind, ScaleMetric, SelectPolicy};
use crate::scenario::autoscaler::MetricSource;
use crate::scenario::diagnostic::{Problems, suggestion};
use crate::scenario::reader::{
    Count, Fields, Read, Section, Written, described, read_section, section_schema,
};
use crate::scenario::section::{about, choice, section};
use crate::scenario::tree::{Node, Value};
use crate::units::{Rate, Ratio, Span};

section! {
    /// The autoscaler of one group of backends. It has at most one rule: `threshold`, `target` or
    /// `target_tracking`.
    pub(crate) struct AutoscalerSection {
        /// Name of the group that is scaled; its instances are name-1 to name-MAX. Default: the
        /// only group that is no backup.
        optional backend: String,
        /// Fewest instances. Default: 1. A group begins with its `count`, or with this.
        optional min: Count,
        /// Most instances.
        required max: Count,
        /// Time between decisions, which fall on its multiples. Default: 15s.
        optional poll: Span,
        /// What is looked at, as a mean over the instances: `utilization`, the share of time in
        /// which workers were busy; `cpu`, CPU time over what is allotted; `in_flight`, requests at
        /// the instance; `queue`, requests waiting there; `requests`, requests per second. Or, with
        /// `target`, several tables, each with a target of its own: the metric that asks for most
        /// instances counts. Default: utilization.
        optional metric: MetricForm,
        /// Time between two looks at the instances. Default: 15s.
        optional scrape_interval: Span,
        /// Over how long the metric is taken: the window of Prometheus's `rate()`. Default: 1m.
        optional rate_window: Span,
        /// From the start of an instance until it is ready. Default: 0s.
        optional start_up: Span,
        /// Longest time an instance that leaves may take to finish what it has. Default: 30s.
        optional drain_timeout: Span,
        /// No growth this long after the last one was carried out. Default: 0s with `target`, 5m
        /// with `target_tracking`, and with `threshold` the time after which the metric shows what
        /// was done: rate_window + scrape_interval.
        optional cooldown_up: Span,
        /// No shrinking this long after the last change of either direction was carried out.
        /// Default: as that of `cooldown_up`.
        optional cooldown_down: Span,
        /// Most instances that one decision adds. Default: no limit.
        optional max_step_up: Count,
        /// Most instances that one decision takes away. Default: no limit.
        optional max_step_down: Count,
        /// Where the metric comes from in the live world: `scrape`, from the instances themselves,
        /// or `prometheus`. Default: scrape.
        optional source: MetricSource,
        /// What each second should hold, such as `p99 < 300ms` or `errors < 1%`; the report counts
        /// the seconds that do not. Default: the first check of this form.
        optional slo: String,
        /// Up above one mark, down below another. The default rule.
        optional threshold: ThresholdSection,
        /// Kubernetes' horizontal pod autoscaler (HPA).
        optional target: TargetSection,
        /// Target tracking of AWS.
        optional target_tracking: TargetTrackingSection,
        /// The pause after a failed poll or action.
        optional backoff: ScaleBackoffSection,
    }
}

section! {
    /// Up above one mark, down below another, and nothing between.
    pub(crate) struct ThresholdSection {
        /// Above this the group grows: a percentage, or a number for the other metrics. Default: 70%.
        optional up: Level,
        /// Below this it shrinks. Default: 30%.
        optional down: Level,
        /// Polls in a row above `up` before it grows. Default: 1.
        optional up_polls: Count,
        /// Polls in a row below `down` before it shrinks. Default: 1.
        optional down_polls: Count,
        /// Instances added or removed at once. Default: 1.
        optional step: Count,
    }
}

section! {
    /// One of the metrics that `target` goes by.
    pub(crate) struct MetricSection {
        /// Whose it is: `instances`, their mean counts; `balancer`, what all instances get together,
        /// `requests` (that arrive, per second), `in_flight` (at the backends) or `queue` (that wait
        /// at the balancer); `external`, something else. Default: instances.
        optional of: MetricOf,
        /// What is looked at: `utilization`, `cpu`, `in_flight`, `queue` or `requests`; of something
        /// external any name.
        required name: String,
        /// The target for each instance: the mean, or the whole divided by their number
        /// (`averageUtilization` and `averageValue` of a HPA).
        optional average_value: Level,
        /// The target for the whole, in place of `average_value`; not for metrics of the instances.
        optional value: Level,
        /// For something external: what Prometheus is asked; the values of the answer are added up.
        optional query: String,
        /// For something external: what it is, from each instant on. The model has it from here, and
        /// so has the live world where no Prometheus is asked.
        optional series: Vec<Written<SeriesSection>>,
    }
}

section! {
    /// What an external metric is from an instant on.
    pub(crate) struct SeriesSection {
        /// Since the start.
        required at: Span,
        /// Its value.
        required value: f64,
    }
}

section! {
    /// The rule of Kubernetes' HPA: as many instances as bring the metric to its target.
    pub(crate) struct TargetSection {
        /// The target: a percentage, or a number for the other metrics. Not where `metric` has
        /// tables, which have targets of their own.
        optional value: Level,
        /// Nothing is done this near to the target, as a share of it. Default: 10%.
        optional tolerance: Ratio,
        /// The most that was recommended within this time keeps the group from shrinking further.
        /// Default: 5m.
        optional stabilization: Span,
        /// For percentages: how long after its start an instance that is not ready, or whose
        /// sample began before it was, is left out. Default: 5m.
        optional initialization: Span,
        /// For percentages: an instance that became unready this soon after its start has never
        /// been ready. Default: 30s.
        optional initial_readiness_delay: Span,
        /// How fast it grows. Default: to twice its size or 4, the larger, at once; with
        /// `scale_down` alone +4 instances or +100% per 15s, the larger.
        optional scale_up: ScalingRulesSection,
        /// How fast it shrinks. Default: at once; with `scale_up` alone -100% per 15s.
        optional scale_down: ScalingRulesSection,
    }
}

section! {
    /// How fast the HPA moves one way.
    pub(crate) struct ScalingRulesSection {
        /// The least change recommended within this time counts. Default: 0s up, that of the
        /// target down.
        optional stabilization: Span,
        /// See `tolerance` of the target, for this way alone. Default: that.
        optional tolerance: Ratio,
        /// Which policy counts if there are several: `max`, the one that allows most, `min`, or
        /// `disabled`: no change this way. Default: max.
        optional select: SelectPolicy,
        /// The limits. Default: see scale_up and scale_down.
        optional policies: Vec<Written<ScalingPolicySection>>,
    }
}

section! {
    /// A limit on the change within a period.
    pub(crate) struct ScalingPolicySection {
        /// What `value` counts: `pods` (instances) or `percent` of those there at its beginning.
        required counts as "type": PolicyKind,
        /// Most instances, or percent, added or removed within `period`.
        required value: Count,
        /// How long it looks back; at most 30m.
        required period: Span,
    }
}

section! {
    /// Target tracking as AWS has it: an alarm above the target, another well below.
    pub(crate) struct TargetTrackingSection {
        /// The target: a percentage, or a number for the other metrics.
        required value: Level,
        /// Length of a period of the alarms. Default: 1m.
        optional period: Span,
        /// Periods in a row above the target before the group grows. Default: 3.
        optional up_periods: Count,
        /// Periods in a row well below the target before it shrinks. Default: 15.
        optional down_periods: Count,
        /// What well below is: this share of the target. Default: 90%.
        optional low: Ratio,
        /// How long a new instance is left out of the mean after it became ready. Default: 0s.
        optional warm_up: Span,
    }
}

section! {
    /// The pause after a failed poll or action: drawn below a bound that doubles with each failure
    /// in a row.
    pub(crate) struct ScaleBackoffSection {
        /// The bound after a first failure. Default: 1s.
        optional base: Span,
        /// The largest bound. Default: 5m, or the base if that is longer.
        optional max: Span,
    }
}

/// One metric by its name, or several with targets.
#[derive(Clone, Debug)]
pub(crate) enum MetricForm {
    /// The mean over the instances.
    One(ScaleMetric),
    /// Tables.
    Several(Vec<Written<MetricSection>>),
}

impl Read for MetricForm {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(_) => ScaleMetric::read(node, problems).map(Self::One),
            Value::Array(_) => Vec::read(node, problems).map(Self::Several),
            other => {
                let message = format!("expected a metric, found {}", other.kind());
                let help = "such as metric = \"utilization\", or tables [[autoscaler.metric]]";
                problems.report_with(&node.place, message, help);
                None
            }
        }
    }
    fn schema() -> serde_json::Value {
        let several = <Vec<Written<MetricSection>> as Read>::schema();
        serde_json::json!({ "anyOf": [ScaleMetric::schema(), several] })
    }
}

/// Whose a metric is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum MetricOf {
    #[default]
    Instances,
    Balancer,
    External,
}

/// A value of the metric, as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Level {
    /// A percentage; 1 is 100 %.
    Share(f64),
    /// Per second.
    PerSecond(f64),
    /// A number.
    Number(f64),
}

impl Read for Level {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Text(text) if text.trim_end().ends_with("/s") => {
                Rate::read(node, problems).map(|rate| Self::PerSecond(rate.0))
            }
            Value::Text(_) => Ratio::read(node, problems).map(|ratio| Self::Share(ratio.0)),
            Value::Integer(_) | Value::Float(_) => f64::read(node, problems).map(Self::Number),
            other => {
                let message = format!("expected a level, found {}", other.kind());
                problems.report_with(&node.place, message, "\"70%\", \"50/s\", or a number");
                None
            }
        }
    }
    fn schema() -> serde_json::Value {
        serde_json::json!({ "anyOf": [Ratio::schema(), Rate::schema(), f64::schema()] })
    }
}

choice! { SelectPolicy: "choice of policies",
    "max" => Self::Max,
    "min" => Self::Min,
    "disabled" => Self::Disabled,
}
choice! { PolicyKind: "type of policy", "pods" => Self::Pods, "percent" => Self::Percent }
choice! { ScaleMetric: "metric",
    "utilization" => Self::Utilization,
    "cpu" => Self::Cpu,
    "in_flight" => Self::InFlight,
    "queue" => Self::Queue,
    "requests" => Self::Requests,
}
choice! { MetricOf: "owner of a metric",
    "instances" => Self::Instances,
    "balancer" => Self::Balancer,
    "external" => Self::External,
}
choice! { MetricSource: "source of metrics",
    "scrape" => Self::Scrape,
    "prometheus" => Self::Prometheus,
}
