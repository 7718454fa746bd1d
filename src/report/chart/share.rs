//! Share per server beside the share that the weights promise.

use plotters::prelude::*;

use super::axis::LabelledAt;
use super::canvas::{self, Drawn, Sheet};
use crate::compare::{PeerShare, Results};

/// More servers than this are thinned out evenly.
const MOST: usize = 40;

/// Name, colour, peers, and what of them is drawn.
type Bars<'a> = (String, RGBColor, &'a [PeerShare], fn(&PeerShare) -> f64);

/// Draws the chart.
pub(super) fn draw(sheet: &Sheet<'_>, results: &Results) -> Drawn {
    let sheet = canvas::title(sheet, "Share of the requests per server", results)?;
    let Some(first) = results.worlds.first() else { return Ok(()) };
    let was_there = |place: &usize| {
        let of_worlds = results.worlds.iter().filter_map(|world| world.shares.get(*place));
        of_worlds.into_iter().any(PeerShare::was_there)
    };
    let there: Vec<usize> = (0..first.shares.len()).filter(was_there).collect();
    let step = there.len().div_ceil(MOST).max(1);
    let places: Vec<usize> = there.into_iter().step_by(step).collect();
    let names: Vec<String> = places.iter().map(|place| first.shares[*place].name.clone()).collect();
    let top = results
        .worlds
        .iter()
        .flat_map(|world| &world.shares)
        .map(|peer| peer.share.max(peer.expected))
        .fold(0.01, f64::max)
        * 1.25;

    let groups = places.len() as f64;
    let middles = (0..places.len()).map(|group| group as f64 + 0.5).collect();
    let mut chart = ChartBuilder::on(&sheet)
        .margin(24)
        .x_label_area_size(64)
        .y_label_area_size(90)
        .build_cartesian_2d(LabelledAt::new(0.0..groups, middles), 0.0..top)?;
    canvas::mesh(
        &mut chart,
        ("server", &|place: &f64| names.get(*place as usize).cloned().unwrap_or_default()),
        ("share of the requests", &|share: &f64| format!("{:.0}%", share * 100.0)),
    )?;

    // Whoever only sends to a server from outside knows no weights.
    let mut apart =
        places.windows(2).map(|it| first.shares[it[0]].expected - first.shares[it[1]].expected);
    let equal = apart.all(|difference| difference.abs() < 1e-9);
    let name = if equal { "equal shares" } else { "expected by weight" };
    let mut series: Vec<Bars<'_>> =
        vec![(name.to_owned(), RGBColor(170, 170, 170), &first.shares, |peer| peer.expected)];
    for world in &results.worlds {
        let name = canvas::world_name(world.world).to_owned();
        series.push((name, canvas::world_colour(world.world), &world.shares, |peer| peer.share));
    }
    let width = 0.8 / series.len() as f64;
    for (place, (name, colour, shares, pick)) in series.into_iter().enumerate() {
        let left = 0.1 + width * place as f64;
        let bars: Vec<(f64, f64)> = places
            .iter()
            .enumerate()
            .filter_map(|(group, peer)| Some((group as f64 + left, pick(shares.get(*peer)?))))
            .collect();
        chart
            .draw_series(bars.iter().map(|(x, share)| {
                Rectangle::new([(*x, 0.0), (x + width * 0.94, *share)], colour.filled())
            }))?
            .label(name)
            .legend(move |(x, y)| {
                Rectangle::new([(x + 8, y - 8), (x + 30, y + 8)], colour.filled())
            });
        if places.len() <= 10 {
            chart.draw_series(bars.iter().filter(|(_, share)| *share > 0.0).map(
                |(x, share)| {
                    let label = format!("{:.1}%", share * 100.0);
                    Text::new(
                        label,
                        (*x, share + top * 0.035),
                        ("sans-serif", 18).into_font().color(&canvas::INK),
                    )
                },
            ))?;
        }
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperRight)
}
