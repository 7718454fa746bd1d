//! Real NGINX, HAProxy and Envoy between scripted servers and a scripted client, step by step: the
//! next request is sent only when the last one has reached a server, so that their order at the
//! engine is known. The conformance tests and `examples/record_vectors` drive the engines by this.

#![allow(dead_code, reason = "tests and example each use a part of it")]

pub(crate) mod edf;
pub(crate) mod edf_starts;
pub(crate) mod envoy;
pub(crate) mod haproxy;
pub(crate) mod nginx;
pub(crate) mod problem;
mod program;
pub(crate) mod record;
pub(crate) mod stage;
pub(crate) mod wire;

pub(crate) use envoy::Envoy;
pub(crate) use haproxy::Haproxy;
pub(crate) use nginx::Nginx;
#[allow(unused_imports, reason = "each uses a part of it")]
pub(crate) use problem::{Problem, Tried};
