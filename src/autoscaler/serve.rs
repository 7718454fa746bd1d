//! The autoscaler's own `/metrics`, and `/live` for whoever watches over it.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

use super::Status;
use crate::exposition::content_type;
use crate::host::clock;
use crate::units::Nanos;

/// Longest time for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after the system refused to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Serves what there is to know about the autoscaler of `group`.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    status: Status,
    group: String,
    zero: Nanos,
}

impl MetricsServer {
    /// Listens at `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(
        address: SocketAddr,
        status: Status,
        group: String,
        zero: Nanos,
    ) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::bind(address).await?, status, group, zero })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped.
    pub async fn run(self) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let (status, group, zero) = (self.status.clone(), self.group.clone(), self.zero);
            tokio::spawn(async move {
                let service = service_fn(move |request| {
                    let answer = answer(&status, &group, zero, &request);
                    async { Ok::<_, Infallible>(answer) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEADER_TIMEOUT)
                    .serve_connection(TokioIo::new(stream), service);
                // Whoever breaks off has what it wanted.
                let _ = connection.await;
            });
        }
    }
}

fn answer(
    status: &Status,
    group: &str,
    zero: Nanos,
    request: &Request<Incoming>,
) -> Response<Full<Bytes>> {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let open = accept.is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let (code, kind, text) = match request.uri().path() {
        "/metrics" => {
            let now = Nanos(clock::now().since(zero).0);
            (StatusCode::OK, content_type(open), status.page(group, now, open))
        }
        "/live" => (StatusCode::OK, "text/plain", "live\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "text/plain", "here are /metrics and /live\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
