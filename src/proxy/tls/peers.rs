//! Handshakes with peers.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::certificate::chain;
use super::error::TlsError;
use super::{H2, HTTP_1_1, provider};
use crate::host::anybody::Anybody;
use crate::scenario::edge::{UpstreamProtocol, UpstreamTls};

/// Where systems keep the authorities that they believe: Debian and its kin, Red Hat and its kin.
const HOST_AUTHORITIES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// TLS to peers.
#[derive(Debug)]
pub(in crate::proxy) struct TlsPeers {
    config: Arc<ClientConfig>,
    /// Asked for and verified; the peer's address if there is none.
    name: Option<ServerName<'static>>,
    http2: bool,
    verifies: bool,
}

impl TlsPeers {
    /// Reads the authorities, if peers are to be verified.
    ///
    /// # Errors
    /// When there are none that can be used, or the name is none.
    pub(in crate::proxy) fn new(
        facts: &UpstreamTls,
        protocol: UpstreamProtocol,
    ) -> Result<Self, TlsError> {
        let name = facts.server_name.as_ref().map(|name| {
            ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name.clone()))
        });
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut config = if facts.verify {
            builder.with_root_certificates(authorities(facts.ca.as_deref())?).with_no_client_auth()
        } else {
            let anybody = Arc::new(Anybody(provider));
            builder.dangerous().with_custom_certificate_verifier(anybody).with_no_client_auth()
        };
        let http2 = protocol == UpstreamProtocol::H2;
        config.alpn_protocols = vec![if http2 { H2 } else { HTTP_1_1 }.to_vec()];
        let config = Arc::new(config);
        Ok(Self { config, name: name.transpose()?, http2, verifies: facts.verify })
    }

    /// Whether peers must show a valid certificate.
    pub(in crate::proxy) const fn verifies(&self) -> bool {
        self.verifies
    }

    /// Completes a handshake with the peer at `address`; the caller limits its time.
    ///
    /// # Errors
    /// When it fails, or when HTTP/2 is to be spoken and the peer does not agree.
    pub(in crate::proxy) async fn connect(
        &self,
        stream: TcpStream,
        address: SocketAddr,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = self.name.clone().unwrap_or_else(|| address.ip().into());
        let stream = TlsConnector::from(Arc::clone(&self.config)).connect(name, stream).await?;
        if self.http2 && stream.get_ref().1.alpn_protocol() != Some(H2) {
            return Err(io::Error::other("the peer does not speak HTTP/2 under TLS"));
        }
        Ok(stream)
    }
}

fn authorities(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let path = ca.map_or_else(host_authorities, |path| Ok(path.to_owned()))?;
    let mut roots = RootCertStore::empty();
    // A host's list may hold some that are too old to be parsed.
    let (added, _) = roots.add_parsable_certificates(chain(&path)?);
    if added == 0 { Err(TlsError::NoAuthority(path)) } else { Ok(roots) }
}

fn host_authorities() -> Result<PathBuf, TlsError> {
    let found = HOST_AUTHORITIES.iter().map(PathBuf::from).find(|path| path.exists());
    found.ok_or_else(|| TlsError::NoHostAuthorities(HOST_AUTHORITIES.join(", ")))
}
