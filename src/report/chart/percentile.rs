//! Latency over percentile, with the tail stretched: the x axis counts nines.

use plotters::prelude::*;

use super::axis::{LabelledAt, Logarithmic};
use super::canvas::{self, Drawn, Sheet};
use crate::compare::Results;
use crate::report::number::short_latency;

/// Draws the chart.
pub(super) fn draw(sheet: &Sheet<'_>, results: &Results) -> Drawn {
    let sheet = canvas::title(sheet, "Latency by percentile, from the scheduled instant", results)?;
    let (mut chart, last) = axes(&sheet, results.worlds.iter().map(|world| &world.curve[..]))?;
    for (place, world) in results.worlds.iter().enumerate() {
        let colour = canvas::world_colour(world.world);
        let width = if place == 0 { 5 } else { 3 };
        chart
            .draw_series(LineSeries::new(
                points(&world.curve, last),
                colour.mix(if place == 0 { 0.55 } else { 1.0 }).stroke_width(width),
            ))?
            .label(canvas::world_name(world.world))
            .legend(move |(x, y)| {
                PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(width))
            });
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperLeft)
}

/// Latency over nines.
type Axes<'a> = ChartContext<'a, BitMapBackend<'a>, Cartesian2d<LabelledAt, Logarithmic>>;

/// Axes on which all of these curves have room, of (quantile, latency in ns), and the last place
/// on the x axis.
pub(super) fn axes<'a, 'b>(
    sheet: &Sheet<'a>,
    curves: impl Iterator<Item = &'b [(f64, u64)]> + Clone,
) -> Result<(Axes<'a>, f64), Box<dyn std::error::Error>> {
    let all = || curves.clone().flatten();
    let values = || all().map(|(_, latency)| *latency as f64).filter(|latency| *latency > 0.0);
    let last = all().map(|(quantile, _)| nines(*quantile)).fold(1.0, f64::max);
    let low = values().fold(f64::INFINITY, f64::min).clamp(1.0, 1e18) * 0.9;
    let high = values().fold(low * 2.0, f64::max) * 1.1;
    let mut chart = ChartBuilder::on(sheet)
        .margin(24)
        .x_label_area_size(64)
        .y_label_area_size(110)
        .build_cartesian_2d(
            LabelledAt::new(0.0..last, key_points(last)),
            Logarithmic::new(low..high),
        )?;
    canvas::mesh(
        &mut chart,
        ("percentile", &|nines: &f64| percent(*nines)),
        ("latency", &|nanos: &f64| short_latency(*nanos)),
    )?;
    Ok((chart, last))
}

/// A curve on axes that end at `last`.
pub(super) fn points(curve: &[(f64, u64)], last: f64) -> impl Iterator<Item = (f64, f64)> {
    let seen = curve.iter().filter(|(_, latency)| *latency > 0);
    seen.map(move |(quantile, latency)| (nines(*quantile).min(last), *latency as f64))
}

/// 0 at the minimum, 1 at 90 %, 2 at 99 %, and so on; the maximum is put at six nines.
fn nines(quantile: f64) -> f64 {
    -libm::log10((1.0 - quantile).max(1e-6))
}

const LABELLED: [f64; 8] = [0.0, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 0.99999];

fn key_points(last: f64) -> Vec<f64> {
    LABELLED.iter().map(|quantile| nines(*quantile)).filter(|place| *place <= last).collect()
}

fn percent(place: f64) -> String {
    let quantile = 1.0 - libm::pow(10.0, -place);
    let nearest = LABELLED
        .iter()
        .copied()
        .min_by(|a, b| (a - quantile).abs().total_cmp(&(b - quantile).abs()));
    format!("{}%", (nearest.unwrap_or(quantile) * 1e7).round() / 1e5)
}
