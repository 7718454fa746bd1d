//! Latency and goodput over load, with the answer, its confidence, the knee, and what the live world
//! did.

use std::path::{Path, PathBuf};

use plotters::prelude::*;

use super::ChartError;
use super::axis::Logarithmic;
use super::canvas::{self, Drawn, GREY, PALETTE, Sheet};
use crate::compare::{Capacity, CapacityPoint};
use crate::report::capacity::headline;
use crate::report::number::short_latency;
use crate::scenario::{Check, Measure, Relation, Subject};

/// Draws `capacity.png` into `folder`.
///
/// # Errors
/// When the picture cannot be drawn or written.
pub fn draw_capacity(capacity: &Capacity, folder: &Path) -> Result<PathBuf, ChartError> {
    let path = folder.join("capacity.png");
    canvas::draw(&path, |sheet| draw(sheet, capacity))?;
    Ok(path)
}

fn draw(sheet: &Sheet<'_>, capacity: &Capacity) -> Drawn {
    let below = format!("{}, seed {}, run {}", capacity.scenario, capacity.seed, capacity.run);
    let sheet = canvas::title_with(sheet, &headline(capacity), below)?;
    let (upper, lower) = sheet.split_vertically(480);
    latencies(&upper, capacity)?;
    goodput(&lower, capacity)
}

/// Levels of the picture: from nothing to somewhat beyond the answer. A search that doubled from far
/// away would squeeze the rest.
fn range(capacity: &Capacity) -> std::ops::Range<f64> {
    let last = capacity.model.curve.iter().map(|point| point.level).fold(1e-9, f64::max);
    0.0..capacity.model.answer.map_or(last, |answer| (answer * 1.32).min(last.max(answer * 1.1)))
}

fn shown(capacity: &Capacity) -> Vec<&CapacityPoint> {
    let range = range(capacity);
    capacity.model.curve.iter().filter(|point| range.contains(&point.level)).collect()
}

/// A latency of a point, ns.
type Of = fn(&CapacityPoint) -> f64;

type Chart<'a, Y> =
    ChartContext<'a, BitMapBackend<'a>, Cartesian2d<plotters::coord::types::RangedCoordf64, Y>>;

