//! An active health check on the wire: one GET on a connection of its own.

use std::io;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::endpoint::Endpoint;
use crate::policy::ActiveHealthConfig;

/// Whether the peer answers with 2xx or 3xx within the time-out.
pub(super) async fn passes(endpoint: &Endpoint, config: &ActiveHealthConfig) -> bool {
    match tokio::time::timeout(config.timeout.to_std(), status(endpoint, &config.path)).await {
        Ok(Ok(status)) => status.is_success() || status.is_redirection(),
        Ok(Err(_)) | Err(_) => false,
    }
}

async fn status(endpoint: &Endpoint, path: &str) -> io::Result<StatusCode> {
    let stream = TcpStream::connect(endpoint.address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let request = Request::get(path)
        .header(header::HOST, &endpoint.host_value)
        .header(header::USER_AGENT, HeaderValue::from_static("lab health check"))
        .header(header::CONNECTION, HeaderValue::from_static("close"))
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let response = sender.send_request(request);
    tokio::select! {
        biased;
        response = response => Ok(response.map_err(io::Error::other)?.status()),
        ended = connection => Err(io::Error::other(format!("closed without a head: {ended:?}"))),
    }
}
