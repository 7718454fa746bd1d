//! How requests get to a server other than one at a time on a connection of HTTP/1.1.

use bytes::Bytes;

use super::config::{LoadConfig, LoadError, Protocol};
use super::connection::{Answer, Progress};
use super::http2::Http2;
use super::websocket::WebSocket;
use super::wire::Dialer;
use crate::record::RequestError;

/// HTTP/2 or WebSocket.
#[derive(Debug)]
pub(super) enum Transport {
    Http2(Http2),
    WebSocket(WebSocket),
}

/// A target as a transport knows it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) dialer: Dialer,
    pub(super) secure: bool,
}

/// A request to carry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carried<'a> {
    pub(super) id: u64,
    /// Index of its target.
    pub(super) target: usize,
    /// Its text in HTTP/1.1.
    pub(super) bytes: &'a [u8],
    /// A long body, which follows it.
    pub(super) apart: &'a Bytes,
    /// The response header that names the server; `None` for lab's own.
    pub(super) server_header: Option<&'a str>,
}

impl Transport {
    /// What `config` asks for; `None` for HTTP/1.1, which the generator carries itself.
    ///
    /// # Errors
    /// When a target asks for TLS that cannot be had.
    pub(super) fn new(config: &LoadConfig) -> Result<Option<Self>, LoadError> {
        let places = || {
            let dialers = Dialer::all(config)?;
            let secure = config.targets.iter().map(|target| target.secure);
            let places = dialers.into_iter().zip(secure);
            Ok::<_, LoadError>(places.map(|(dialer, secure)| Place { dialer, secure }).collect())
        };
        let client = &config.traffic.client;
        Ok(match config.extras.protocol {
            Protocol::Http1 => None,
            Protocol::Http2 { streams } => {
                Some(Self::Http2(Http2::new(places()?, client, streams)))
            }
            Protocol::WebSocket => Some(Self::WebSocket(WebSocket::new(places()?, client))),
        })
    }

    /// Carries a request and waits for its whole answer.
    pub(super) async fn exchange(
        &self,
        carried: &Carried<'_>,
        progress: &mut impl Progress,
    ) -> Result<Answer, RequestError> {
        match self {
            Self::Http2(http2) => http2.exchange(carried, progress).await,
            Self::WebSocket(websocket) => websocket.exchange(carried, progress).await,
        }
    }

    /// Connections opened so far.
    pub(super) fn opened(&self) -> u64 {
        match self {
            Self::Http2(http2) => http2.opened(),
            Self::WebSocket(websocket) => websocket.opened(),
        }
    }

    /// Requests that went to another connection, since the first one took no more.
    pub(super) fn resent(&self) -> u64 {
        match self {
            Self::Http2(http2) => http2.resent(),
            Self::WebSocket(_) => 0,
        }
    }
}
