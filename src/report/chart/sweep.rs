//! The charts of a sweep: its statistics along one axis as small multiples, and over two axes as
//! heat maps.

mod heat;
mod lines;
mod scatter;
mod space;

use std::path::{Path, PathBuf};

use super::{ChartError, Draw, draw_into};
use crate::sweep::SweepResults;

use space::Space;

/// Draws what the sweep has axes for into `folder` and returns the paths.
///
/// # Errors
/// When a picture cannot be drawn or written.
pub fn draw_sweep(results: &SweepResults, folder: &Path) -> Result<Vec<PathBuf>, ChartError> {
    let space = Space::of(results);
    let mut charts: Vec<(&str, Draw<SweepResults>)> = Vec::new();
    if space.x.is_some() {
        let draw: Draw<SweepResults> = if space.sampled { scatter::draw } else { lines::draw };
        charts.push(("small-multiples.png", draw));
        charts.push(("heat-map.png", heat::draw));
    }
    if space.y.is_some() && space.panels.len() > 1 {
        charts.push(("best.png", heat::draw_best));
    }
    draw_into(folder, &charts, results)
}
