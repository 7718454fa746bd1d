//! lab's proxy between real sockets: scripted peers on one side, raw clients on the other.
#![cfg(feature = "live")]

mod access_log;
mod admin;
mod bodies;
mod client;
mod clients;
mod exchange;
mod fields;
mod keepalive;
mod layer4;
mod limits;
mod load_probes;
mod malformed;
mod metrics;
mod nginx;
mod peer;
mod peers;
mod program;
mod raw;
mod reload;
mod resilience;
mod retries;
mod setup;
mod slow;
mod smuggling;
mod strict;
mod tunnel;
