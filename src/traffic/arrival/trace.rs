//! Recorded arrivals.
