//! Short HTTP requests to other programs: orders, questions and probes.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// Why a request to a program failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// No answer in time: what a hung or partitioned program shows.
    #[error("no answer from {0} within {1:?}")]
    TimedOut(SocketAddr, Duration),
    /// Nobody listens: what a crashed program shows.
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, std::io::Error),
    /// The exchange broke.
    #[error("{0} broke off: {1}")]
    Broken(SocketAddr, hyper::Error),
    /// The request cannot be written, such as with a token of more than one line.
    #[error("{0} cannot be asked that: {1}")]
    Unsendable(SocketAddr, String),
    /// The answer ended early, or never.
    #[error("the answer of {0} cannot be read: {1}")]
    Unread(SocketAddr, String),
    /// The answer is not what was asked for.
    #[error("{0} answered {1}: {2}")]
    Unexpected(SocketAddr, u16, String),
}

/// Most bytes of an answer.
const ANSWER_MAX: usize = 16 << 20;

/// Sends one request on a connection of its own and returns status and body.
///
/// # Errors
/// See [`CallError`].
pub async fn call(
    address: SocketAddr,
    method: Method,
    path: &str,
    body: Option<&serde_json::Value>,
    limit: Duration,
) -> Result<(u16, Bytes), CallError> {
    call_as(None, address, method, path, body, limit).await
}

/// The same, with a bearer token.
///
/// # Errors
/// See [`CallError`].
pub async fn call_as(
    token: Option<&str>,
    address: SocketAddr,
    method: Method,
    path: &str,
    body: Option<&serde_json::Value>,
    limit: Duration,
) -> Result<(u16, Bytes), CallError> {
    tokio::time::timeout(limit, exchange(token, address, method, path, body))
        .await
        .map_err(|_| CallError::TimedOut(address, limit))?
}

async fn exchange(
    token: Option<&str>,
    address: SocketAddr,
    method: Method,
    path: &str,
    body: Option<&serde_json::Value>,
) -> Result<(u16, Bytes), CallError> {
    let broken = |error| CallError::Broken(address, error);
    let stream =
        TcpStream::connect(address).await.map_err(|error| CallError::Connect(address, error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let body = body.map(ToString::to_string).unwrap_or_default();
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", address.to_string())
        .header("connection", "close")
        .header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| CallError::Unsendable(address, error.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
    let body = body.map_err(|error| CallError::Unread(address, error.to_string()))?.to_bytes();
    driver.abort();
    Ok((status, body))
}

/// GETs `path` and reads the answer as JSON.
///
/// # Errors
/// See [`CallError`]; anything but status 200 with the expected JSON is unexpected.
pub async fn get<T: DeserializeOwned>(
    address: SocketAddr,
    path: &str,
    limit: Duration,
) -> Result<T, CallError> {
    let (status, body) = call(address, Method::GET, path, None, limit).await?;
    let unexpected = |why: String| CallError::Unexpected(address, status, why);
    if status != 200 {
        return Err(unexpected(String::from_utf8_lossy(&body).into_owned()));
    }
    serde_json::from_slice(&body).map_err(|error| unexpected(error.to_string()))
}

/// POSTs to `path`; any status below 300 is fine.
///
/// # Errors
/// See [`CallError`].
pub async fn post(
    address: SocketAddr,
    path: &str,
    body: Option<&serde_json::Value>,
    limit: Duration,
) -> Result<(), CallError> {
    let (status, answer) = call(address, Method::POST, path, body, limit).await?;
    if status < 300 {
        return Ok(());
    }
    Err(CallError::Unexpected(address, status, String::from_utf8_lossy(&answer).into_owned()))
}
