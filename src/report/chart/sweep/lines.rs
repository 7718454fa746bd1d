//! Small multiples along one axis: a panel for each statistic, a line with its intervals for each
//! contender.

use plotters::prelude::*;

use super::space::{Axis, Space, shown};
use crate::report::chart::axis::{LabelledAt, Logarithmic};
use crate::report::chart::canvas::{self, Drawn, PALETTE, Sheet};
use crate::scenario::sweep::Measure;
use crate::sweep::{PointResult, SweepResults};

/// What the panels show where there is one axis.
const PANELS: [Measure; 4] = [Measure::P50, Measure::P99, Measure::Goodput, Measure::Errors];
/// Of a second axis at most so many values have panels.
const MOST_COLUMNS: usize = 4;

/// What a panel shows: a statistic, at one value of the second axis.
type Panel<'a> = (Measure, Option<&'a str>);

/// Draws the chart.
pub(super) fn draw(sheet: &Sheet<'_>, results: &SweepResults) -> Drawn {
    let space = Space::of(results);
    let Some(x) = &space.x else { return Ok(()) };
    let title = format!("Along {}{}", x.key, space.by());
    let sheet = canvas::title_with(sheet, &title, space.below(results))?;
    let (sheet, foot) = sheet.split_vertically(sheet.dim_in_pixel().1 as i32 - 52);
    let (panels, columns) = panels(&space, results.ranking.measure);
    let rows = panels.len() / columns;
    for (place, (area, panel)) in sheet.split_evenly((rows, columns)).iter().zip(panels).enumerate()
    {
        draw_panel(area, results, &space, x, panel, place >= (rows - 1) * columns)?;
    }
    key(&foot, &space.panels)
}

/// The panels, row by row, and how many are in a row: a column for each value of a second axis.
fn panels(space: &Space, measure: Measure) -> (Vec<Panel<'_>>, usize) {
    let Some(y) = &space.y else { return (PANELS.map(|measure| (measure, None)).to_vec(), 2) };
    let step = y.labels.len().div_ceil(MOST_COLUMNS).max(1);
    let labels: Vec<&str> = y.labels.iter().step_by(step).map(String::as_str).collect();
    let other = if measure == Measure::P50 { Measure::P99 } else { Measure::P50 };
    let row = |measure| labels.iter().map(move |label| (measure, Some(*label)));
    (row(measure).chain(row(other)).collect(), labels.len())
}

/// Names and colours of the contenders, in a row.
pub(super) fn key(sheet: &Sheet<'_>, names: &[String]) -> Drawn {
    let mut left = 60;
    for (place, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let colour = PALETTE[place % PALETTE.len()];
        sheet.draw(&Circle::new((left, 22), 8, colour.filled()))?;
        let text = Text::new(
            name.clone(),
            (left + 18, 12),
            ("sans-serif", 21).into_font().color(&canvas::INK),
        );
        sheet.draw(&text)?;
        left += 60 + 12 * name.chars().count() as i32;
    }
    Ok(())
}

