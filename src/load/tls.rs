//! TLS of the client: whose certificates it believes, and what it offers to speak.

use std::io;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, InvalidMessage, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::config::Protocol;
use crate::host::anybody::Anybody;

const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

/// Whose certificates are believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trust {
    /// Those of the host's authorities.
    Host,
    /// Those signed by, or equal to, one of these certificates in PEM.
    Pem(Vec<u8>),
    /// Anybody's: whoever stands between the two can read and change everything.
    Anybody,
}

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The host has no authorities.
    #[error(
        "this host has no certificates of authorities ({0}); install ca-certificates, name one \
         with --ca, or trust anybody with --insecure"
    )]
    NoHostAuthorities(String),
    /// What was given holds no certificate.
    #[error("there is no certificate that can be used: {0}")]
    NoCertificate(String),
    /// The library refuses.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// How TLS is spoken, to whichever target.
#[derive(Clone, Debug)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    http2: bool,
}

impl TlsClient {
    /// For `protocol`, which is what ALPN offers (RFC 7301).
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn new(trust: &Trust, protocol: Protocol) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?;
        let mut config = match trust {
            Trust::Host => builder.with_root_certificates(host_authorities()?),
            Trust::Pem(pem) => builder.with_root_certificates(authorities(pem)?),
            Trust::Anybody => {
                builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
            }
        }
        .with_no_client_auth();
        let http2 = matches!(protocol, Protocol::Http2 { .. });
        config.alpn_protocols = vec![if http2 { H2 } else { HTTP_1_1 }.to_vec()];
        Ok(Self { config: Arc::new(config), http2 })
    }

    /// Completes a handshake with the server that is to be `name`, which SNI says.
    ///
    /// # Errors
    /// When it fails, or when HTTP/2 is to be spoken and the server does not agree.
    pub(super) async fn connect(
        &self,
        name: ServerName<'static>,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = connector.connect(name, stream).await.map_err(explained)?;
        if self.http2 && stream.get_ref().1.alpn_protocol() != Some(H2) {
            return Err(io::Error::other("the server does not offer HTTP/2 (ALPN h2)"));
        }
        Ok(stream)
    }
}

/// What is no TLS at all says so.
fn explained(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            io::Error::new(error.kind(), "no TLS is spoken there; is it http://?")
        }
        _ if error.kind() == io::ErrorKind::UnexpectedEof => {
            io::Error::new(error.kind(), "the server ended the handshake; is TLS spoken there?")
        }
        _ => error,
    }
}

fn host_authorities() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A host's list may hold some that are too old to be parsed.
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let why = found.errors.first().map_or_else(|| "none found".to_owned(), ToString::to_string);
    Err(TlsError::NoHostAuthorities(why))
}

fn authorities(pem: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate =
            certificate.map_err(|error| TlsError::NoCertificate(format!("{error:?}")))?;
        roots.add(certificate)?;
    }
    if roots.is_empty() {
        return Err(TlsError::NoCertificate("it holds no PEM certificate".to_owned()));
    }
    Ok(roots)
}
