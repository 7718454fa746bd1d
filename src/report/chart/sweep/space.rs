//! What of a sweep goes along which axis of a chart: the compared axis makes panels or colours, the
//! next two go along x and y, and of any further axes the first value is shown and said.

use crate::scenario::sweep::Measure;
use crate::sweep::{PointResult, Setting, SweepResults};

/// An axis of a chart.
pub(super) struct Axis {
    pub(super) key: String,
    /// Its labels in order; for a range, none.
    pub(super) labels: Vec<String>,
    /// Smallest and largest number, if it is of numbers.
    pub(super) numbers: Option<(f64, f64)>,
    pub(super) unit: String,
    pub(super) on_grid: bool,
}

impl Axis {
    /// What stands beside it.
    pub(super) fn title(&self) -> String {
        let unit = if self.unit.is_empty() { String::new() } else { format!(" ({})", self.unit) };
        format!("{}{unit}", self.key)
    }

    /// Where on it a point is: its number, or the place of its label.
    pub(super) fn place(&self, point: &PointResult) -> f64 {
        match point.setting(&self.key) {
            Some(Setting { number: Some(number), .. }) if self.numbers.is_some() => *number,
            Some(setting) => self.column(setting) as f64,
            None => 0.0,
        }
    }

    /// The place of its label.
    pub(super) fn column(&self, setting: &Setting) -> usize {
        self.labels.iter().position(|label| *label == setting.label).unwrap_or(0)
    }
}

/// How a sweep is laid out.
pub(super) struct Space {
    /// Labels of the compared axis; one empty label if there is none.
    pub(super) panels: Vec<String>,
    compare: Option<String>,
    pub(super) x: Option<Axis>,
    pub(super) y: Option<Axis>,
    /// Whether x is drawn from a range.
    pub(super) sampled: bool,
    /// Further axes on a grid, and the label of each that is shown.
    rest: Vec<(String, String)>,
}

impl Space {
    pub(super) fn of(results: &SweepResults) -> Self {
        let compare = results.ranking.compare.clone();
        let first: &[Setting] = results.points.first().map_or(&[], |point| &point.settings);
        let panels = match &compare {
            Some(key) => labels(results, key),
            None => vec![String::new()],
        };
        let keys = || {
            first
                .iter()
                .filter(|setting| Some(&setting.key) != compare.as_ref())
                .filter(|setting| labels(results, &setting.key).len() > 1)
        };
        let sampled = keys().any(|setting| !setting.on_grid);
        // Of a hypercube the ranges are shown; else long axes first, since they say the most.
        let mut keys: Vec<&Setting> = keys().collect();
        keys.sort_by_key(|setting| {
            (
                setting.on_grid,
                setting.number.is_none(),
                usize::MAX - labels(results, &setting.key).len(),
            )
        });
        let mut axes = keys.into_iter().map(|setting| axis(results, setting));
        let (x, y) = (axes.next(), axes.next());
        let rest = axes
            .filter(|axis| axis.on_grid)
            .filter_map(|axis| Some((axis.key, axis.labels.into_iter().next()?)))
            .collect();
        Self { panels, compare, x, y, sampled, rest }
    }

    /// The points of a panel.
    pub(super) fn points<'a>(
        &'a self,
        results: &'a SweepResults,
        panel: &'a str,
    ) -> impl Iterator<Item = &'a PointResult> + Clone {
        let has = |point: &PointResult, key: &str, label: &str| {
            point.setting(key).is_some_and(|setting| setting.label == label)
        };
        results.points.iter().filter(move |point| {
            let panel = self.compare.as_ref().is_none_or(|key| has(point, key, panel));
            panel && self.rest.iter().all(|(key, label)| has(point, key, label))
        })
    }

    /// What the line below a title says.
    pub(super) fn below(&self, results: &SweepResults) -> String {
        let mut text = format!(
            "{}, seed {}, sweep {}, {} points of {} replications",
            results.scenario,
            results.seed,
            results.sweep,
            results.points.len(),
            results.replications
        );
        for (key, label) in &self.rest {
            text.push_str(&format!(", {key} = {label}"));
        }
        text
    }

    /// Key of the compared axis, for titles.
    pub(super) fn by(&self) -> String {
        self.compare.as_ref().map_or_else(String::new, |key| format!(", by {key}"))
    }
}

fn labels(results: &SweepResults, key: &str) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for setting in results.points.iter().filter_map(|point| point.setting(key)) {
        if !labels.contains(&setting.label) {
            labels.push(setting.label.clone());
        }
    }
    labels
}

pub(super) fn axis(results: &SweepResults, first: &Setting) -> Axis {
    let settings = || results.points.iter().filter_map(|point| point.setting(&first.key));
    let number = |setting: &Setting| setting.number.filter(|_| setting.unit == first.unit);
    let numbers = settings().map(number).collect::<Option<Vec<f64>>>().map(|numbers| {
        let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    });
    Axis {
        key: first.key.clone(),
        labels: labels(results, &first.key),
        unit: if numbers.is_some() { first.unit.clone() } else { String::new() },
        numbers,
        on_grid: first.on_grid,
    }
}

/// A statistic on an axis or in a cell.
pub(super) fn shown(measure: Measure, value: f64) -> String {
    use crate::report::number::short_latency;
    match measure {
        latency if latency.is_latency() => short_latency(value),
        Measure::Goodput => format!("{}/s", (value * 10.0).round() / 10.0),
        _ => format!("{}%", (value * 1e4).round() / 100.0),
    }
}

/// The same with three digits, for cells.
pub(super) fn in_cell(measure: Measure, value: f64) -> String {
    let three = |value: f64| -> f64 { format!("{value:.2e}").parse().unwrap_or(value) };
    match measure {
        latency if latency.is_latency() => crate::report::number::short_latency(three(value)),
        Measure::Goodput => format!("{:.0}/s", value),
        _ => format!("{:.1}%", value * 100.0),
    }
}