fn latencies(sheet: &Sheet<'_>, capacity: &Capacity) -> Drawn {
    let points = shown(capacity);
    let values = points.iter().flat_map(|point| [point.p50.value, point.p99.value]);
    let live = capacity.live.iter().flat_map(|probe| [probe.p50_ns, probe.p99_ns]);
    let all = || values.clone().chain(live.clone()).filter(|value| *value > 0.0);
    let low = all().fold(f64::INFINITY, f64::min).clamp(1.0, 1e18) * 0.8;
    let high = all().fold(low * 4.0, f64::max) * 1.4;
    let mut chart = ChartBuilder::on(sheet)
        .margin(24)
        .x_label_area_size(50)
        .y_label_area_size(110)
        .build_cartesian_2d(range(capacity), Logarithmic::new(low..high))?;
    canvas::mesh(
        &mut chart,
        ("", &|level: &f64| format!("{level}")),
        ("latency", &|nanos: &f64| short_latency(*nanos)),
    )?;
    marks(&mut chart, capacity, low, high, true)?;
    bounds(&mut chart, capacity, low..high)?;
    let curves: [(&str, RGBColor, Of); 2] =
        [("p50", PALETTE[2], |it| it.p50.value), ("p99", PALETTE[0], |it| it.p99.value)];
    for (name, colour, of) in curves {
        let line = points.iter().map(|point| (point.level, of(point)));
        chart
            .draw_series(LineSeries::new(line.clone(), colour.stroke_width(3)))?
            .label(format!("model {name}"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(3)));
        chart.draw_series(line.map(|at| Circle::new(at, 4, colour.filled())))?;
    }
    let dots = |of: fn(&crate::compare::Probe) -> f64| {
        capacity.live.iter().map(move |probe| (probe.level, of(probe))).collect::<Vec<_>>()
    };
    if !capacity.live.is_empty() {
        for (name, at) in [("p50", dots(|it| it.p50_ns)), ("p99", dots(|it| it.p99_ns))] {
            let style = PALETTE[1].stroke_width(3);
            let marks = at.into_iter().filter(|at| at.1 > 0.0).map(|at| Cross::new(at, 9, style));
            let series = chart.draw_series(marks)?;
            if name == "p99" {
                series
                    .label("live p50 and p99")
                    .legend(move |(x, y)| Cross::new((x + 18, y), 8, style));
            }
        }
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

fn goodput(sheet: &Sheet<'_>, capacity: &Capacity) -> Drawn {
    let points = shown(capacity);
    let live = capacity.live.iter().map(|probe| probe.goodput);
    let top = points.iter().map(|point| point.goodput).chain(live).fold(1e-9, f64::max) * 1.2;
    let mut chart = ChartBuilder::on(sheet)
        .margin(24)
        .x_label_area_size(64)
        .y_label_area_size(110)
        .build_cartesian_2d(range(capacity), 0.0..top)?;
    canvas::mesh(
        &mut chart,
        (capacity.unit.as_str(), &|level: &f64| format!("{level}")),
        ("goodput, requests/s", &|rate: &f64| format!("{rate:.0}")),
    )?;
    marks(&mut chart, capacity, 0.0, top, false)?;
    let line = points.iter().map(|point| (point.level, point.goodput));
    chart.draw_series(LineSeries::new(line.clone(), PALETTE[0].stroke_width(3)))?;
    chart.draw_series(line.map(|at| Circle::new(at, 4, PALETTE[0].filled())))?;
    let dots = capacity.live.iter().map(|probe| (probe.level, probe.goodput));
    chart.draw_series(dots.map(|at| Cross::new(at, 9, PALETTE[1].stroke_width(3))))?;
    Ok(())
}

/// What latencies must stay below, where it is in the picture.
fn bounds(
    chart: &mut Chart<'_, Logarithmic>,
    capacity: &Capacity,
    shown: std::ops::Range<f64>,
) -> Drawn {
    let levels = range(capacity);
    for text in &capacity.slos {
        let Ok(Check { subject: Subject { measure, .. }, relation, .. }) = Check::parse(text)
        else {
            continue;
        };
        let (
            Measure::Quantile(_) | Measure::Mean,
            Relation::Below(bound) | Relation::AtMost(bound),
        ) = (measure, relation)
        else {
            continue;
        };
        if shown.contains(&bound) {
            let line = vec![(levels.start, bound), (levels.end, bound)];
            let style = PALETTE[3].stroke_width(2);
            canvas::dashed(chart, line, (3, 4), style, Some(text.clone()))?;
        }
    }
    Ok(())
}

/// The confidence as a band, the answer as a line, the knee as a dashed one.
fn marks<Y>(
    chart: &mut Chart<'_, Y>,
    capacity: &Capacity,
    low: f64,
    high: f64,
    named: bool,
) -> Drawn
where
    Y: Ranged<ValueType = f64>,
{
    let found = &capacity.model;
    if let (Some(from), Some(until)) = (found.low, found.high) {
        let band = RGBColor(240, 228, 66).mix(0.4).filled();
        let series = chart.draw_series([Rectangle::new([(from, low), (until, high)], band)])?;
        if named {
            series
                .label("95 % interval of the answer")
                .legend(move |(x, y)| Rectangle::new([(x + 4, y - 8), (x + 34, y + 8)], band));
        }
    }
    if let Some(answer) = found.answer {
        let style = PALETTE[7].stroke_width(2);
        let series = chart.draw_series(LineSeries::new([(answer, low), (answer, high)], style))?;
        if named {
            series
                .label(if capacity.fewest { "fewest that hold" } else { "most that hold" })
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], style));
        }
    }
    if let Some(knee) = found.knee {
        let line = vec![(knee, low), (knee, high)];
        let name = named.then(|| "knee".to_owned());
        canvas::dashed(chart, line, (8, 6), GREY.stroke_width(2), name)?;
    }
    Ok(())
}
