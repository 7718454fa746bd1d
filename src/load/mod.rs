//! The load generator: the plan against the clock.
//!
//! An open loop sends each request when it is due, whatever the responses do; a closed loop has
//! users who wait for theirs. Latency counts from the instant a request was due, so a generator
//! or a server that stalls cannot hide it (coordinated omission), and the generator's own
//! lateness is measured and reported. One thread does everything: the pacer writes a due request
//! to a kept-alive connection itself, so that no queue of tasks stands between timer and socket.

mod closed;
pub mod config;
mod connection;
mod framing;
mod generator;
mod head;
mod jar;
mod json;
mod ledger;
mod open;
mod pacer;
mod pool;
pub mod program;
mod report;
mod run;
mod table;
mod tally;
mod target;

pub use config::{LoadConfig, LoadError, Pace};
pub use report::{LittlesLaw, LoadReport};
pub use run::{Outcome, run};
pub use tally::Tally;
pub use target::{Target, TargetError};
