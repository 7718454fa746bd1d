//! Containers: lab's image, backends in containers and the faults that Docker makes, fleets for the
//! autoscaler on the Engine and on a Swarm, the filter in front of Docker's socket, and the stack
//! that Compose runs. All with the real Docker, which `tests/run` installs and starts; images are
//! made from what is on this machine.
#![cfg(feature = "cli")]

#[path = "../support/mod.rs"]
mod support;

#[path = "../observability/programs.rs"]
#[allow(dead_code, reason = "shared with the tests of what is seen of lab")]
mod programs;
#[path = "../observability/prometheus.rs"]
#[allow(dead_code, reason = "shared with the tests of what is seen of lab")]
mod prometheus;

mod autoscale;
mod compose;
mod discovery;
mod docker;
mod faults;
mod filter;
mod fleet;
mod image;
mod run;
mod trouble;
