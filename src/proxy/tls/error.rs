//! What is wrong with certificates and keys.

use std::io;
use std::path::PathBuf;

/// What is wrong with a certificate, a key or a name.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is no PEM.
    #[error("{} is no PEM file of {wanted}: {source}", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        wanted: &'static str,
        /// What is wrong.
        source: rustls::pki_types::pem::Error,
    },
    /// A file holds nothing that is wanted.
    #[error("{} holds no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// Certificate and key are no pair, or cannot be used.
    #[error("{} cannot be used with the key in {}: {source}", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        source: rustls::Error,
    },
    /// Not one certificate of an authority can be used.
    #[error("{} holds no authority's certificate that can be used", .0.display())]
    NoAuthority(PathBuf),
    /// The host's own authorities are nowhere.
    #[error("the host keeps no authorities where they are looked for ({0}); name a file with `ca`")]
    NoHostAuthorities(String),
    /// Not a name that a certificate can be made out to.
    #[error("{0:?} is neither a DNS name nor an address")]
    Name(String),
    /// rustls refuses the configuration.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}
