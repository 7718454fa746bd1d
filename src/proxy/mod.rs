//! lab's own reverse proxy: HTTP/1.1 on hyper, decisions by [`crate::policy`] alone.
//!
//! Each worker is a thread with its own runtime, listener and idle connections to peers
//! ([`pool`]). A request asks the `driver` where to go, is sent there by `forward`, and its
//! response is streamed back by `relay`, all in the task of its client's connection. The driver
//! is the only way to the decision core, behind one short lock: one for all workers, or one each.

mod access_log;
mod account;
mod admin;
mod body;
mod buffer;
mod client;
mod connection;
mod count;
mod driver;
mod endpoint;
mod error;
mod forward;
mod header;
mod in_flight;
mod journal;
mod listen;
mod load_probe;
mod message;
mod metrics;
mod patience;
mod peer;
pub mod pool;
mod probe;
pub mod program;
pub mod proxy_protocol;
mod refusal;
mod relay;
mod server;
mod session;
mod spool;
mod tally;
#[allow(
    dead_code,
    unused_imports,
    reason = "listeners and peers begin to use it with the new data path"
)]
mod tls;
mod transport;
mod upgrade;
mod wire;
mod worker;

pub use error::ProxyError;
pub use server::{Proxy, ProxyConfig};
pub use tls::TlsError;
