//! What an autoscaler goes by: one metric of the instances, or several, each with its target.

use super::or;
use super::rule::level_of;
use crate::policy::scale::{External, Metric, ScaleMetric, TargetValue};
use crate::scenario::checked::Engine;
use crate::scenario::diagnostic::{Place, Problems};
use crate::scenario::file::{
    AutoscalerSection, Level, MetricForm, MetricOf, MetricSection, ScenarioFile, SeriesSection,
};
use crate::scenario::reader::{Read as _, Written};
use crate::scenario::tree::{Node, Value};
use crate::units::Nanos;

/// The metrics.
pub(super) struct Metrics {
    /// At least one.
    pub(super) metrics: Vec<Metric>,
    /// Their targets, where they are written as tables.
    pub(super) values: Option<Vec<TargetValue>>,
    /// Where they are written.
    pub(super) place: Option<Place>,
}

/// Everything about metrics.
pub(super) fn lower(
    file: &ScenarioFile,
    section: &AutoscalerSection,
    problems: &mut Problems,
) -> Metrics {
    let place = section.metric.as_ref().map(|written| written.place.clone());
    let default = vec![Metric::Instances(ScaleMetric::default())];
    let tables = match section.metric.as_ref().map(|written| &written.value) {
        None => return Metrics { metrics: default, values: None, place },
        Some(MetricForm::One(metric)) => {
            return Metrics { metrics: vec![Metric::Instances(*metric)], values: None, place };
        }
        Some(MetricForm::Several(tables)) => tables,
    };
    let other_rule = section.threshold.as_ref().map(|rule| &rule.place);
    let other_rule = other_rule.or(section.target_tracking.as_ref().map(|rule| &rule.place));
    if let Some(other) = other_rule {
        let message = "this rule goes by one metric, and there are tables of them";
        problems.report_with(other, message, "write [autoscaler.target], or metric = \"cpu\"");
    }
    let lowered: Vec<_> =
        tables.iter().filter_map(|table| self::table(file, table, problems)).collect();
    if let (true, Some(place)) = (tables.is_empty(), &place) {
        problems.report(place, "there is no metric");
    }
    let (metrics, values): (Vec<_>, Vec<_>) = lowered.into_iter().unzip();
    let metrics = if metrics.is_empty() { default } else { metrics };
    Metrics { metrics, values: Some(values), place }
}

/// One table; what is wrong with it is reported.
fn table(
    file: &ScenarioFile,
    table: &Written<MetricSection>,
    problems: &mut Problems,
) -> Option<(Metric, TargetValue)> {
    let section = &table.value;
    let of = or(section.of.as_ref(), MetricOf::default());
    // A missing one was reported by the reader.
    let name = section.name.as_ref()?;
    let metric = match of {
        MetricOf::Instances => Metric::Instances(known(name, problems)?),
        MetricOf::Balancer => Metric::Balancer(of_balancer(file, name, problems)?),
        MetricOf::External => Metric::External(external(table, name, problems)),
    };
    if of != MetricOf::External {
        let places = [
            section.query.as_ref().map(|written| &written.place),
            section.series.as_ref().map(|written| &written.place),
        ];
        for place in places.into_iter().flatten() {
            problems.report_with(place, "this is for something external", "of = \"external\"");
        }
    }
    let level = |written: &Written<Level>, problems: &mut Problems| match of {
        MetricOf::External => plain(written, problems),
        _ => level_of(written, metric.unit(), problems),
    };
    let target = match (&section.average_value, &section.value) {
        (Some(average), None) => TargetValue::Average(level(average, problems)),
        (None, Some(value)) => {
            if of == MetricOf::Instances {
                let message = "instances have no value together: their mean counts";
                problems.report_with(&value.place, message, "average_value");
            }
            TargetValue::Whole(level(value, problems))
        }
        (Some(_), Some(value)) => {
            let message = "there is a target for each instance already";
            problems.report_with(&value.place, message, "keep one of average_value and value");
            return None;
        }
        (None, None) => {
            let help = match of {
                MetricOf::Instances => "average_value",
                _ => "average_value, for each instance, or value, for the whole",
            };
            problems.report_with(&table.place, "there is no target", help);
            return None;
        }
    };
    Some((metric, target))
}

/// One of those that are measured.
fn known(name: &Written<String>, problems: &mut Problems) -> Option<ScaleMetric> {
    let node = Node { place: name.place.clone(), value: Value::Text(name.value.clone()) };
    ScaleMetric::read(&node, problems)
}

/// One that a balancer has, and whether this one shows it.
fn of_balancer(
    file: &ScenarioFile,
    name: &Written<String>,
    problems: &mut Problems,
) -> Option<ScaleMetric> {
    let metric = known(name, problems)?;
    if metric.is_share() {
        let message = format!("a balancer has no {metric}");
        problems.report_with(&name.place, message, "requests, in_flight or queue");
        return None;
    }
    let engine = file.balancer.as_ref().and_then(|balancer| balancer.value.engine.as_ref());
    if let Some(engine) = engine.map(|written| &written.value).filter(|it| **it != Engine::Own) {
        let message = format!("{} shows the autoscaler nothing of this", engine.name());
        let help = "lab's own proxy does; or of = \"external\", with a query for Prometheus";
        problems.report_with(&name.place, message, help);
    }
    Some(metric)
}

fn external(
    table: &Written<MetricSection>,
    name: &Written<String>,
    problems: &mut Problems,
) -> External {
    let section = &table.value;
    if name.value.trim().is_empty() {
        problems.report(&name.place, "the name is empty");
    }
    if let Some(query) = section.query.as_ref().filter(|query| query.value.trim().is_empty()) {
        problems.report(&query.place, "the query is empty");
    }
    if section.query.is_none() && section.series.is_none() {
        let message = "nobody knows what this is";
        let help = "query = \"sum(…)\" for Prometheus, or series = [{ at = \"0s\", value = 10 }]";
        problems.report_with(&table.place, message, help);
    }
    let rows = section.series.as_ref().map_or(&[][..], |series| &series.value);
    External {
        name: name.value.clone(),
        query: section.query.as_ref().map(|query| query.value.clone()),
        series: series(rows, problems),
    }
}

fn series(rows: &[Written<SeriesSection>], problems: &mut Problems) -> Vec<(Nanos, f64)> {
    let mut series: Vec<(Nanos, f64)> = Vec::new();
    for row in rows {
        let (Some(at), Some(value)) = (&row.value.at, &row.value.value) else { continue };
        let instant = Nanos::ZERO + at.value;
        if series.last().is_some_and(|(last, _)| *last >= instant) {
            problems.report(&at.place, "not later than the one before it");
        }
        series.push((instant, value.value));
    }
    series
}

/// A plain number, whatever its unit says.
fn plain(written: &Written<Level>, problems: &mut Problems) -> f64 {
    let (Level::Share(value) | Level::PerSecond(value) | Level::Number(value)) = written.value;
    if value <= 0.0 {
        problems.report_with(&written.place, "nothing is below this", "more than 0");
    }
    value
}
