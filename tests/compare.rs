//! The statistics of `compare` against the same ones done the long way, and against known laws.

#[path = "compare/coverage.rs"]
mod coverage;
#[path = "compare/exactness.rs"]
mod exactness;
#[path = "compare/together.rs"]
mod together;
#[path = "compare/verdicts.rs"]
mod verdicts;
#[path = "compare/world.rs"]
mod world;
