//! A new connection to a peer.

use std::io;

use tokio::net::TcpStream;

use super::endpoint::Endpoint;
use super::peer::{Peer, http1};
use super::transport::Transport;
use crate::policy::Outcome;

/// Connects to a peer. Whoever calls limits the time.
///
/// # Errors
/// The outcome of the attempt.
pub(super) async fn connect(endpoint: &Endpoint) -> Result<Peer, Outcome> {
    match TcpStream::connect(endpoint.address).await {
        Ok(stream) => Ok(Peer::Http1(Box::new(http1::Connection::new(Transport::Tcp(stream))))),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Outcome::ConnectTimedOut),
        Err(_) => Err(Outcome::ConnectFailed),
    }
}
