//! Several engines in one chart: a colour each; live lines solid, those of the model dashed.

use std::path::{Path, PathBuf};

use plotters::prelude::*;

use super::axis::{LabelledAt, Logarithmic};
use super::canvas::{self, Drawn, PALETTE, Sheet};
use super::percentile::{axes, points};
use super::{ChartError, Draw, draw_into};
use crate::compare::{EnginesResults, PeerShare, WorldSummary};
use crate::report::number::short_latency;
use crate::units::World;

const CHARTS: [(&str, Draw<EnginesResults>); 3] = [
    ("comparison.png", percentiles),
    ("comparison-shares.png", shares),
    ("comparison-over-time.png", over_time),
];

/// Draws every chart of several engines into `folder` and returns their paths.
///
/// # Errors
/// When a picture cannot be drawn or written.
pub fn draw_engines(results: &EnginesResults, folder: &Path) -> Result<Vec<PathBuf>, ChartError> {
    draw_into(folder, &CHARTS, results)
}

/// One line or row of bars.
struct Series<'a> {
    name: String,
    colour: RGBColor,
    world: &'a WorldSummary,
}

impl Series<'_> {
    const fn dashed(&self) -> bool {
        matches!(self.world.world, World::Sim)
    }
}

fn series(results: &EnginesResults) -> Vec<Series<'_>> {
    let mut series = Vec::new();
    for (place, engine) in results.engines.iter().enumerate() {
        for world in &engine.results.worlds {
            series.push(Series {
                name: format!("{} {}", engine.label, canvas::world_name(world.world)),
                colour: PALETTE[place % PALETTE.len()],
                world,
            });
        }
    }
    series
}

fn title<'a>(
    sheet: &Sheet<'a>,
    title: &str,
    results: &EnginesResults,
) -> Result<Sheet<'a>, Box<dyn std::error::Error>> {
    let partial = if results.partial { "  (partial: interrupted)" } else { "" };
    let below =
        format!("{}, seed {}, run {}{partial}", results.scenario, results.seed, results.run);
    canvas::title_with(sheet, title, below)
}

/// Adds a line with its place in the legend.
fn line<'a, X, Y>(
    chart: &mut ChartContext<'a, BitMapBackend<'a>, Cartesian2d<X, Y>>,
    series: &Series<'_>,
    points: Vec<(f64, f64)>,
) -> Drawn
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    let colour = series.colour;
    if series.dashed() {
        let name = Some(series.name.clone());
        canvas::dashed(chart, points, (10, 7), colour.stroke_width(3), name)?;
    } else {
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(3)))?
            .label(series.name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(3)));
    }
    Ok(())
}

fn percentiles(sheet: &Sheet<'_>, results: &EnginesResults) -> Drawn {
    let sheet = title(sheet, "Latency by percentile, from the scheduled instant", results)?;
    let series = series(results);
    let (mut chart, last) = axes(&sheet, series.iter().map(|it| &it.world.curve[..]))?;
    for it in &series {
        line(&mut chart, it, points(&it.world.curve, last).collect())?;
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

fn over_time(sheet: &Sheet<'_>, results: &EnginesResults) -> Drawn {
    let sheet = title(sheet, "99th percentile of each second", results)?;
    let series = series(results);
    let seconds = || series.iter().flat_map(|it| &it.world.seconds).filter(|it| it.p99_ns > 0);
    let end = f64::from(seconds().map(|it| it.second).max().unwrap_or(0) + 1);
    let low = seconds().map(|it| it.p99_ns).min().unwrap_or(1_000_000) as f64 * 0.8;
    let high = (seconds().map(|it| it.p99_ns).max().unwrap_or(0) as f64 * 1.4).max(low * 2.0);
    let mut chart = ChartBuilder::on(&sheet)
        .margin(24)
        .x_label_area_size(64)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..end, Logarithmic::new(low..high))?;
    if let Some(first) = series.first() {
        canvas::fault_bands(&mut chart, &first.world.faults, low, high)?;
    }
    canvas::mesh(
        &mut chart,
        ("time since the start, s", &|seconds: &f64| format!("{seconds:.0}")),
        ("latency, p99", &|nanos: &f64| short_latency(*nanos)),
    )?;
    for it in &series {
        let points = it.world.seconds.iter().filter(|second| second.p99_ns > 0);
        let points = points.map(|at| (f64::from(at.second) + 0.5, at.p99_ns as f64)).collect();
        line(&mut chart, it, points)?;
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperRight)
}

/// More servers than this are thinned out evenly.
const MOST: usize = 20;

fn shares(sheet: &Sheet<'_>, results: &EnginesResults) -> Drawn {
    let sheet = title(sheet, "Share of the requests per server", results)?;
    let series = series(results);
    let Some(first) = series.first() else { return Ok(()) };
    let all = &first.world.shares;
    let was_there = |place: &usize| {
        series.iter().filter_map(|it| it.world.shares.get(*place)).any(PeerShare::was_there)
    };
    let there: Vec<usize> = (0..all.len()).filter(was_there).collect();
    let places: Vec<usize> =
        there.iter().copied().step_by(there.len().div_ceil(MOST).max(1)).collect();
    let highest = series.iter().flat_map(|it| &it.world.shares).map(|peer| peer.share);
    let top = highest.fold(0.01, f64::max) * 1.4;
    let groups = places.len() as f64;
    let middles = (0..places.len()).map(|group| group as f64 + 0.5).collect();
    let mut chart = ChartBuilder::on(&sheet)
        .margin(24)
        .x_label_area_size(64)
        .y_label_area_size(90)
        .build_cartesian_2d(LabelledAt::new(0.0..groups, middles), 0.0..top)?;
    let name = |place: &f64| {
        let peer = places.get(*place as usize).and_then(|peer| all.get(*peer));
        peer.map_or_else(String::new, |peer| peer.name.clone())
    };
    canvas::mesh(
        &mut chart,
        ("server", &name),
        ("share of the requests", &|share: &f64| format!("{:.0}%", share * 100.0)),
    )?;
    let width = 0.8 / series.len() as f64;
    for (number, it) in series.iter().enumerate() {
        let left = 0.1 + width * number as f64;
        // The model's bars are pale, as dashes would be lost on them.
        let style = it.colour.mix(if it.dashed() { 0.45 } else { 1.0 }).filled();
        let bars = places.iter().enumerate().filter_map(|(group, peer)| {
            let (x, share) = (group as f64 + left, it.world.shares.get(*peer)?.share);
            Some(Rectangle::new([(x, 0.0), (x + width * 0.92, share)], style))
        });
        chart
            .draw_series(bars)?
            .label(it.name.clone())
            .legend(move |(x, y)| Rectangle::new([(x + 8, y - 8), (x + 30, y + 8)], style));
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperRight)
}
