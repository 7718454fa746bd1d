//! Real NGINX, HAProxy and Envoy against the decision core: one script of requests, and the picks
//! of both, request by request. And what was recorded of them, recorded again.
#![cfg(feature = "live")]

#[path = "../engines/mod.rs"]
mod engines;

mod core;
mod envoy;
mod haproxy;
mod nginx;
mod play;
mod proxy;
mod real;
mod script;
mod vectors;
#[path = "../support/waiting.rs"]
mod waiting;
