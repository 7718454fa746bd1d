//! What a run leaves behind: rows of plain numbers and enums, the same for both worlds.

pub mod attempt;
pub mod calibration;
pub mod directory;
pub mod error;
pub mod event;
pub mod histogram;
pub mod hlog;
pub mod manifest;
pub mod names;
#[cfg(feature = "files")]
mod parquet;
#[cfg(feature = "files")]
pub mod read;
#[cfg(feature = "files")]
pub mod recorder;
pub mod request;
pub mod sink;
pub mod spool;
#[cfg(feature = "files")]
mod tables;
pub mod timeline;

pub use attempt::{AttemptOutcome, AttemptRow, PickedBecause};
pub use calibration::{Calibration, Cost};
pub use directory::RunDirectory;
pub use error::RecordError;
pub use event::{EventKind, EventRow};
pub use histogram::Histogram;
pub use hlog::HlogWriter;
pub use manifest::Manifest;
pub use names::Names;
#[cfg(feature = "files")]
pub use recorder::Recorder;
pub use request::{RequestError, RequestRow};
pub use sink::{Discard, Sink};
pub use timeline::TimelineRow;

/// Stands for "no upstream" in rows.
pub const NO_UPSTREAM: u32 = u32::MAX;
