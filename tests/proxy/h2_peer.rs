//! A peer that speaks HTTP/2, by the `h2` crate, on a thread of its own.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

use super::h2_client::push;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Option<HeaderMap>,
    /// Number of its connection, from 1.
    pub(crate) connection: usize,
}

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) seen: Mutex<Vec<Seen>>,
    pub(crate) connections: AtomicUsize,
    /// Requests being served, and the most at once.
    pub(crate) active: AtomicUsize,
    pub(crate) most: AtomicUsize,
    /// Streams that the other side has reset with CANCEL.
    pub(crate) cancelled: AtomicUsize,
}

/// A peer; ends when dropped. By path it answers:
/// `/trailers` with a body and trailers, `/only` with a head that is all, `/slow` after 100 ms,
/// `/never` never, `/big` with 32 MiB, `/hints` with a 103 first, `/status/N` with that status, and
/// anything else with what it was sent.
pub(crate) struct H2Peer {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<Log>,
    _runtime: Runtime,
}

pub(crate) const BIG: usize = 32 << 20;

impl H2Peer {
    pub(crate) fn start(streams: u32) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a socket");
        let address = listener.local_addr().expect("an address");
        let log = Arc::<Log>::default();
        let serving = Arc::clone(&log);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(stream, Arc::clone(&serving), streams));
            }
        });
        Self { address, log, _runtime: runtime }
    }

    pub(crate) fn only(&self) -> Seen {
        let seen = self.log.seen.lock().expect("not poisoned");
        assert_eq!(seen.len(), 1, "requests");
        seen[0].clone()
    }
}

async fn connection(stream: TcpStream, log: Arc<Log>, streams: u32) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let number = log.connections.fetch_add(1, SeqCst) + 1;
    let handshake = h2::server::Builder::new().max_concurrent_streams(streams).handshake(stream);
    let mut connection = handshake.await.ok()?;
    while let Some(Ok((request, answer))) = connection.accept().await {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let active = log.active.fetch_add(1, SeqCst) + 1;
            log.most.fetch_max(active, SeqCst);
            let served = serve(request, answer, &log, number).await;
            log.active.fetch_sub(1, SeqCst);
            if served.is_err_and(|error| error.reason() == Some(Reason::CANCEL)) {
                log.cancelled.fetch_add(1, SeqCst);
            }
        });
    }
    Some(())
}

async fn serve(
    request: Request<RecvStream>,
    mut answer: SendResponse<Bytes>,
    log: &Log,
    connection: usize,
) -> Result<(), h2::Error> {
    let (parts, mut incoming) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if path == "/never" {
        return never(answer).await;
    }
    let mut body = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data?;
        incoming.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = incoming.trailers().await?;
    log.seen.lock().expect("not poisoned").push(Seen {
        method: parts.method.to_string(),
        uri: parts.uri.to_string(),
        headers: parts.headers,
        body: body.clone(),
        trailers,
        connection,
    });
    let mut response = Response::new(());
    response.headers_mut().insert("x-peer", HeaderValue::from_static("h2"));
    let mut end = HeaderMap::new();
    end.insert("grpc-status", HeaderValue::from_static("7"));
    match path.as_str() {
        "/only" => {
            response.headers_mut().extend(end);
            answer.send_response(response, true).map(drop)
        }
        "/trailers" => {
            let mut stream = answer.send_response(response, false)?;
            push(&mut stream, Bytes::from(body), false).await?;
            stream.send_trailers(end)
        }
        "/big" => {
            let mut stream = answer.send_response(response, false)?;
            let content: Vec<u8> = (0..BIG).map(|at| (at % 251) as u8).collect();
            push(&mut stream, Bytes::from(content), true).await
        }
        _ => {
            if path == "/slow" {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            if path == "/hints" {
                let mut hints = Response::new(());
                *hints.status_mut() = http::StatusCode::EARLY_HINTS;
                hints.headers_mut().insert("link", HeaderValue::from_static("</a.css>"));
                answer.send_informational(hints)?;
            }
            if let Some(status) = path.strip_prefix("/status/") {
                *response.status_mut() = status.parse().expect("a status");
            }
            let mut stream = answer.send_response(response, false)?;
            push(&mut stream, Bytes::from(body), true).await
        }
    }
}

/// Waits until the other side resets the stream.
async fn never(mut answer: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let reason = std::future::poll_fn(|context| answer.poll_reset(context)).await?;
    Err(reason.into())
}
