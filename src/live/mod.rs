//! Starts, disturbs, watches and stops the programs of the live world.
//!
//! Everything runs on one thread with one tokio runtime: the kernel ties a child's life to the
//! *thread* that started it, so the thread that starts programs must outlive them.

mod drain;
mod engine;
pub mod fault;
pub mod ports;
pub mod prometheus;
pub mod provider;
pub mod sample;
mod scale;
mod shown;
mod sightings;
pub mod world;

pub use engine::on_path;
pub use provider::{DockerError, DockerOptions, ProviderOptions};
pub use world::{
    LiveError, LiveOptions, LiveRun, ProgramExit, Watcher, check_installed, find_program, run,
};
