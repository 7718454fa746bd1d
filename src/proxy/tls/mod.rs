//! TLS by rustls with ring: of clients to a listener, and to peers.
//!
//! A certificate is read again when its files change. Handshakes that begin later get the new one;
//! what is established goes on. One that cannot be used leaves the old one in place, and that is
//! said.

mod certificate;
mod error;
mod listener;
mod peers;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};

#[cfg(test)]
mod tests;

pub use error::TlsError;
pub(super) use listener::TlsListener;
pub(super) use peers::TlsPeers;

/// HTTP/2 and HTTP/1.1 as ALPN names them (RFC 7301; RFC 9113, 3.1).
const H2: &[u8] = b"h2";
const HTTP_1_1: &[u8] = b"http/1.1";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
