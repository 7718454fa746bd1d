//! Small multiples of a hypercube: the statistic along each range, a dot for each point, coloured
//! by contender.

use plotters::prelude::*;

use super::lines::key;
use super::space::{Axis, Space, shown};
use crate::report::chart::axis::Logarithmic;
use crate::report::chart::canvas::{self, Drawn, PALETTE, Sheet};
use crate::sweep::{Setting, SweepResults};

/// At most so many ranges are shown.
const MOST: usize = 4;

/// Draws the chart.
pub(super) fn draw(sheet: &Sheet<'_>, results: &SweepResults) -> Drawn {
    let space = Space::of(results);
    let measure = results.ranking.measure;
    let title = format!("{} along each range{}", measure.name(), space.by());
    let sheet = canvas::title_with(sheet, &title, space.below(results))?;
    let (sheet, foot) = sheet.split_vertically(sheet.dim_in_pixel().1 as i32 - 52);
    let first: &[Setting] = results.points.first().map_or(&[], |point| &point.settings);
    let axes: Vec<Axis> = first
        .iter()
        .filter(|setting| !setting.on_grid)
        .take(MOST)
        .map(|setting| super::space::axis(results, setting))
        .collect();
    let shape = match axes.len() {
        0 | 1 => (1, 1),
        2 => (1, 2),
        _ => (2, 2),
    };
    for (panel, axis) in sheet.split_evenly(shape).iter().zip(&axes) {
        draw_panel(panel, results, &space, axis)?;
    }
    key(&foot, &space.panels)
}

fn draw_panel(sheet: &Sheet<'_>, results: &SweepResults, space: &Space, x: &Axis) -> Drawn {
    let measure = results.ranking.measure;
    let Some((low, high)) = x.numbers else { return Ok(()) };
    let values = || {
        let values = results.points.iter().map(|point| point.measured(measure).estimate.value);
        values.filter(|value| value.is_finite())
    };
    let top = values().fold(0.0, f64::max);
    let least = values().filter(|value| *value > 0.0).fold(top, f64::min);
    let margin = (high - low) * 0.03;
    let mut builder = ChartBuilder::on(sheet);
    builder.margin(14).margin_right(24).x_label_area_size(64).y_label_area_size(100);
    let number = |at: &f64| format!("{}", (at * 1e6).round() / 1e6);
    let across = low - margin..high + margin;
    macro_rules! fill {
        ($y:expr) => {{
            let mut chart = builder.build_cartesian_2d(across, $y)?;
            canvas::mesh(
                &mut chart,
                (&x.title(), &number),
                (measure.name(), &|value: &f64| shown(measure, *value)),
            )?;
            for (place, panel) in space.panels.iter().enumerate() {
                let colour = PALETTE[place % PALETTE.len()];
                let dots = space
                    .points(results, panel)
                    .map(|point| (x.place(point), point.measured(measure).estimate.value))
                    .map(|at| Circle::new(at, 5, colour.mix(0.75).filled()));
                chart.draw_series(dots)?;
            }
        }};
    }
    if measure.is_latency() && top > 0.0 {
        fill!(Logarithmic::new(least * 0.85..top * 1.2));
    } else {
        fill!(0.0..if top > 0.0 { top * 1.1 } else { 0.01 });
    }
    Ok(())
}
