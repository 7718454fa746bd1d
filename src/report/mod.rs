//! Results for people and machines: terminal, JSON, charts.

mod autoscaling;
#[cfg(feature = "charts")]
pub mod chart;
pub mod engines;
pub mod number;
pub mod parity;
pub mod sweep;
pub mod table;
pub mod terminal;

pub use table::Paint;
