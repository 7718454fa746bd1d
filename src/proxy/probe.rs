//! An active health check on the wire: one GET on a connection of its own.

use hyper::header::{self, HeaderValue};
use hyper::{Request, StatusCode, Uri};

use super::body::Outgoing;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::worker::Limits;
use crate::policy::ActiveHealthConfig;

/// Whether the peer answers with 2xx or 3xx within the time-out, which counts from the start of
/// the connection to the head of the response.
pub(super) async fn passes(endpoint: &Endpoint, config: &ActiveHealthConfig) -> bool {
    match tokio::time::timeout(config.timeout.to_std(), status(endpoint, config)).await {
        Ok(Some(status)) => status.is_success() || status.is_redirection(),
        Ok(None) | Err(_) => false,
    }
}

async fn status(endpoint: &Endpoint, config: &ActiveHealthConfig) -> Option<StatusCode> {
    let mut request = Request::new(Outgoing::Held(None));
    // A path that is none was refused with the scenario.
    *request.uri_mut() = config.path.parse().unwrap_or_else(|_| Uri::from_static("/"));
    let headers = request.headers_mut();
    headers.insert(header::HOST, endpoint.host_value.clone());
    headers.insert(header::USER_AGENT, HeaderValue::from_static("lab health check"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let limits = Limits { connect_timeout: config.timeout, read_timeout: config.timeout };
    let mut connection = Connection::open(endpoint, limits).await.ok()?;
    let response = connection.exchange(request, false).await.ok()?;
    Some(response.status())
}
