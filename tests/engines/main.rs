//! The real engines: what is written for them passes their own checker, and what is run with them
//! does as the model says. Needs nginx, haproxy and envoy: `tests/run` installs them.
#![cfg(feature = "live")]

mod envoy_configuration;
#[cfg(feature = "cli")]
mod envoy_worlds;
mod haproxy_configuration;
mod haproxy_user;
#[cfg(feature = "cli")]
mod haproxy_worlds;
mod nginx_configuration;
#[cfg(feature = "cli")]
mod nginx_worlds;
mod settings;
#[cfg(feature = "cli")]
#[path = "../support/mod.rs"]
mod support;
#[cfg(feature = "cli")]
mod user_worlds;
#[cfg(feature = "cli")]
mod worlds;
