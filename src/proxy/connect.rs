//! A new connection to a peer: TCP, then what the peer is to know of the client (PROXY protocol),
//! then TLS, and on it HTTP/1 or a stream of HTTP/2.

use std::io;
use std::net::SocketAddr;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::endpoint::Endpoint;
use super::journal::log;
use super::peer::shared::Shared;
use super::peer::{Peer, http1, http2};
use super::proxy_protocol::{self, Version};
use super::tls::{TlsError, TlsPeers};
use super::transport::Transport;
use crate::policy::Outcome;
use crate::scenario::edge::{ProxyProtocol, UpstreamFacts, UpstreamProtocol};

/// How peers are connected to.
#[derive(Debug)]
pub(super) struct Connector {
    protocol: UpstreamProtocol,
    tls: Option<TlsPeers>,
    header: Option<Version>,
}

/// For whom a connection is made: where the client is, and where it connected to. `None` for the
/// proxy's own.
pub(super) type Introduction = Option<(SocketAddr, SocketAddr)>;

impl Connector {
    /// Reads what TLS needs.
    ///
    /// # Errors
    /// When authorities or the server's name cannot be used.
    pub(super) fn new(facts: &UpstreamFacts) -> Result<Self, TlsError> {
        let tls = facts.tls.as_ref().map(|tls| TlsPeers::new(tls, facts.protocol));
        let header = facts.send_proxy_protocol.map(|version| match version {
            ProxyProtocol::V1 => Version::V1,
            ProxyProtocol::V2 => Version::V2,
        });
        Ok(Self { protocol: facts.protocol, tls: tls.transpose()?, header })
    }

    /// Says what whoever runs the proxy should know.
    pub(super) fn warn(&self) {
        if self.tls.as_ref().is_some_and(|tls| !tls.verifies()) {
            log(format_args!(
                "WARNING: certificates of peers are not verified; whoever is in between can read \
                 and change everything"
            ));
        }
    }

    /// Whether connections begin with a PROXY header.
    pub(super) const fn introduces(&self) -> bool {
        self.header.is_some()
    }

    /// Connects to a peer, or finds a place for a stream on a connection in `shared`. Whoever calls
    /// limits the time.
    ///
    /// # Errors
    /// The outcome of the attempt.
    pub(super) async fn connect(
        &self,
        endpoint: &Endpoint,
        shared: &Shared,
        introduction: Introduction,
    ) -> Result<Peer, Outcome> {
        let opening = self.open(endpoint, introduction);
        match self.protocol {
            UpstreamProtocol::Http1 => {
                let mut connection = http1::Connection::new(opening.await?);
                connection.belongs_to_client(self.header.is_some());
                Ok(Peer::Http1(Box::new(connection)))
            }
            UpstreamProtocol::H2 => {
                let place = shared.place(endpoint.line, opening).await?;
                Ok(Peer::Http2(Box::new(http2::Stream::new(place))))
            }
        }
    }

    /// Connects to a peer. Whoever calls limits the time.
    ///
    /// # Errors
    /// The outcome of the attempt.
    pub(super) async fn open(
        &self,
        endpoint: &Endpoint,
        introduction: Introduction,
    ) -> Result<Transport, Outcome> {
        match self.transport(endpoint.address, introduction).await {
            Ok(transport) => Ok(transport),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(Outcome::ConnectTimedOut),
            Err(_) => Err(Outcome::ConnectFailed),
        }
    }

    async fn transport(
        &self,
        address: SocketAddr,
        introduction: Introduction,
    ) -> io::Result<Transport> {
        let mut stream = TcpStream::connect(address).await?;
        if let Some(version) = self.header {
            let mut header = Vec::new();
            match introduction {
                Some((client, local)) => {
                    proxy_protocol::write(version, client, local, &mut header);
                }
                None => proxy_protocol::write_local(version, &mut header),
            }
            stream.write_all(&header).await?;
        }
        match &self.tls {
            None => Ok(Transport::Tcp(stream)),
            Some(tls) => {
                stream.set_nodelay(true)?;
                let stream = tls.connect(stream, address).await?;
                Ok(Transport::Tls(Box::new(stream.into())))
            }
        }
    }
}
