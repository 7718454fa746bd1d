//! The statistics of `compare` against the same ones done the long way, and against known laws.

#[path = "compare/exactness.rs"]
mod exactness;
#[path = "compare/world.rs"]
mod world;
