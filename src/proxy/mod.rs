//! lab's own reverse proxy: its data path on [`crate::http1`], decisions by [`crate::policy`] alone.
//!
//! ```text
//! listen ─▶ session ─▶ forward ─▶ driver (policy::Upstream)
//!              │          │  └──▶ pool, connect ─▶ peer
//!           client ◀── relay ◀───────────────────── ┘
//! ```
//!
//! Each worker is a thread with its own runtime, listener and idle connections to peers
//! ([`pool`]). `listen` accepts a connection; its `session` reads one head after the other.
//! `forward` serves a request: it asks the `driver` where to go and tries that peer, `upload` brings
//! the body there, `relay` brings the response back. All of that is polled by the one task of the
//! client's connection (HTTP/2: of its stream), over a `client` and a `peer`, which hide what each
//! of them speaks; `wire` is HTTP/1 on a connection, for both. The memory for it is a `desk`, which
//! an idle connection gives back. The driver is the only way to the decision core, behind one short
//! lock: one for all workers, or one each.
//!
//! `arrival` is what comes before the first request where a listener asks for it: a PROXY header
//! ([`proxy_protocol`]), a TLS handshake (`tls`). `http2` turns streams into requests of the same
//! form; `peer::shared` keeps the connections of HTTP/2 to peers.

mod access_log;
mod account;
mod admin;
mod affinity;
mod alarm;
mod arrival;
mod attempt;
mod buffer;
mod client;
mod config;
mod connect;
mod count;
mod desk;
mod driver;
mod endpoint;
mod error;
mod fields;
mod forward;
mod generation;
mod halt;
mod handover;
mod hedge;
mod http2;
mod in_flight;
mod instance;
mod journal;
mod linger;
mod listen;
mod load_probe;
mod message;
mod metrics;
mod peer;
pub mod pool;
mod probe;
pub mod program;
pub mod proxy_protocol;
mod relay;
mod reload;
mod request_key;
mod server;
mod session;
mod sockets;
mod spool;
mod tally;
mod tcp;
mod tls;
mod transport;
mod tunnel;
mod upload;
mod wire;
mod worker;

pub use config::ProxyConfig;
pub use error::ProxyError;
pub use instance::Reload;
pub use server::Proxy;
pub use tls::TlsError;
