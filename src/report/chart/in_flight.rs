//! Requests in flight per server over time, a panel per world.

use plotters::prelude::*;

use super::canvas::{self, Drawn, PALETTE, Sheet};
use crate::compare::{Results, WorldSummary};

/// More servers than this would be a tangle; the busiest are shown.
const MOST: usize = 8;

/// Draws the chart.
pub(super) fn draw(sheet: &Sheet<'_>, results: &Results) -> Drawn {
    let sheet =
        canvas::title(sheet, "Requests in flight per server, at the end of each second", results)?;
    let end = canvas::last_second(results);
    let highest = results.worlds.iter().flat_map(|world| &world.in_flight).flatten().max();
    let top = (f64::from(*highest.unwrap_or(&0)) * 1.3).max(4.0);
    let panels = sheet.split_evenly((results.worlds.len().max(1), 1));
    for (panel, world) in panels.iter().zip(&results.worlds) {
        draw_world(panel, world, end, top)?;
    }
    Ok(())
}

fn draw_world(sheet: &Sheet<'_>, world: &WorldSummary, end: f64, top: f64) -> Drawn {
    let name = canvas::world_name(world.world);
    let mut chart = ChartBuilder::on(sheet)
        .margin(24)
        .x_label_area_size(60)
        .y_label_area_size(90)
        .build_cartesian_2d(0.0..end, 0.0..top)?;
    canvas::fault_bands(&mut chart, &world.faults, 0.0, top)?;
    canvas::mesh(
        &mut chart,
        ("time since the start, s", &|seconds: &f64| format!("{seconds:.0}")),
        (&format!("in flight, {name}"), &|count: &f64| format!("{count:.0}")),
    )?;
    for (place, peer) in busiest(world).into_iter().enumerate() {
        let colour = PALETTE[place % PALETTE.len()];
        let counts = world.in_flight[peer].iter().enumerate();
        chart
            .draw_series(LineSeries::new(
                counts.map(|(second, count)| (second as f64 + 1.0, f64::from(*count))),
                colour.stroke_width(3),
            ))?
            .label(world.shares.get(peer).map_or_else(String::new, |share| share.name.clone()))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 36, y)], colour.stroke_width(3)));
    }
    canvas::legend(&mut chart, SeriesLabelPosition::UpperRight)
}

/// In configuration order, so that a server has the same colour in both panels.
fn busiest(world: &WorldSummary) -> Vec<usize> {
    let mut peers: Vec<usize> = (0..world.in_flight.len()).collect();
    peers.sort_by_key(|peer| {
        std::cmp::Reverse(world.in_flight[*peer].iter().map(|n| u64::from(*n)).sum::<u64>())
    });
    peers.truncate(MOST);
    peers.sort_unstable();
    peers
}
