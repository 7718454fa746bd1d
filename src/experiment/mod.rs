//! Runs worlds, replicates, compares and judges.
