//! `[sweep]`: keys of the scenario that `lab sweep` changes.

use crate::scenario::diagnostic::{Problems, suggestion};
use crate::scenario::reader::{
    Count, Fields, Read, Section, Written, described, read_section, section_schema,
};
use crate::scenario::section::{about, choice, section};
use crate::scenario::sweep::{AxisValue, Measure, Scale};
use crate::scenario::tree::{Node, Value};

section! {
    /// A sweep over keys of this scenario, which `lab sweep` runs in the model; `lab run` runs the
    /// scenario as it stands.
    pub(crate) struct SweepSection {
        /// What changes, one table for each key.
        required axis: Vec<Written<AxisSection>>,
        /// Points of a Latin hypercube over the axes with `low` and `high`; every combination of the
        /// lists is run at each of them. Default: a grid.
        optional samples: Count,
        /// Seed of the hypercube. Default: `scenario.seed`.
        optional seed: u64,
        /// The statistic by which points are compared: mean, p50, p90, p99, p99.9, errors, goodput
        /// or retries. Default: p99.
        optional measure: Measure,
        /// Key of the axis whose values are compared under each condition of the others. Default:
        /// `balancer.algorithm`, or the first list of words.
        optional compare: String,
    }
}

section! {
    /// A key and what it becomes: a list of values, or a range.
    pub(crate) struct AxisSection {
        /// A key of the scenario as `--set` takes it, such as `balancer.algorithm`, `traffic.rate` or
        /// `backend.slow.speed`; or `load`, the offered load as a share of what the servers can serve.
        required key: String,
        /// The values, in order.
        optional values: Vec<Written<AnyValue>>,
        /// Lower end of a range: a number, with its unit in quotes. Two whole numbers make a range
        /// of whole numbers.
        optional low: AnyValue,
        /// Upper end of a range, in the same unit.
        optional high: AnyValue,
        /// How a range is filled: linear, or log for equal ratios. Default: linear.
        optional scale: Scale,
        /// Number of values of a range in a grid. Default: 5.
        optional steps: Count,
    }
}

choice! { Scale: "scale", "linear" => Self::Linear, "log" => Self::Log }

choice! { Measure: "measure",
    "mean" => Self::Mean,
    "p50" => Self::P50,
    "p90" => Self::P90,
    "p99" => Self::P99,
    "p99.9" => Self::P999,
    "errors" => Self::Errors,
    "goodput" => Self::Goodput,
    "retries" => Self::Retries,
}

/// A value of whatever type the key has.
#[derive(Clone, Debug)]
pub(crate) struct AnyValue {
    pub(crate) value: AxisValue,
    /// Whether it is a whole number.
    pub(crate) whole: bool,
}

impl Read for AnyValue {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some(toml) = node.to_toml() else {
            problems.report(&node.place, format!("{} cannot be swept", node.value.kind()));
            return None;
        };
        let label = match &node.value {
            Value::Text(text) => text.clone(),
            _ => toml.clone(),
        };
        let whole = matches!(node.value, Value::Integer(_));
        Some(Self { value: AxisValue { toml, label }, whole })
    }
    fn schema() -> serde_json::Value {
        serde_json::json!({})
    }
}
