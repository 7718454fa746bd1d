//! The bytes of a connection: plain, or through TLS.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use super::config::{LoadConfig, LoadError};
use super::target::Target;
use super::tls::TlsClient;
use crate::scenario::client_address;

/// Opens connections to one target.
#[derive(Clone, Debug)]
pub(super) struct Dialer {
    address: SocketAddr,
    tls: Option<(TlsClient, ServerName<'static>)>,
}

impl Dialer {
    /// One for each target of `config`.
    ///
    /// # Errors
    /// When a target asks for TLS that cannot be had.
    pub(super) fn all(config: &LoadConfig) -> Result<Vec<Self>, LoadError> {
        config.targets.iter().map(|target| Self::new(target, config.extras.tls.as_ref())).collect()
    }

    fn new(target: &Target, tls: Option<&TlsClient>) -> Result<Self, LoadError> {
        let tls = if target.secure {
            let refuse = || LoadError::NoTls(target.authority.clone());
            let name = ServerName::try_from(target.host().to_owned()).map_err(|_| refuse())?;
            Some((tls.ok_or_else(refuse)?.clone(), name))
        } else {
            None
        };
        Ok(Self { address: target.address, tls })
    }

    /// Opens one; from the address of the client with the key `client`, if that is not 0 and the
    /// server is on this host.
    pub(super) async fn open(&self, client: u64) -> io::Result<Wire> {
        let stream = match self.address.ip() {
            IpAddr::V4(server) if client != 0 && server.is_loopback() => {
                let socket = TcpSocket::new_v4()?;
                socket.bind(SocketAddr::new(client_address(client).into(), 0))?;
                socket.connect(self.address).await?
            }
            _ => TcpStream::connect(self.address).await?,
        };
        stream.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Wire::Plain(stream),
            Some((tls, name)) => Wire::Tls(Box::new(tls.connect(name.clone(), stream).await?)),
        })
    }
}

#[cfg(test)]
impl From<SocketAddr> for Dialer {
    fn from(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }
}

/// An open connection's bytes.
#[derive(Debug)]
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Reads what has come. Costs no system call where nothing has.
    pub(super) fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_read(buffer),
            Self::Tls(stream) => {
                let mut read = ReadBuf::new(buffer);
                let mut context = Context::from_waker(Waker::noop());
                match Pin::new(stream).poll_read(&mut context, &mut read) {
                    Poll::Ready(outcome) => outcome.map(|()| read.filled().len()),
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
        }
    }

    /// Writes what is taken at once. Through TLS that is nothing: what is encrypted and not taken
    /// by the socket would have to be flushed later.
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.try_write(bytes),
            Self::Tls(_) => Ok(0),
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
