//! Runs worlds, replicates, compares and judges.

pub mod theory;
