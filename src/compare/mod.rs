//! How the worlds differ, and whether either may be believed.
//!
//! Rows stream into a [`Digest`] per replication or round, and into a [`PairSample`] for each
//! world; [`results`] makes of them what the terminal, JSON, charts and checks read.

pub mod attribution;
pub mod baseline;
mod block;
pub mod breakdown;
pub mod capacity;
pub mod digest;
pub mod distance;
pub mod engines;
mod estimate;
pub mod explanation;
pub mod growth;
pub mod interval;
pub mod layout;
mod measured;
pub mod objective;
pub mod pairs;
pub mod population;
mod results;
mod sample;
pub mod scaling;
mod seconds;
pub mod spread;
pub mod statistic;
pub mod stopping;
pub mod student;
mod summarise;
pub mod summary;
pub mod validity;
pub mod verdict;
pub mod versus;
mod warm_up;
mod world_digests;

pub use attribution::ModelMode;
pub use baseline::Baseline;
pub use block::Block;
pub use capacity::{CAPACITY_SCHEMA_VERSION, Capacity, CapacityPoint, Found, Holds, Probe};
pub use digest::{Digest, Little};
pub use engines::{
    ENGINES_SCHEMA_VERSION, EngineColumn, EnginesResults, EnginesRun, MeasuredEngine,
};
pub use estimate::{estimate_of, estimates_of};
pub use layout::Layout;
pub use pairs::PairSample;
pub use results::{Evidence, comparison, results};
pub use scaling::{LoadStep, ScalingAgreement, ScalingEvent, ScalingLayout, ScalingSummary};
pub use stopping::Stopping;
pub use summarise::summary_of;
pub use summary::*;
pub use validity::{FaultProof, LiveFacts, ProcessExit};
pub use versus::{Difference, Finding, Question, Unit as PairUnit, Versus};
pub use warm_up::{LatencySeries, Truncation, mser};
pub use world_digests::WorldDigests;
