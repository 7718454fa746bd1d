//! What every command takes that runs the model on a scenario: how it is run, and where its results
//! go.

use std::path::PathBuf;

use clap::Args;

use super::run::all_cores;
use crate::experiment;
use crate::record::{Calibration, RecordError};
use crate::scenario::Scenario;

/// How the model is run.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ModelArgs {
    /// Seed, in place of the scenario's
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Threads for the model; all cores by default
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Costs of this host for the model, from `lab calibrate`, in place of the scenario's
    #[arg(long, value_name = "FILE")]
    pub(super) calibration: Option<PathBuf>,
}

impl ModelArgs {
    /// Threads that may run it.
    pub(super) fn threads(&self) -> usize {
        self.threads.map_or_else(all_cores, usize::from)
    }

    /// The calibration that was asked for, here or in the scenario.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn calibration(
        &self,
        scenario: &Scenario,
    ) -> Result<Option<Calibration>, RecordError> {
        experiment::calibration_of(self.calibration.as_deref(), scenario)
    }

    /// The seed that was asked for goes into `scenario`.
    pub(super) fn seed(&self, scenario: &mut Scenario) {
        scenario.seed = self.seed.unwrap_or(scenario.seed);
    }
}

/// Where results go, and how much is said of them.
#[derive(Args, Clone, Debug)]
pub(super) struct OutArgs {
    /// Folder for results
    #[arg(long = "out", default_value = "results", value_name = "FOLDER")]
    pub(super) folder: PathBuf,
    /// No progress, and no table
    #[arg(long, short)]
    pub(super) quiet: bool,
}
