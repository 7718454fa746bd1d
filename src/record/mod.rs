//! What a run leaves behind: rows of plain numbers and enums, the same for both worlds.
//!
//! In the Parquet files worlds, classes, peers and outcomes are words, times are signed
//! nanoseconds since the run's zero, and a phase that was not reached is 0. In `requests.parquet`
//! a null says that nothing set the column apart, and costs nothing to store:
//!
//! | column | null stands for |
//! |---|---|
//! | `sent_ns` | `scheduled_ns`: sent when it was due |
//! | `connected_ns` | `sent_ns`: on a kept-alive connection |
//! | `first_byte_ns` | `finished_ns`: the response was complete with its first byte |
//! | `queued_ns` | 0: a worker was free |
//! | `service_ns` | `demand_ns`: the worker was held for exactly the demand |
//! | `upstream` | no peer was reached |
//!
//! So latency is `finished_ns - scheduled_ns`, and latency from the actual send is
//! `finished_ns - coalesce(sent_ns, scheduled_ns)`. Each file says the same in its key-value
//! metadata under `lab.nulls`.

pub mod attempt;
pub mod calibration;
pub mod csv;
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
pub mod scaling;
pub mod sink;
pub mod spool;
#[cfg(feature = "files")]
pub mod summary_row;
#[cfg(feature = "files")]
mod tables;
pub mod timeline;
#[cfg(feature = "files")]
pub mod trace;

pub use attempt::{AttemptOutcome, AttemptRow, AttemptSource, PickedBecause};
pub use calibration::{Calibration, Cost, Costs};
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
pub use sink::{Both, Discard, Sink};
pub use timeline::TimelineRow;

/// Stands for "no upstream" in rows.
pub const NO_UPSTREAM: u32 = u32::MAX;
