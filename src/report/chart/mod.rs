//! PNG charts by plotters, both worlds in each: 1600 × 900, colours of Okabe and Ito that
//! colour-blind readers can tell apart, a line style beside the colour, titles and units.

mod autoscaling;
mod axis;
mod canvas;
mod capacity;
mod distribution;
mod engines;
mod failures;
mod in_flight;
mod over_time;
mod percentile;
mod share;
mod sweep;

pub use capacity::draw_capacity;
pub use engines::draw_engines;
pub use sweep::draw_sweep;

use std::path::{Path, PathBuf};

use crate::compare::Results;

/// Why a chart could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ChartError {
    /// The drawing library refused.
    #[error("cannot draw {}: {why}", path.display())]
    Draw {
        /// The picture.
        path: PathBuf,
        /// What it said.
        why: String,
    },
    /// The picture could not be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The picture.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
}

/// Draws something onto a sheet.
type Draw<T> = fn(&canvas::Sheet<'_>, &T) -> canvas::Drawn;

/// File name and drawing of each chart that every run has.
const CHARTS: [(&str, Draw<Results>); 6] = [
    ("latency-percentiles.png", percentile::draw),
    ("latency-over-time.png", over_time::draw),
    ("latency-distribution.png", distribution::draw),
    ("throughput-and-errors.png", failures::draw),
    (SHARE, share::draw),
    (IN_FLIGHT, in_flight::draw),
];
const SHARE: &str = "share-per-server.png";
const IN_FLIGHT: &str = "in-flight-per-server.png";

/// Draws every chart into `folder` and returns their paths.
///
/// # Errors
/// When a picture cannot be drawn or written.
pub fn draw_all(results: &Results, folder: &Path) -> Result<Vec<PathBuf>, ChartError> {
    let mut drawn = draw_into(folder, &CHARTS, results)?;
    if autoscaling::has_autoscaler(results) {
        let chart: (&str, Draw<Results>) = ("autoscaling.png", autoscaling::draw);
        drawn.extend(draw_into(folder, &[chart], results)?);
    }
    Ok(drawn)
}

/// Draws what a client alone sees into `folder`: nothing of what is in flight at each server, and the
/// servers' shares only if the answers named them.
///
/// # Errors
/// When a picture cannot be drawn or written.
pub fn draw_of_client(results: &Results, folder: &Path) -> Result<Vec<PathBuf>, ChartError> {
    let named = results.worlds.iter().any(|world| !world.shares.is_empty());
    let seen = |(name, _): &(&str, Draw<Results>)| *name != IN_FLIGHT && (*name != SHARE || named);
    let charts: Vec<_> = CHARTS.into_iter().filter(seen).collect();
    draw_into(folder, &charts, results)
}

/// Draws each of `charts`, by its file's name, into `folder`; the paths.
fn draw_into<T>(
    folder: &Path,
    charts: &[(&str, Draw<T>)],
    results: &T,
) -> Result<Vec<PathBuf>, ChartError> {
    charts
        .iter()
        .map(|(name, draw)| {
            let path = folder.join(name);
            canvas::draw(&path, |sheet| draw(sheet, results))?;
            Ok(path)
        })
        .collect()
}
