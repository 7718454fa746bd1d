//! Why a proxy could not start, or ended badly.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// The socket of the admin interface cannot be made.
    #[error("cannot listen at unix:{}: {source}", path.display())]
    BindUnix {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The admin interface may change everything, so whoever can reach it must show a token.
    #[error(
        "the admin interface at {0} can be reached from elsewhere and has no token: give it one, or \
         listen at a loopback address or a Unix socket"
    )]
    AdminWithoutToken(SocketAddr),
    /// The token of the admin interface cannot be used.
    #[error("the admin token cannot be used: {0}")]
    AdminToken(String),
    /// The access log cannot be written.
    #[error("cannot write the access log {}: {source}", path.display())]
    AccessLog {
        /// Where it should be.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The number of the process cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    PidFile {
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The configuration was not to be had again.
    #[error("{0}")]
    Reload(String),
    /// A connection of HTTP/2 carries the requests of many clients.
    #[error(
        "peers that speak HTTP/2 cannot get PROXY headers, which name one client for a whole \
         connection: use protocol = \"http1\" or leave send_proxy_protocol out"
    )]
    HeaderForMany,
    /// Nobody may send the header that every connection must begin with.
    #[error(
        "{0} wants PROXY headers, and nobody is trusted to send them: name the networks of the \
         proxies in front in trusted"
    )]
    NobodyTrusted(SocketAddr),
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
