//! A sweep as meant: which keys change, how, and what is compared.

use serde::{Deserialize, Serialize};

/// What stands for the offered load as a share of what the servers can serve, where an axis names
/// a key: no key of a scenario, but the rate that follows from the servers of each point.
pub const LOAD: &str = "load";

/// A sweep over keys of a scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepFacts {
    /// The keys that change; at least one, each once.
    pub axes: Vec<SweepAxis>,
    /// Points of a Latin hypercube over the axes with a range; `None` is a grid.
    pub samples: Option<u32>,
    /// Seed of the hypercube.
    pub seed: u64,
    /// The statistic by which points are compared.
    pub measure: Measure,
    /// Key of the axis whose values are compared with one another; `None` chooses.
    pub compare: Option<String>,
}

/// A key and what it becomes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepAxis {
    /// Path of a key as an override takes it, such as `balancer.algorithm`, or [`LOAD`].
    pub key: String,
    /// Its values.
    pub values: AxisValues,
}

/// The values of an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AxisValues {
    /// These, in this order.
    List(Vec<AxisValue>),
    /// Everything between two numbers of one unit.
    Range(AxisRange),
}

/// One value of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AxisValue {
    /// As an override takes it.
    pub toml: String,
    /// For people and folders: the text without quotes.
    pub label: String,
}

/// A range of an axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AxisRange {
    /// Its lower end.
    pub low: f64,
    /// Its upper end, above `low`.
    pub high: f64,
    /// Unit of both ends, such as `/s`; empty for plain numbers.
    pub unit: String,
    /// Whether only whole numbers are meant.
    pub whole: bool,
    /// Whether equal ratios, and not equal differences, are equally likely.
    pub scale: Scale,
    /// Number of values in a grid.
    pub steps: u32,
}

/// How a range is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// By equal differences.
    #[default]
    Linear,
    /// By equal ratios.
    Log,
}

/// Values of a range in a grid, unless it says otherwise.
pub const DEFAULT_STEPS: u32 = 5;

impl AxisRange {
    /// The range from `low` to `high` as they are written, such as `10ms` and `2`.
    ///
    /// # Errors
    /// A sentence: they are no numbers, their units differ, or they are in no order.
    pub fn between(
        low: &str,
        high: &str,
        whole: bool,
        scale: Scale,
        steps: u32,
    ) -> Result<Self, String> {
        let no_number = |text: &str| format!("`{text}` is no number of which there is a range");
        let (from, unit) = Self::number_and_unit(low).ok_or_else(|| no_number(low))?;
        let (to, other) = Self::number_and_unit(high).ok_or_else(|| no_number(high))?;
        if unit != other {
            return Err(format!("{low} and {high} are in two units: write both in one"));
        }
        if from >= to {
            return Err(format!("the range ends at {high}, which is not above {low}"));
        }
        if scale == Scale::Log && from <= 0.0 {
            return Err(format!("a logarithmic range cannot begin at {low}"));
        }
        let unit = unit.to_owned();
        Ok(Self { low: from, high: to, unit, whole, scale, steps })
    }

    /// A finite number and what follows it, such as `/s`.
    #[must_use]
    pub fn number_and_unit(text: &str) -> Option<(f64, &str)> {
        let text = text.trim();
        let digit = |c: char| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | '_');
        let end = text.find(|c: char| !digit(c)).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let number: f64 = number.replace('_', "").parse().ok()?;
        number.is_finite().then_some((number, unit.trim()))
    }

    /// The number at `place`, from 0 (low) to 1 (high): four significant digits, or whole.
    #[must_use]
    pub fn at(&self, place: f64) -> f64 {
        let value = match self.scale {
            Scale::Linear => self.low + (self.high - self.low) * place,
            Scale::Log => self.low * libm::exp(place * libm::log(self.high / self.low)),
        };
        let value = if self.whole { value.round() } else { four_digits(value) };
        value.clamp(self.low, self.high)
    }

    /// `number` as an override takes it.
    #[must_use]
    pub fn value(&self, number: f64) -> AxisValue {
        let label = format!("{number}{}", self.unit);
        let toml = if self.unit.is_empty() { label.clone() } else { format!("\"{label}\"") };
        AxisValue { toml, label }
    }

    /// The values of a grid, each once.
    #[must_use]
    pub fn grid(&self) -> Vec<AxisValue> {
        let last = self.steps.max(2) - 1;
        let places = (0..=last).map(|step| f64::from(step) / f64::from(last));
        let mut values: Vec<AxisValue> = places.map(|at| self.value(self.at(at))).collect();
        values.dedup();
        values
    }
}

fn four_digits(value: f64) -> f64 {
    // Printing rounds correctly, and reading back gives the nearest number: the same everywhere.
    format!("{value:.3e}").parse().unwrap_or(value)
}

/// A statistic by which the points of a sweep are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Mean latency.
    Mean,
    /// Median latency.
    P50,
    /// 90th percentile of the latency.
    P90,
    /// 99th percentile of the latency.
    #[default]
    P99,
    /// 99.9th percentile of the latency.
    P999,
    /// Share of failed requests.
    Errors,
    /// Answered requests per second.
    Goodput,
    /// Share of requests with more than one attempt.
    Retries,
}

impl Measure {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Mean,
        Self::P50,
        Self::P90,
        Self::P99,
        Self::P999,
        Self::Errors,
        Self::Goodput,
        Self::Retries,
    ];

    /// As it is written in a scenario, and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
            Self::Errors => "errors",
            Self::Goodput => "goodput",
            Self::Retries => "retries",
        }
    }

    /// Whether it is a latency, in nanoseconds.
    #[must_use]
    pub const fn is_latency(self) -> bool {
        matches!(self, Self::Mean | Self::P50 | Self::P90 | Self::P99 | Self::P999)
    }

    /// Whether more of it is better.
    #[must_use]
    pub const fn more_is_better(self) -> bool {
        matches!(self, Self::Goodput)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(low: f64, high: f64, scale: Scale) -> AxisRange {
        AxisRange { low, high, unit: "ms".to_owned(), whole: false, scale, steps: 3 }
    }

    #[test]
    fn a_grid_has_both_ends_and_equal_steps_or_ratios() {
        let labels = |range: AxisRange| {
            range.grid().into_iter().map(|value| value.label).collect::<Vec<_>>()
        };
        assert_eq!(labels(range(1.0, 100.0, Scale::Log)), ["1ms", "10ms", "100ms"]);
        assert_eq!(labels(range(1.0, 2.0, Scale::Linear)), ["1ms", "1.5ms", "2ms"]);
        let whole =
            AxisRange { whole: true, unit: String::new(), ..range(1.0, 2.0, Scale::Linear) };
        assert_eq!(labels(whole), ["1", "2"]);
    }

    #[test]
    fn a_number_with_a_unit_is_a_text_of_toml() {
        let value = range(1.0, 3.0, Scale::Linear).value(1.0 + 1.0 / 3.0);
        assert_eq!(
            (&*value.toml, &*value.label),
            ("\"1.3333333333333333ms\"", "1.3333333333333333ms")
        );
        let at = range(1.0, 3.0, Scale::Linear).at(1.0 / 6.0);
        assert!((at - 1.333).abs() < 1e-12, "{at}");
    }
}
