//! The endpoint: `/metrics`, and where to find the rest at `/sd/JOB`.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::board::{Board, Job};
use crate::exposition::{content_type, wants_open};

/// Longest time for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a connection could not be accepted, such as without descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why the run cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The address cannot be had.
    #[error("cannot show metrics at {address}: {error}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
}

/// Serves a board on a thread of its own, until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves `board` at `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn start(address: SocketAddr, board: Board) -> Result<Self, MonitorError> {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let opened = open(address);
            let (runtime, listener) = match opened {
                Ok(opened) => opened,
                Err(error) => return drop(tell.send(Err(error))),
            };
            let _ = tell.send(listener.local_addr());
            runtime.block_on(async move {
                tokio::select! {
                    () = serve(&listener, &board) => {}
                    _ = stopped => {}
                }
            });
        });
        let listening = told.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended")));
        let address = listening.map_err(|error| MonitorError::Listen { address, error })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it serves.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ = thread.join();
        }
    }
}

fn open(address: SocketAddr) -> io::Result<(tokio::runtime::Runtime, TcpListener)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind(address))?;
    Ok((runtime, listener))
}

async fn serve(listener: &TcpListener, board: &Board) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, board.clone()))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(stream: TcpStream, board: Board) {
    let service = service_fn(move |request| {
        let answer = answer(&board, &request);
        async { Ok::<_, Infallible>(answer) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong on it is the client's.
    drop(connection.await);
}

fn answer<B>(board: &Board, request: &Request<B>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return said(StatusCode::METHOD_NOT_ALLOWED, "this takes GET\n");
    }
    let path = request.uri().path();
    if path == "/metrics" {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let open = wants_open(accept);
        return typed(content_type(open), board.page(open));
    }
    let job = Job::ALL.into_iter().find(|job| path.strip_prefix("/sd/") == Some(job.name()));
    match job {
        Some(job) => {
            let json = serde_json::to_string_pretty(&board.targets(job)).unwrap_or_default();
            typed("application/json", json)
        }
        None => said(
            StatusCode::NOT_FOUND,
            "try /metrics, /sd/balancer, /sd/backends or /sd/autoscaler\n",
        ),
    }
}

fn said(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = typed("text/plain; charset=utf-8", text.to_owned());
    *response.status_mut() = status;
    response
}

fn typed(kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
