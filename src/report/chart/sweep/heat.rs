//! Heat maps: the statistic over two axes, a panel for each contender, all with one scale of
//! colours; and which contender is best where. Points of a hypercube are dots, since nothing is
//! known between them.

use plotters::prelude::*;

use super::space::{Axis, Space, in_cell, shown};
use crate::report::chart::canvas::{self, Drawn, INK, PALETTE, Sheet};
use crate::scenario::sweep::Measure;
use crate::sweep::{PointResult, Ranking, SweepResults};

/// Viridis (van der Walt and Smith, 2015) at nine places: rising in lightness, so it also reads in
/// grey and for colour-blind eyes.
const VIRIDIS: [RGBColor; 9] = [
    RGBColor(68, 1, 84),
    RGBColor(71, 44, 122),
    RGBColor(59, 81, 139),
    RGBColor(44, 113, 142),
    RGBColor(33, 144, 141),
    RGBColor(39, 173, 129),
    RGBColor(92, 200, 99),
    RGBColor(170, 220, 50),
    RGBColor(253, 231, 37),
];

/// From the statistic to a colour: by ratios for latencies, whose range is wide.
struct Scale {
    low: f64,
    high: f64,
    log: bool,
}

impl Scale {
    fn of(results: &SweepResults, measure: Measure) -> Self {
        let values = || {
            let all = results.points.iter().map(|point| point.measured(measure).estimate.value);
            all.filter(|value| value.is_finite())
        };
        let high = values().fold(f64::NEG_INFINITY, f64::max);
        let low = values().fold(high, f64::min);
        Self { low, high, log: measure.is_latency() && low > 0.0 }
    }