fn draw_panel(
    sheet: &Sheet<'_>,
    results: &SweepResults,
    space: &Space,
    x: &Axis,
    (measure, at): Panel<'_>,
    last_row: bool,
) -> Drawn {
    let second = space.y.as_ref().zip(at);
    let lines: Vec<Vec<(f64, f64, f64, f64)>> = space
        .panels
        .iter()
        .map(|panel| {
            let mut line: Vec<_> = space
                .points(results, panel)
                .filter(|point| second.is_none_or(|(y, label)| has(y, label, point)))
                .map(|point| {
                    let it = point.measured(measure).estimate;
                    (
                        x.place(point),
                        it.value,
                        it.low.unwrap_or(it.value),
                        it.high.unwrap_or(it.value),
                    )
                })
                .collect();
            line.sort_by(|a, b| a.0.total_cmp(&b.0));
            line
        })
        .collect();
    let (low, high) = x.numbers.unwrap_or((0.0, x.labels.len().saturating_sub(1) as f64));
    let margin = ((high - low) * 0.04).max(1e-9);
    let mut places: Vec<f64> = lines.iter().flatten().map(|point| point.0).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    let labels = if second.is_some() { 8.0 } else { 14.0 };
    thin_out(&mut places, (high - low) / labels);
    let values = || lines.iter().flatten();
    let top = values().map(|point| point.3).fold(0.0, f64::max);
    let caption = panel_title(measure, second);
    let name = |at: &f64| match x.numbers {
        Some(_) => format!("{}", (at * 1e6).round() / 1e6),
        None => x.labels.get(at.round() as usize).cloned().unwrap_or_default(),
    };
    let x_title = if last_row { x.title() } else { String::new() };
    let mut builder = ChartBuilder::on(sheet);
    builder
        .margin(10)
        .margin_right(24)
        .caption(caption, ("sans-serif", 22).into_font().color(&canvas::INK))
        .x_label_area_size(if last_row { 60 } else { 34 })
        .y_label_area_size(100);
    let axis = LabelledAt::new(low - margin..high + margin, places);
    let latencies = measure.is_latency();
    let least = values().map(|point| point.2).filter(|value| *value > 0.0).fold(top, f64::min);
    if latencies && top > 0.0 {
        let mut chart =
            builder.build_cartesian_2d(axis, Logarithmic::small(least * 0.85..top * 1.2))?;
        canvas::mesh(&mut chart, (&x_title, &name), ("", &|value: &f64| shown(measure, *value)))?;
        series(&mut chart, &lines)
    } else {
        let top = if top > 0.0 { top * 1.15 } else { 0.01 };
        let mut chart = builder.build_cartesian_2d(axis, 0.0..top)?;
        canvas::mesh(&mut chart, (&x_title, &name), ("", &|value: &f64| shown(measure, *value)))?;
        series(&mut chart, &lines)
    }
}

/// Labels that would meet are left out, but for the first and the last.
fn thin_out(places: &mut Vec<f64>, gap: f64) {
    let mut kept: Vec<f64> = Vec::new();
    for place in places.iter() {
        if kept.last().is_none_or(|last| place - last >= gap) {
            kept.push(*place);
        }
    }
    *places = kept;
}

/// Whether the point is at that value of the axis.
fn has(axis: &Axis, label: &str, point: &PointResult) -> bool {
    point.setting(&axis.key).is_some_and(|setting| setting.label == label)
}

/// What a panel shows, and at which value of a second axis.
fn panel_title(measure: Measure, second: Option<(&Axis, &str)>) -> String {
    let words = match measure {
        Measure::Goodput => "answered per second",
        Measure::Errors => "failed",
        Measure::Retries => "retried",
        latency => latency.name(),
    };
    second.map_or_else(|| words.to_owned(), |(y, label)| format!("{words} at {} = {label}", y.key))
}

fn series<Y>(
    chart: &mut ChartContext<'_, BitMapBackend<'_>, Cartesian2d<LabelledAt, Y>>,
    lines: &[Vec<(f64, f64, f64, f64)>],
) -> Drawn
where
    Y: Ranged<ValueType = f64>,
{
    for (place, line) in lines.iter().enumerate() {
        let colour = PALETTE[place % PALETTE.len()];
        let band: Vec<(f64, f64)> = line
            .iter()
            .map(|(x, _, low, _)| (*x, *low))
            .chain(line.iter().rev().map(|(x, _, _, high)| (*x, *high)))
            .collect();
        chart.draw_series([Polygon::new(band, colour.mix(0.16).filled())])?;
        let points: Vec<(f64, f64)> = line.iter().map(|point| (point.0, point.1)).collect();
        chart.draw_series(LineSeries::new(points.clone(), colour.stroke_width(3)))?;
        chart.draw_series(points.into_iter().map(|at| Circle::new(at, 4, colour.filled())))?;
    }
    Ok(())
}
