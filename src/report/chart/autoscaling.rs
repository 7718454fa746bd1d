//! The autoscaler over time: the load that is offered, how busy the instances are between its
//! marks, and how many are ready.

use plotters::prelude::*;

use super::axis::LabelledAt;
use super::canvas::{self, Drawn, GREY, PALETTE, Sheet};
use crate::compare::{Results, ScalingSummary, WorldSummary};

/// Draws the chart; every world has an autoscaler.
pub(super) fn draw(sheet: &Sheet<'_>, results: &Results) -> Drawn {
    let sheet = canvas::title(sheet, "Autoscaling", results)?;
    let end = canvas::last_second(results);
    let (load, rest) = sheet.split_vertically(230);
    let (busy, instances) = rest.split_vertically(270);
    draw_load(&load, results, end)?;
    draw_busy(&busy, results, end)?;
    draw_instances(&instances, results, end)
}

/// Whether there is anything to draw.
pub(super) fn has_autoscaler(results: &Results) -> bool {
    !results.worlds.is_empty() && results.worlds.iter().all(|world| world.scaling.is_some())
}

fn scaled(results: &Results) -> impl Iterator<Item = (&WorldSummary, &ScalingSummary)> {
    results.worlds.iter().filter_map(|world| Some((world, world.scaling.as_ref()?)))
}

fn draw_load(sheet: &Sheet<'_>, results: &Results, end: f64) -> Drawn {
    let seconds = || results.worlds.iter().flat_map(|world| &world.seconds);
    let top = seconds().map(|second| second.offered).max().unwrap_or(1).max(1) as f64 * 1.2;
    let mut chart = ChartBuilder::on(sheet)
        .margin(16)
        .x_label_area_size(28)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    canvas::mesh(
        &mut chart,
        ("", &|seconds: &f64| format!("{seconds:.0}")),
        ("offered, /s", &|rate: &f64| format!("{rate:.0}")),
    )?;
    for world in &results.worlds {
        let colour = canvas::world_colour(world.world);
        let points = world.seconds.iter().flat_map(|second| {
            let from = f64::from(second.second);
            [(from, second.offered as f64), (from + 1.0, second.offered as f64)]
        });
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(3)))?
            .label(canvas::world_name(world.world))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(3)));
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperRight)
}

fn draw_busy(sheet: &Sheet<'_>, results: &Results, end: f64) -> Drawn {
    let mut chart = ChartBuilder::on(sheet)
        .margin(16)
        .x_label_area_size(28)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..end, 0.0..105.0)?;
    if let Some(world) = results.worlds.first() {
        canvas::fault_bands(&mut chart, &world.faults, 0.0, 105.0)?;
    }
    canvas::mesh(
        &mut chart,
        ("", &|seconds: &f64| format!("{seconds:.0}")),
        ("busy, %", &|share: &f64| format!("{share:.0}")),
    )?;
    let marks =
        scaled(results).next().map(|(_, scaling)| [(scaling.up, "up"), (scaling.down, "down")]);
    for (mark, name) in marks.into_iter().flatten() {
        let Some(mark) = mark.map(|mark| mark * 100.0) else { continue };
        let line = vec![(0.0, mark), (end, mark)];
        canvas::dashed(&mut chart, line, (10, 8), GREY.stroke_width(2), None)?;
        let text = format!("{name} {mark:.0} %");
        chart.draw_series([Text::new(
            text,
            (0.3, mark + 9.0),
            ("sans-serif", 18).into_font().color(&GREY),
        )])?;
    }
    for (world, scaling) in scaled(results) {
        let colour = canvas::world_colour(world.world);
        let piece = scaling.piece_ns as f64 / 1e9;
        let points = scaling
            .utilization
            .iter()
            .enumerate()
            .map(|(number, share)| ((number as f64 + 0.5) * piece, f64::from(*share) * 100.0));
        chart.draw_series(LineSeries::new(points, colour.stroke_width(3)))?;
    }
    Ok(())
}

fn draw_instances(sheet: &Sheet<'_>, results: &Results, end: f64) -> Drawn {
    let most = scaled(results).flat_map(|(_, scaling)| &scaling.ready).map(|(_, count)| *count);
    // Room for the legend.
    let top = most.max().unwrap_or(1) + 2;
    let whole = (0..=top).step_by(top as usize / 8 + 1).map(f64::from).collect();
    let axis = LabelledAt::new(0.0..f64::from(top), whole);
    let mut chart = ChartBuilder::on(sheet)
        .margin(16)
        .x_label_area_size(60)
        .y_label_area_size(110)
        .build_cartesian_2d(0.0..end, axis)?;
    canvas::mesh(
        &mut chart,
        ("time since the start, s", &|seconds: &f64| format!("{seconds:.0}")),
        ("instances", &|count: &f64| format!("{count:.0}")),
    )?;
    for (place, (world, scaling)) in scaled(results).enumerate() {
        let colour = canvas::world_colour(world.world);
        let name = canvas::world_name(world.world);
        // Side by side, so that one does not hide the other.
        let aside = place as f64 * 0.04;
        let ready = steps(scaling.ready.iter().copied(), end, aside);
        chart
            .draw_series(LineSeries::new(ready, colour.stroke_width(4)))?
            .label(format!("{name}: ready"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(4)));
        let first = scaling.events.first().map_or_else(
            || scaling.ready.first().map_or(0, |(_, count)| *count),
            |event| event.from,
        );
        let events = scaling.events.iter().map(|event| (event.at_ns, event.to));
        let wanted = steps(std::iter::once((0, first)).chain(events), end, aside);
        let name = Some(format!("{name}: wanted"));
        canvas::dashed(&mut chart, wanted, (8, 5), colour.stroke_width(2), name)?;
        let flaps = scaling.events.iter().filter(|event| event.flap);
        chart.draw_series(flaps.map(|event| {
            let at = (event.at_ns as f64 / 1e9, f64::from(event.to) + aside);
            Cross::new(at, 8, PALETTE[7].stroke_width(3))
        }))?;
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperRight)
}

/// The corners of a line that jumps.
fn steps(values: impl Iterator<Item = (u64, u32)>, end: f64, aside: f64) -> Vec<(f64, f64)> {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (at, count) in values {
        let (at, count) = (at as f64 / 1e9, f64::from(count) + aside);
        if let Some((_, before)) = points.last().copied() {
            points.push((at, before));
        }
        points.push((at, count));
    }
    if let Some((_, last)) = points.last().copied() {
        points.push((end, last));
    }
    points
}
