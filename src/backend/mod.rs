//! The backend of the live world: a small HTTP service with a real queue and real workers.
//!
//! Requests are read and answered by one thread; their service happens in a queue with as many
//! threads as the backend has workers, so that a client that goes away leaves its work behind.
//! Faults are ordered over a second, private listener, and counted where they bite.

pub mod config;
pub mod control;
pub mod fault;
pub mod law;
mod load;
pub mod metrics;
mod occupancy;
pub mod partition;
pub mod program;
pub mod queue;
pub mod route;
pub mod server;
mod work;

pub use config::{BackendConfig, BackendError};
pub use fault::{FaultReport, FaultState, Faults};
pub use server::Server;
