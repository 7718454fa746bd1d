//! A scenario: the language a user writes, read strictly and lowered to checked configuration.

pub mod check;
pub mod checked;

pub use check::{Check, Measure, Relation, Subject, Tolerance};
pub use checked::{Backend, BalancerFacts, Discipline, Engine, HostFacts, Scenario, StateSharing};
