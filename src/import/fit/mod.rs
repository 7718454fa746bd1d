//! Which of lab's laws and processes are nearest to what a log recorded, and how near.
//!
//! Parameters are those of maximum likelihood, laws are ranked by Akaike's criterion, and each says
//! its Kolmogorov-Smirnov distance and how wrong its quantiles are: with many thousand requests
//! every test of a hypothesis refuses every law, while an error in per cent can be judged.

pub mod arrival;
mod law;
mod sample;
pub mod service;

pub use arrival::{ArrivalFit, Process};
pub use service::{LawFit, ServiceFit};

use crate::units::Span;

/// The quantiles at which laws are held against the data.
pub const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
/// A law whose distribution function is further than this from the data's does not fit.
pub const DISTANCE_MOST: f64 = 0.05;
/// A law whose p50, p90 or p99 is further off than this share does not fit.
pub const QUANTILE_ERROR_MOST: f64 = 0.15;

/// How finely a log writes durations, from the durations themselves: milliseconds, microseconds or
/// nanoseconds. What was rounded to it is not taken for steps of a law.
#[must_use]
pub fn resolution(durations: &[Span]) -> Span {
    const STEPS: [u64; 3] = [1_000_000, 1_000, 1];
    let fits = |step: &u64| durations.iter().all(|duration| duration.0.is_multiple_of(*step));
    Span(STEPS.into_iter().find(fits).unwrap_or(1))
}