    fn place(&self, value: f64) -> f64 {
        let (low, high) = (self.low, self.high);
        let place = if self.log {
            libm::log(value / low) / libm::log(high / low)
        } else {
            (value - low) / (high - low)
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }

    fn value(&self, place: f64) -> f64 {
        if self.log {
            self.low * libm::exp(place * libm::log(self.high / self.low))
        } else {
            self.low + (self.high - self.low) * place
        }
    }
}

fn colour(place: f64) -> RGBColor {
    let at = place * (VIRIDIS.len() - 1) as f64;
    let step = (at as usize).min(VIRIDIS.len() - 2);
    let (from, to, share) = (VIRIDIS[step], VIRIDIS[step + 1], at - step as f64);
    let mix = |a: u8, b: u8| (f64::from(a) + (f64::from(b) - f64::from(a)) * share).round() as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// Black or white, whichever reads better on a colour.
fn ink_on(colour: RGBColor) -> RGBColor {
    let RGBColor(r, g, b) = colour;
    let light = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
    if light > 140.0 { INK } else { WHITE }
}

/// Draws the chart.
pub(super) fn draw(sheet: &Sheet<'_>, results: &SweepResults) -> Drawn {
    let space = Space::of(results);
    let measure = results.ranking.measure;
    let scale = Scale::of(results, measure);
    let Some(x) = &space.x else { return Ok(()) };
    let title = format!("{}{}", measure.name(), space.by());
    let sheet = canvas::title_with(sheet, &title, space.below(results))?;
    let (sheet, bar) = sheet.split_horizontally(sheet.dim_in_pixel().0 as i32 - 140);
    colour_bar(&bar, &scale, measure)?;
    match &space.y {
        Some(y) if space.sampled && !y.on_grid => {
            panels(&sheet, &space, |panel, name| dots(panel, results, &space, name, (x, y), &scale))
        }
        Some(y) if !space.sampled => panels(&sheet, &space, |panel, name| {
            let points: Vec<&PointResult> = space.points(results, name).collect();
            cells(panel, name, (x, y), &points, &|point| {
                let value = point.measured(measure).estimate.value;
                (colour(scale.place(value)), in_cell(measure, value))
            })
        }),
        // Along one axis the contenders make the other.
        _ if !space.sampled => {
            let names = Axis {
                key: results.ranking.compare.clone().unwrap_or_default(),
                labels: space.panels.clone(),
                numbers: None,
                unit: String::new(),
                on_grid: true,
            };
            let points: Vec<&PointResult> =
                space.panels.iter().flat_map(|name| space.points(results, name)).collect();
            cells(&sheet, "", (x, &names), &points, &|point| {
                let value = point.measured(measure).estimate.value;
                (colour(scale.place(value)), in_cell(measure, value))
            })
        }
        _ => Ok(()),
    }
}

/// Which contender is best where; pale where it cannot be told from another.
pub(super) fn draw_best(sheet: &Sheet<'_>, results: &SweepResults) -> Drawn {
    let space = Space::of(results);
    let (Some(x), Some(y)) = (&space.x, &space.y) else { return Ok(()) };
    let title = format!("Best {}{}", results.ranking.measure.name(), space.by());
    let below = format!("{}; pale: not told apart from another at 95 %", space.below(results));
    let sheet = canvas::title_with(sheet, &title, below)?;
    let (sheet, foot) = sheet.split_vertically(sheet.dim_in_pixel().1 as i32 - 52);
    let winners = winners(&results.ranking);
    let points: Vec<&PointResult> = space
        .panels
        .iter()
        .flat_map(|name| space.points(results, name))
        .filter(|point| winners.iter().any(|(index, _)| *index == point.index))
        .collect();
    let style = |point: &PointResult| {
        let (_, alone) = winners.iter().find(|(index, _)| *index == point.index)?;
        let key = results.ranking.compare.as_deref()?;
        let label = point.setting(key)?.label.clone();
        let place = space.panels.iter().position(|name| *name == label)?;
        let full = PALETTE[place % PALETTE.len()];
        let pale = |part: u8| (f64::from(part) * 0.35 + 255.0 * 0.65) as u8;
        let RGBColor(r, g, b) = full;
        let colour = if *alone { full } else { RGBColor(pale(r), pale(g), pale(b)) };
        Some((colour, label))
    };
    if space.sampled {
        let mut chart = frame(&sheet, "", (x, y))?;
        let circles = points.iter().filter_map(|point| {
            let (colour, _) = style(point)?;
            Some(Circle::new((x.place(point), y.place(point)), 9, colour.filled()))
        });
        chart.draw_series(circles)?;
    } else {
        cells(&sheet, "", (x, y), &points, &|point| {
            style(point).unwrap_or((canvas::GRID, String::new()))
        })?;
    }
    super::lines::key(&foot, &space.panels)
}

/// The best point of each condition, and whether it is best alone.
fn winners(ranking: &Ranking) -> Vec<(u32, bool)> {
    let winner = |condition: &crate::sweep::Condition| {
        let best = condition.contenders.iter().find(|one| one.best)?;
        Some((best.point, !condition.contenders.iter().any(|one| one.level)))
    };
    ranking.conditions.iter().filter_map(winner).collect()
}

/// A panel for each contender.
fn panels(sheet: &Sheet<'_>, space: &Space, draw: impl Fn(&Sheet<'_>, &str) -> Drawn) -> Drawn {
    let count = space.panels.len();
    let columns = (1..=count).find(|columns| columns * columns >= count).unwrap_or(1);
    let rows = count.div_ceil(columns);
    for (panel, name) in sheet.split_evenly((rows, columns)).iter().zip(&space.panels) {
        draw(panel, name)?;
    }
    Ok(())
}

/// Cells over the labels of two axes.
fn cells(
    sheet: &Sheet<'_>,
    name: &str,
    (x, y): (&Axis, &Axis),
    points: &[&PointResult],
    style: &dyn Fn(&PointResult) -> (RGBColor, String),
) -> Drawn {
    let places = |axis: &Axis| (0..axis.labels.len()).map(|at| at as f64 + 0.5).collect();
    let mut builder = ChartBuilder::on(sheet);
    builder.margin(14).x_label_area_size(58);
    let longest = y.labels.iter().map(|label| label.chars().count()).max().unwrap_or(0);
    builder.y_label_area_size((46 + 11 * longest as u32).min(260));
    if !name.is_empty() {
        builder.caption(name, ("sans-serif", 24).into_font().color(&INK));
    }
    let across = crate::report::chart::axis::LabelledAt::new(0.0..x.labels.len() as f64, places(x));
    let up = crate::report::chart::axis::LabelledAt::new(0.0..y.labels.len() as f64, places(y));
    let mut chart = builder.build_cartesian_2d(across, up)?;
    let label = |axis: &Axis, at: &f64| axis.labels.get(*at as usize).cloned().unwrap_or_default();
    canvas::mesh(
        &mut chart,
        (&x.key, &|at: &f64| label(x, at)),
        (&y.key, &|at: &f64| label(y, at)),
    )?;
    let (width, _) = chart.plotting_area().dim_in_pixel();
    let room = f64::from(width) / x.labels.len().max(1) as f64;
    // One size for all: that at which the longest text has room.
    let longest = points.iter().map(|point| style(point).1.chars().count()).max().unwrap_or(1);
    let size = (room / (longest.max(1) as f64 * 0.6)).min(22.0);
    for point in points {
        let (Some(across), Some(up)) = (point.setting(&x.key), point.setting(&y.key)) else {
            continue;
        };
        let (left, bottom) = (x.column(across) as f64, y.column(up) as f64);
        let (fill, text) = style(point);
        let corners = [(left + 0.01, bottom + 0.01), (left + 0.99, bottom + 0.99)];
        chart.draw_series([Rectangle::new(corners, fill.filled())])?;
        if size >= 11.0 {
            use plotters::style::text_anchor::{HPos, Pos, VPos};
            let style = ("sans-serif", size)
                .into_font()
                .color(&ink_on(fill))
                .pos(Pos::new(HPos::Center, VPos::Center));
            chart.draw_series([Text::new(text, (left + 0.5, bottom + 0.5), style)])?;
        }
    }
    Ok(())
}

/// Axes of two ranges.
type Frame<'a> = ChartContext<
    'a,
    BitMapBackend<'a>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn frame<'a>(
    sheet: &Sheet<'a>,
    name: &str,
    (x, y): (&Axis, &Axis),
) -> Result<Frame<'a>, Box<dyn std::error::Error>> {
    let wide = |axis: &Axis| {
        let (low, high) = axis.numbers.unwrap_or((0.0, axis.labels.len() as f64));
        let margin = (high - low) * 0.04;
        low - margin..high + margin
    };
    let mut builder = ChartBuilder::on(sheet);
    builder.margin(14).x_label_area_size(58).y_label_area_size(90);
    if !name.is_empty() {
        builder.caption(name, ("sans-serif", 24).into_font().color(&INK));
    }
    let mut chart = builder.build_cartesian_2d(wide(x), wide(y))?;
    let number = |at: &f64| format!("{}", (at * 1e6).round() / 1e6);
    canvas::mesh(&mut chart, (&x.title(), &number), (&y.title(), &number))?;
    Ok(chart)
}

