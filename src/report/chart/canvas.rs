//! What every chart shares: the sheet, colours, text sizes, axes, legends and fault bands.

use std::error::Error;
use std::path::Path;
use std::sync::Once;

use plotters::coord::ranged1d::ValueFormatter;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use super::ChartError;
use crate::compare::{FaultEffect, Results};
use crate::units::World;

/// Width and height in pixels.
pub(super) const SIZE: (u32, u32) = (1600, 900);

/// The colours of Okabe and Ito ("Color Universal Design", 2008), the darker ones first.
pub(super) const PALETTE: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(120, 100, 20),
    RGBColor(0, 0, 0),
];
/// Text and axes.
pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(225, 225, 225);

/// Where a chart is drawn.
pub(super) type Sheet<'a> = DrawingArea<BitMapBackend<'a>, plotters::coord::Shift>;
/// What drawing gives.
pub(super) type Drawn = Result<(), Box<dyn Error>>;

static FONT: Once = Once::new();

/// Makes the sheet, lets `paint` fill it, and writes the picture.
pub(super) fn draw(path: &Path, paint: impl FnOnce(&Sheet<'_>) -> Drawn) -> Result<(), ChartError> {
    FONT.call_once(|| {
        let font: &'static [u8] = include_bytes!("font/Roboto-Regular.ttf");
        for style in [FontStyle::Normal, FontStyle::Bold] {
            // It fails for a broken font alone, and then the first text drawn says so.
            let _ = register_font("sans-serif", style, font);
        }
    });
    let failed = |why: String| ChartError::Draw { path: path.to_owned(), why };
    let sheet = BitMapBackend::new(path, SIZE).into_drawing_area();
    sheet.fill(&WHITE).map_err(|error| failed(error.to_string()))?;
    paint(&sheet).map_err(|error| failed(error.to_string()))?;
    sheet.present().map_err(|error| failed(error.to_string()))
}

/// Colour of a world.
pub(super) const fn world_colour(world: World) -> RGBColor {
    match world {
        World::Sim => PALETTE[0],
        World::Live => PALETTE[1],
    }
}

/// Name of a world in legends.
pub(super) const fn world_name(world: World) -> &'static str {
    match world {
        World::Sim => "model",
        World::Live => "live",
    }
}

/// Title and, below it, what the reader should know: scenario, seed, run.
pub(super) fn title<'a>(
    sheet: &Sheet<'a>,
    title: &str,
    results: &Results,
) -> Result<Sheet<'a>, Box<dyn Error>> {
    let partial = if results.partial { "  (partial: interrupted)" } else { "" };
    let below =
        format!("{}, seed {}, run {}{partial}", results.scenario, results.seed, results.run);
    title_with(sheet, title, below)
}

/// The same with the line below given.
pub(super) fn title_with<'a>(
    sheet: &Sheet<'a>,
    title: &str,
    below: String,
) -> Result<Sheet<'a>, Box<dyn Error>> {
    let (head, rest) = sheet.split_vertically(88);
    head.draw(&Text::new(title.to_owned(), (40, 18), ("sans-serif", 34).into_font().color(&INK)))?;
    head.draw(&Text::new(below, (40, 58), ("sans-serif", 20).into_font().color(&GREY)))?;
    Ok(rest)
}

/// Grey for what may be overlooked.
pub(super) const GREY: RGBColor = RGBColor(110, 110, 110);

/// The text style of labels on axes.
pub(super) fn label_style<'a>() -> TextStyle<'a> {
    ("sans-serif", 20).into_font().color(&INK)
}

/// Axes with the same looks everywhere.
pub(super) fn mesh<X, Y, XV, YV>(
    chart: &mut ChartContext<'_, BitMapBackend<'_>, Cartesian2d<X, Y>>,
    x: (&str, &dyn Fn(&XV) -> String),
    y: (&str, &dyn Fn(&YV) -> String),
) -> Drawn
where
    X: Ranged<ValueType = XV> + ValueFormatter<XV>,
    Y: Ranged<ValueType = YV> + ValueFormatter<YV>,
{
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(INK)
        .label_style(label_style())
        .axis_desc_style(("sans-serif", 22).into_font().color(&INK))
        .x_desc(x.0)
        .y_desc(y.0)
        .x_label_formatter(x.1)
        .y_label_formatter(y.1)
        .draw()?;
    Ok(())
}

/// A legend on white, in a corner that the curves leave free.
pub(super) fn legend<'a, X: Ranged, Y: Ranged>(
    chart: &mut ChartContext<'a, BitMapBackend<'a>, Cartesian2d<X, Y>>,
    corner: SeriesLabelPosition,
) -> Drawn {
    chart
        .configure_series_labels()
        .position(corner)
        .margin(16)
        .legend_area_size(44)
        .label_font(("sans-serif", 20).into_font().color(&INK))
        .background_style(WHITE.mix(0.9))
        .border_style(GRID)
        .draw()?;
    Ok(())
}

/// A dashed line, `dash.0` pixels drawn and `dash.1` left out, and its place in the legend if it has a
/// name.
pub(super) fn dashed<'a, X, Y>(
    chart: &mut ChartContext<'a, BitMapBackend<'a>, Cartesian2d<X, Y>>,
    points: Vec<(X::ValueType, Y::ValueType)>,
    dash: (u32, u32),
    style: ShapeStyle,
    name: Option<String>,
) -> Drawn
where
    X: Ranged,
    Y: Ranged,
    X::ValueType: Clone + 'static,
    Y::ValueType: Clone + 'static,
{
    let series = chart.draw_series(DashedLineSeries::new(points, dash.0, dash.1, style))?;
    if let Some(name) = name {
        series.label(name).legend(move |(x, y)| {
            DashedPathElement::new([(x, y), (x + 36, y)], dash.0, dash.1, style)
        });
    }
    Ok(())
}

/// Shades the time of each fault and writes its name at the top.
pub(super) fn fault_bands<Y>(
    chart: &mut ChartContext<
        '_,
        BitMapBackend<'_>,
        Cartesian2d<plotters::coord::types::RangedCoordf64, Y>,
    >,
    faults: &[FaultEffect],
    bottom: Y::ValueType,
    top: Y::ValueType,
) -> Drawn
where
    Y: Ranged,
    Y::ValueType: Clone + 'static,
{
    for fault in faults {
        let (from, until) = (fault.at_ns as f64 / 1e9, fault.until_ns as f64 / 1e9);
        chart.draw_series([Rectangle::new(
            [(from, bottom.clone()), (until, top.clone())],
            RGBColor(240, 228, 66).mix(0.28).filled(),
        )])?;
        chart.draw_series([Text::new(
            fault.fault.clone(),
            (from, top.clone()),
            ("sans-serif", 18).into_font().color(&GREY),
        )])?;
    }
    Ok(())
}

/// The end of the time axis: the last second of any world, at least one.
pub(super) fn last_second(results: &Results) -> f64 {
    let last =
        results.worlds.iter().flat_map(|world| world.seconds.iter()).map(|point| point.second);
    f64::from(last.max().unwrap_or(0) + 1)
}
