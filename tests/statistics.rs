//! What lab says of its own numbers, as a whole: intervals that hold the truth, runs that end when
//! enough is known, baselines, comparisons, and the capacity of a system.

#[cfg(feature = "cli")]
mod support;

#[cfg(feature = "cli")]
#[path = "statistics/commands.rs"]
mod commands;
#[path = "statistics/coverage.rs"]
mod coverage;
