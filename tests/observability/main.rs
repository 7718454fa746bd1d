//! What can be seen of lab from outside, with a real Prometheus (Debian's package): one datum followed
//! through each flow, rules and dashboards held against what they are for.
#![cfg(feature = "cli")]

#[path = "../support/mod.rs"]
mod support;

mod down;
mod engines;
mod files;
mod health;
mod metrics;
mod panels;
mod pipeline;
mod programs;
mod prometheus;
mod propagation;
mod run;
mod shown;
