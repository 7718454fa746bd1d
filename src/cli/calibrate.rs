//! `lab calibrate`: measures what this host adds to each request.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use super::progress::Bar;
use super::terminal::{complain, print};
use crate::experiment::{self, RunError};
use crate::host::interrupt;
use crate::record::Cost;
use crate::report::number::latency;
use crate::units::Span;

/// Arguments of `lab calibrate`.
#[derive(Debug, Args)]
pub(super) struct CalibrateArgs {
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
    let measured = experiment::calibrate(&folder, &bar, &stop);
    bar.clear();
    let calibration = measured?;
    calibration.save(&args.out)?;
    let show = |name: &str, cost: &Cost, what: &str| {
        format!(
            "  {name:11} {:>9}  (5 % to 95 %: {} to {}, {} samples)  {what}\n",
            latency(cost.median_ns as f64),
            latency(cost.quantiles_ns[1] as f64),
            latency(cost.quantiles_ns[19] as f64),
            cost.samples
        )
    };
    print(&format!("calibration of {} at {}\n", calibration.host, calibration.date));
    print(&show("connection", &calibration.connection, "adds to latency"));
    print(&show("hop", &calibration.hop, "adds to latency"));
    print(&show("occupation", &calibration.occupation, "holds the worker"));
    print(&format!("written to {}\n", args.out.display()));
    Ok(())
}
