//! Why a proxy could not start, or ended badly.

use std::io;
use std::net::SocketAddr;

use super::tls::TlsError;
use crate::record::RecordError;

/// Why a proxy could not start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Not every peer has an address.
    #[error("{peers} peers but {addresses} addresses")]
    Addresses {
        /// Number of peers.
        peers: usize,
        /// Number of addresses.
        addresses: usize,
    },
    /// The address cannot be listened at.
    #[error("cannot listen at {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The admin interface may change everything and asks nobody who they are.
    #[error("the admin interface listens at loopback addresses only, not at {0}")]
    AdminNotLoopback(SocketAddr),
    /// A certificate or a key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The spool cannot be written.
    #[error(transparent)]
    Spool(#[from] RecordError),
    /// A thread or a runtime cannot be started.
    #[error("cannot start a worker: {0}")]
    Start(io::Error),
    /// A worker failed.
    #[error("a worker failed: {0}")]
    Worker(io::Error),
    /// A bug.
    #[error("{0} panicked; this is a bug")]
    Panicked(&'static str),
}
