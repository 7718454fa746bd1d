//! Throughput above, failed requests below, per second, with the faults marked.

use plotters::prelude::*;

use super::canvas::{self, Drawn, Sheet};
use crate::compare::{Results, Second};

/// Draws the chart.
pub(super) fn draw(sheet: &Sheet<'_>, results: &Results) -> Drawn {
    let sheet = canvas::title(sheet, "Throughput and failed requests", results)?;
    let (above, below) = sheet.split_vertically(480);
    panel(&above, results, "requests per second", true, |point| point.succeeded)?;
    panel(&below, results, "failed per second", false, |point| point.failed)
}

fn panel(
    sheet: &Sheet<'_>,
    results: &Results,
    description: &str,
    offered: bool,
    pick: fn(&Second) -> u64,
) -> Drawn {
    let end = canvas::last_second(results);
    let points = || results.worlds.iter().flat_map(|world| &world.seconds);
    let highest = points()
        .map(|point| if offered { pick(point).max(point.offered) } else { pick(point) })
        .max();
    let top = (highest.unwrap_or(0) as f64 * 1.3).max(4.0);
    let mut chart = ChartBuilder::on(sheet)
        .margin(24)
        .x_label_area_size(64)
        .y_label_area_size(90)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    if let Some(world) = results.worlds.first() {
        canvas::fault_bands(&mut chart, &world.faults, 0.0, top)?;
    }
    canvas::mesh(
        &mut chart,
        ("time since the start, s", &|seconds: &f64| format!("{seconds:.0}")),
        (description, &|count: &f64| whole(*count)),
    )?;
    if let Some(world) = results.worlds.first().filter(|_| offered) {
        let line = world.seconds.iter().filter(|point| point.offered > 0);
        chart
            .draw_series(LineSeries::new(
                line.map(|point| (f64::from(point.second) + 0.5, point.offered as f64)),
                canvas::GREY.stroke_width(2),
            ))?
            .label("offered")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 36, y)], canvas::GREY.stroke_width(2)));
    }
    for world in &results.worlds {
        let colour = canvas::world_colour(world.world);
        let line =
            world.seconds.iter().map(|point| (f64::from(point.second) + 0.5, pick(point) as f64));
        chart
            .draw_series(LineSeries::new(line, colour.stroke_width(3)))?
            .label(canvas::world_name(world.world))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(3)));
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperRight)
}

/// A count; a place between two counts has no label.
fn whole(count: f64) -> String {
    if (count - count.round()).abs() < 1e-6 { format!("{count:.0}") } else { String::new() }
}