fn dots(
    sheet: &Sheet<'_>,
    results: &SweepResults,
    space: &Space,
    name: &str,
    (x, y): (&Axis, &Axis),
    scale: &Scale,
) -> Drawn {
    let measure = results.ranking.measure;
    let mut chart = frame(sheet, name, (x, y))?;
    let dots = space.points(results, name).map(|point| {
        let value = point.measured(measure).estimate.value;
        Circle::new((x.place(point), y.place(point)), 8, colour(scale.place(value)).filled())
    });
    chart.draw_series(dots)?;
    Ok(())
}

/// What the colours mean.
fn colour_bar(sheet: &Sheet<'_>, scale: &Scale, measure: Measure) -> Drawn {
    const STEPS: i32 = 200;
    let (_, height) = sheet.dim_in_pixel();
    let (top, length) = (40, height as i32 - 120);
    for step in 0..STEPS {
        let place = 1.0 - f64::from(step) / f64::from(STEPS - 1);
        let from = top + length * step / STEPS;
        let until = top + length * (step + 1) / STEPS;
        sheet.draw(&Rectangle::new([(10, from), (34, until)], colour(place).filled()))?;
    }
    for mark in 0..=4 {
        let place = f64::from(mark) / 4.0;
        let at = top + (f64::from(length) * (1.0 - place)) as i32;
        let text = shown(measure, three(scale.value(place)));
        let style = ("sans-serif", 18).into_font().color(&INK);
        sheet.draw(&Text::new(text, (42, at - 9), style))?;
    }
    Ok(())
}

fn three(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}
