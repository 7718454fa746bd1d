//! Certificates with their keys, as read from files, and which of them a client gets.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::error::TlsError;
use crate::scenario::edge::ListenerTls;

/// The certificates of a listener. By the name a client asks for (SNI, RFC 6066) it gets the first
/// that is made out to it; for any other name, or none, the first of all.
#[derive(Debug)]
pub(super) struct Certificates(Vec<Arc<CertifiedKey>>);

impl Certificates {
    /// Reads all; `files` has at least one.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn read(files: &[ListenerTls], provider: &CryptoProvider) -> Result<Self, TlsError> {
        files
            .iter()
            .map(|file| read(file, provider).map(Arc::new))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn named(&self, name: &str) -> Option<&Arc<CertifiedKey>> {
        let name = ServerName::try_from(name).ok()?;
        self.0.iter().find(|key| {
            let certificate = key.end_entity_cert().and_then(ParsedCertificate::try_from);
            certificate.is_ok_and(|it| rustls::client::verify_server_name(&it, &name).is_ok())
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().and_then(|name| self.named(name));
        named.or_else(|| self.0.first()).map(Arc::clone)
    }
}

fn read(file: &ListenerTls, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = chain(&file.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&bytes(&file.key)?)
        .map_err(|source| not_pem(&file.key, "a private key", source))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|source| TlsError::Pair {
        certificate: file.certificate.clone(),
        key: file.key.clone(),
        source,
    })
}

/// All certificates of a PEM file; at least one.
///
/// # Errors
/// When there is none, or something else.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = bytes(path)?;
    let chain = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|source| not_pem(path, "certificates", source))?;
    if chain.is_empty() { Err(TlsError::NoCertificate(path.to_owned())) } else { Ok(chain) }
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read { path: path.to_owned(), source })
}

fn not_pem(path: &Path, wanted: &'static str, source: pem::Error) -> TlsError {
    TlsError::Pem { path: path.to_owned(), wanted, source }
}

/// What tells that files have changed: replaced by another (also behind a symbolic link, as
/// Kubernetes does) or written to. A file that is missing has its own mark.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(Vec<Option<Mark>>);

type Mark = (u64, u64, i64, i64);

impl Marks {
    pub(super) fn of(files: &[ListenerTls]) -> Self {
        let paths = files.iter().flat_map(|file| [&file.certificate, &file.key]);
        Self(paths.map(|path| fs::metadata(path).ok().as_ref().map(mark)).collect())
    }
}

fn mark(of: &Metadata) -> Mark {
    (of.ino(), of.size(), of.mtime(), of.mtime_nsec())
}
