//! Handshakes with clients.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::certificate::{Certificates, Marks};
use super::error::TlsError;
use super::{H2, HTTP_1_1, provider};
use crate::proxy::journal::log;
use crate::scenario::edge::ListenerTls;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// TLS of a listener, with certificates that can change.
#[derive(Debug)]
pub(in crate::proxy) struct TlsListener {
    files: Vec<ListenerTls>,
    http2: bool,
    current: RwLock<Arc<ServerConfig>>,
    /// The files when they were last read, whether or not they could be used.
    seen: Mutex<Marks>,
}

impl TlsListener {
    /// Reads the certificates. `http2` is offered before HTTP/1.1.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub(in crate::proxy) fn new(files: &[ListenerTls], http2: bool) -> Result<Self, TlsError> {
        let seen = Mutex::new(Marks::of(files));
        let current = RwLock::new(Arc::new(config(files, http2)?));
        Ok(Self { files: files.to_vec(), http2, current, seen })
    }

    /// Completes a handshake, which must not take longer than `limit`.
    ///
    /// # Errors
    /// When it fails or takes longer.
    pub(in crate::proxy) async fn accept(
        &self,
        stream: TcpStream,
        limit: Duration,
    ) -> io::Result<TlsStream<TcpStream>> {
        let config = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        tokio::time::timeout(limit, TlsAcceptor::from(config).accept(stream)).await?
    }

    /// Whether the client of `stream` and the listener have agreed on HTTP/2.
    pub(in crate::proxy) fn speaks_http2(stream: &TlsStream<TcpStream>) -> bool {
        stream.get_ref().1.alpn_protocol() == Some(H2)
    }

    /// Reads the certificates again, for all handshakes that begin from now on. The whole
    /// configuration is made anew: with the old keys for session tickets a client could go on
    /// with what it knows of the old certificate.
    ///
    /// # Errors
    /// When one of them cannot be used; all stay as they were then.
    pub(in crate::proxy) fn reload(&self) -> Result<(), TlsError> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Marks::of(&self.files);
        let fresh = Arc::new(config(&self.files, self.http2)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// Reloads when the files have changed, once for each change; says whether it could.
    pub(super) fn look(&self) {
        let seen = Marks::of(&self.files);
        if *self.seen.lock().unwrap_or_else(PoisonError::into_inner) == seen {
            return;
        }
        match self.reload() {
            Ok(()) => log(format_args!("certificates read again: {}", self.names())),
            Err(error) => log(format_args!("the old certificates stay in use: {error}")),
        }
    }

    fn names(&self) -> String {
        let names = self.files.iter().map(|file| file.certificate.display().to_string());
        names.collect::<Vec<_>>().join(", ")
    }

    /// Looks after the files until dropped.
    pub(in crate::proxy) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let this = Arc::clone(&self);
            // Files may be slow to answer; a panic there would be a bug that is told on stderr.
            drop(tokio::task::spawn_blocking(move || this.look()).await);
        }
    }
}

fn config(files: &[ListenerTls], http2: bool) -> Result<ServerConfig, TlsError> {
    let provider = provider();
    let certificates = Certificates::read(files, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificates));
    config.ticketer = ring::Ticketer::new()?;
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    if http2 {
        config.alpn_protocols.insert(0, H2.to_vec());
    }
    Ok(config)
}
