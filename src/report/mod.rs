//! Results for people and machines: terminal, JSON, charts, a page of HTML.

mod autoscaling;
pub mod capacity;
#[cfg(feature = "charts")]
pub mod chart;
pub mod engines;
pub mod explanation;
pub mod github;
#[cfg(feature = "files")]
pub mod html;
#[cfg(feature = "cli")]
pub mod junit;
pub mod markdown;
pub mod number;
pub mod parity;
pub mod published;
pub mod sweep;
pub mod table;
pub mod terminal;
pub mod verdicts;
pub mod versus;

pub use table::Paint;
