//! Results for people and machines: terminal, JSON, charts.

#[cfg(feature = "charts")]
pub mod chart;
pub mod number;
pub mod table;
pub mod terminal;

pub use table::Paint;
