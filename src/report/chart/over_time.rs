//! Latency over time with the faults marked: median and 99th percentile of each second.

use plotters::prelude::*;

use super::axis::Logarithmic;
use super::canvas::{self, Drawn, Sheet};
use crate::compare::{Results, Second};
use crate::report::number::short_latency;

/// Draws the chart.
pub(super) fn draw(sheet: &Sheet<'_>, results: &Results) -> Drawn {
    let sheet = canvas::title(
        sheet,
        "Latency over time, by the second in which requests were due",
        results,
    )?;
    let end = canvas::last_second(results);
    let values = || {
        results
            .worlds
            .iter()
            .flat_map(|world| &world.seconds)
            .flat_map(|point| [point.p50_ns, point.p99_ns])
    };
    let low = values().filter(|nanos| *nanos > 0).min().unwrap_or(1_000_000) as f64 * 0.8;
    let high = values().max().unwrap_or(0).max(2_000_000) as f64 * 1.4;
    let high = high.max(low * 2.0);

    let mut chart = ChartBuilder::on(&sheet)
        .margin(24)
        .x_label_area_size(64)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..end, Logarithmic::new(low..high))?;
    if let Some(world) = results.worlds.first() {
        canvas::fault_bands(&mut chart, &world.faults, low, high)?;
    }
    canvas::mesh(
        &mut chart,
        ("time since the start, s", &|seconds: &f64| format!("{seconds:.0}")),
        ("latency", &|nanos: &f64| short_latency(*nanos)),
    )?;
    for world in &results.worlds {
        let colour = canvas::world_colour(world.world);
        let name = canvas::world_name(world.world);
        let line = |pick: fn(&Second) -> u64| {
            let points: Vec<_> = world
                .seconds
                .iter()
                .filter(|point| pick(point) > 0)
                .map(|point| (f64::from(point.second) + 0.5, pick(point) as f64))
                .collect();
            points
        };
        chart
            .draw_series(LineSeries::new(line(|point| point.p50_ns), colour.stroke_width(4)))?
            .label(format!("{name} p50"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(4)));
        let (p99, style) = (line(|point| point.p99_ns), colour.stroke_width(3));
        canvas::dashed(&mut chart, p99, (10, 6), style, Some(format!("{name} p99")))?;
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperRight)
}
