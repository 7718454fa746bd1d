//! What a run leaves behind: rows of plain numbers and enums, the same for both worlds.

pub mod attempt;
pub mod calibration;
pub mod event;
pub mod request;
pub mod sink;
pub mod timeline;

pub use attempt::{AttemptOutcome, AttemptRow, PickedBecause};
pub use calibration::{Calibration, Cost};
pub use event::{EventKind, EventRow};
pub use request::{RequestError, RequestRow};
pub use sink::{Discard, Sink};
pub use timeline::TimelineRow;

/// Stands for "no upstream" in rows.
pub const NO_UPSTREAM: u32 = u32::MAX;
