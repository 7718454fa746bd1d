//! Runs worlds, replicates, compares and judges.

#[cfg(feature = "cli")]
mod calibrate;
#[cfg(feature = "cli")]
mod capacity;
#[cfg(feature = "cli")]
pub mod dry_run;
#[cfg(feature = "cli")]
mod engines;
#[cfg(feature = "cli")]
mod entry;
#[cfg(feature = "cli")]
pub mod explain;
#[cfg(feature = "cli")]
mod identity;
#[cfg(feature = "cli")]
mod judge;
#[cfg(feature = "cli")]
mod model;
#[cfg(feature = "cli")]
mod precision;
#[cfg(feature = "cli")]
mod reality;
#[cfg(feature = "cli")]
mod recorded;
#[cfg(feature = "cli")]
mod recorded_engines;
#[cfg(feature = "cli")]
mod run;
#[cfg(feature = "cli")]
mod saved;
#[cfg(feature = "cli")]
mod settle;
#[cfg(feature = "cli")]
pub mod sweep;
pub mod theory;
#[cfg(feature = "cli")]
mod timeline;
#[cfg(feature = "cli")]
mod turns;
#[cfg(feature = "cli")]
mod versus;

#[cfg(feature = "cli")]
pub use calibrate::{CALIBRATION_SECONDS, calibrate};
#[cfg(feature = "cli")]
pub use capacity::{Axis, CapacityOutcome, NoAxis, Search, capacity};
#[cfg(feature = "cli")]
pub use engines::{EnginesOutcome, run_engines};
#[cfg(feature = "cli")]
pub use identity::host_facts;
#[cfg(feature = "cli")]
pub use recorded::{Recorded, Two, recorded_scenario};
#[cfg(feature = "cli")]
pub use recorded_engines::{is_of_engines, read_engines};
#[cfg(feature = "cli")]
pub use run::{Outcome, RunError, RunOptions, calibration_of, run};
#[cfg(feature = "cli")]
pub use saved::{saved_engines, saved_results};
#[cfg(feature = "cli")]
pub use turns::{Turns, TurnsOutcome, take_turns};
#[cfg(feature = "cli")]
pub use versus::{Race, race};
