//! lab's proxy between real sockets: scripted peers on one side, raw clients on the other.
#![cfg(feature = "live")]

mod admin;
mod bodies;
mod client;
mod clients;
mod fields;
mod keepalive;
mod limits;
mod malformed;
mod nginx;
mod peer;
mod peers;
mod raw;
mod retries;
mod setup;
mod smuggling;
mod strict;
mod tunnel;
