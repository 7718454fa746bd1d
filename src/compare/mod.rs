//! How the worlds differ, and whether either may be believed.

pub mod summary;

pub use summary::*;
