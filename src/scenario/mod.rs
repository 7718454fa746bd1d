//! A scenario: the language a user writes, read strictly and lowered to checked configuration.
//!
//! [`load`] reads a file in three steps. `tree` parses the TOML and keeps the place of every value;
//! `file` names the sections and keys, and reads them with nothing lost and nothing ignored;
//! `lower` applies defaults, resolves names and refuses what cannot be meant. Problems of all three
//! are collected and shown together.

pub mod autoscaler;
pub mod check;
pub mod checked;
pub mod diagnostic;
pub mod difference;
pub mod edge;
mod file;
mod hash_key;
mod load;
mod lower;
mod precision;
mod reader;
pub mod schema;
mod section;
pub mod sweep;
mod tree;

pub use autoscaler::{AutoscalerFacts, MetricSource};
pub use check::{Change, Check, Measure, Relation, Subject, Tolerance};
pub use checked::{
    Backend, BalancerFacts, Discipline, Engine, HostFacts, Scenario, StateSharing, UnknownEngine,
};
pub use diagnostic::{Diagnostic, Diagnostics, Location};
pub use edge::EdgeFacts;
pub use hash_key::{Carrier, HashKey, PlannedKeys, client_address};
pub use load::{
    BackendsFile, BalancerFile, load, load_backends_with, load_balancer, load_balancer_with,
    load_with, parse, parse_balancer, parse_law, parse_unchecked, parse_with,
};
pub use precision::Precision;
pub use sweep::SweepFacts;

/// Version of the scenario format that this lab reads.
pub const SCHEMA_VERSION: u32 = 1;
