//! `lab calibrate`: measures what this host adds to each request.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::progress::Bar;
use super::terminal::{complain, print};
use crate::experiment::{self, RunError};
use crate::host::interrupt;
use crate::record::{Calibration, Cost};
use crate::report::number::latency;
use crate::scenario::Engine;
use crate::units::Span;

/// Arguments of `lab calibrate`.
#[derive(Debug, Args)]
pub(super) struct CalibrateArgs {
    /// Balancers to measure, of own, nginx, haproxy and envoy
    #[arg(long, value_delimiter = ',', default_value = "own", value_name = "ENGINES")]
    engine: Vec<Engine>,
    /// Where to write the calibration
    #[arg(long, default_value = "results/calibration.json", value_name = "FILE")]
    out: PathBuf,
    /// No progress bar
    #[arg(long, short)]
    quiet: bool,
}

/// Measures, shows and saves.
pub(super) fn run(args: &CalibrateArgs) -> Exit {
    match measure(args) {
        Ok(()) => Exit::Held,
        Err(RunError::Interrupted) => Exit::Interrupted,
        Err(error) => {
            complain(&error);
            Exit::Failed
        }
    }
}

fn measure(args: &CalibrateArgs) -> Result<(), RunError> {
    let stop = interrupt::flag().map_err(RunError::Signals)?;
    let folder = args.out.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.map_or_else(|| PathBuf::from("."), PathBuf::from);
    let bar = Bar::new(Span::from_secs(experiment::CALIBRATION_SECONDS), args.quiet);
    let measured = experiment::calibrate(&args.engine, &folder, &bar, &stop);
    bar.clear();
    let calibration = measured?;
    calibration.save(&args.out)?;
    print(&format!("calibration of {} at {}\n", calibration.host, calibration.date));
    print(&table(&calibration));
    print(&format!("written to {}\n", args.out.display()));
    Ok(())
}

/// Medians, with the spread from 5 % to 95 %.
fn table(calibration: &Calibration) -> String {
    let spread = |cost: &Cost| {
        let [median, low, high] = [cost.median_ns, cost.quantiles_ns[1], cost.quantiles_ns[19]]
            .map(|ns| latency(ns as f64));
        format!("{median} ({low} to {high})")
    };
    let mut text = format!(
        "  {:10} {:>8}  {:34}{:34}{}\n",
        "engine",
        "load",
        "connection: adds to latency",
        "hop: adds to latency",
        "occupation: holds the worker"
    );
    for measured in &calibration.measured {
        let [connection, hop, occupation] =
            [&measured.connection, &measured.hop, &measured.occupation].map(spread);
        let load = format!("{:.0}/s", measured.rate);
        text +=
            &format!("  {:10} {load:>8}  {connection:34}{hop:34}{occupation}\n", measured.engine);
    }
    text
}
