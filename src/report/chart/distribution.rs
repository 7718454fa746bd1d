//! The distribution function of the latency.

use plotters::prelude::*;

use super::canvas::{self, Drawn, Sheet};
use crate::compare::Results;
use crate::report::number::short_latency;

/// Draws the chart.
pub(super) fn draw(sheet: &Sheet<'_>, results: &Results) -> Drawn {
    let sheet =
        canvas::title(sheet, "Distribution of the latency, from the scheduled instant", results)?;
    // The far tail would squeeze the rest to the left; the percentile chart shows it.
    let end = results
        .worlds
        .iter()
        .flat_map(|world| world.curve.iter())
        .filter(|(quantile, _)| *quantile <= 0.999)
        .map(|(_, latency)| *latency as f64)
        .fold(1.0, f64::max)
        * 1.05;

    let mut chart = ChartBuilder::on(&sheet)
        .margin(24)
        .x_label_area_size(64)
        .y_label_area_size(90)
        .build_cartesian_2d(0.0..end, 0.0..1.0)?;
    canvas::mesh(
        &mut chart,
        ("latency", &|nanos: &f64| short_latency(*nanos)),
        ("share of the requests at or below", &|share: &f64| format!("{:.0}%", share * 100.0)),
    )?;
    for (place, world) in results.worlds.iter().enumerate() {
        let colour = canvas::world_colour(world.world);
        let width = if place == 0 { 5 } else { 3 };
        let points = world.curve.iter().filter(|(_, latency)| *latency as f64 <= end);
        chart
            .draw_series(LineSeries::new(
                points.map(|(quantile, latency)| (*latency as f64, *quantile)),
                colour.mix(if place == 0 { 0.55 } else { 1.0 }).stroke_width(width),
            ))?
            .label(canvas::world_name(world.world))
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(width))
            });
    }
    canvas::legend(&mut chart, SeriesLabelPosition::LowerRight)
}
