//! HTTP/2 (RFC 9113): many streams on few connections, each request a stream.
//!
//! A target has so many places for connections, opened as they are needed: a request takes the
//! place with the fewest streams, so connections are used evenly and an idle generator keeps to
//! one. A server that ends a connection in good order (GOAWAY, as NGINX does after a number of
//! requests) has not done the streams it refuses, so these go to another connection.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use bytes::Bytes;
use h2::Reason;
use h2::client::{Builder, SendRequest};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version};
use tokio::sync::{Mutex, Semaphore};

use super::connection::{Answer, Progress};
use super::head::LabHeaders;
use super::transport::{Carried, Place};
use crate::host::clock;
use crate::record::RequestError;
use crate::traffic::ClientConfig;
use crate::units::Nanos;

/// Bytes that may be under way to us: on a stream, and on a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Connections that may refuse one request.
const TRIES: u32 = 4;

/// The client's connections to all targets.
#[derive(Debug)]
pub(super) struct Http2 {
    hosts: Vec<Host>,
    opened: AtomicU64,
    resent: AtomicU64,
}

#[derive(Debug)]
struct Host {
    place: Place,
    /// Streams that may be open at once, over all connections.
    streams: Semaphore,
    slots: Vec<Slot>,
}

/// Room for a connection.
#[derive(Debug, Default)]
struct Slot {
    streams: AtomicU32,
    session: Mutex<Option<Session>>,
}

#[derive(Clone, Debug)]
struct Session {
    sender: SendRequest<Bytes>,
    number: u64,
}

/// A stream of a slot, for as long as it is open.
struct Stream<'a>(&'a Slot);

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a stream gave no answer.
enum Failure {
    /// The server did not look at it: another connection may.
    Refused,
    Lost(RequestError),
}

impl Http2 {
    pub(super) fn new(places: Vec<Place>, client: &ClientConfig, streams: u32) -> Self {
        let (slots, streams) = (client.connections.max(1) as usize, streams.max(1) as usize);
        let most = slots.saturating_mul(streams).min(Semaphore::MAX_PERMITS);
        let host = |place| Host {
            place,
            streams: Semaphore::new(most),
            slots: (0..slots).map(|_| Slot::default()).collect(),
        };
        Self {
            hosts: places.into_iter().map(host).collect(),
            opened: AtomicU64::new(0),
            resent: AtomicU64::new(0),
        }
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    pub(super) fn resent(&self) -> u64 {
        self.resent.load(Ordering::Relaxed)
    }

    /// Sends a request and reads its answer to the end.
    pub(super) async fn exchange(
        &self,
        carried: &Carried<'_>,
        progress: &mut impl Progress,
    ) -> Result<Answer, RequestError> {
        let host = &self.hosts[carried.target];
        // The semaphore is never closed.
        let _permit = host.streams.acquire().await.map_err(|_| RequestError::Connect)?;
        let slot = host.least();
        let _stream = Stream(slot);
        let (request, body) = request(carried, &host.place).ok_or(RequestError::Invalid)?;
        for attempt in 1.. {
            progress.sent(clock::now());
            let session = self.session(host, slot, progress).await?;
            let number = session.number;
            let exchanged =
                converse(session, request.clone(), body.clone(), carried, progress).await;
            match exchanged {
                Ok(answer) => return Ok(answer),
                Err(Failure::Refused) if attempt < TRIES => {
                    self.resent.fetch_add(1, Ordering::Relaxed);
                    slot.forget(number).await;
                }
                Err(Failure::Refused) => break,
                Err(Failure::Lost(error)) => {
                    if error == RequestError::Reset {
                        slot.forget(number).await;
                    }
                    return Err(error);
                }
            }
        }
        Err(RequestError::Reset)
    }

    /// The slot's connection; opened if there is none. Whoever comes meanwhile waits for it.
    async fn session(
        &self,
        host: &Host,
        slot: &Slot,
        progress: &mut impl Progress,
    ) -> Result<Session, RequestError> {
        let mut place = slot.session.lock().await;
        if let Some(session) = &*place {
            progress.connected(clock::now());
            return Ok(session.clone());
        }
        let wire = host.place.dialer.open(0).await.map_err(|_| RequestError::Connect)?;
        let (sender, connection) = Builder::new()
            .enable_push(false)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .handshake(wire)
            .await
            .map_err(|_| RequestError::Connect)?;
        // How it ends, its streams hear.
        tokio::spawn(async move { drop(connection.await) });
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let session = Session { sender, number };
        *place = Some(session.clone());
        progress.connected(clock::now());
        Ok(session)
    }
}

impl Host {
    /// The slot with the fewest streams, with one more now. While there are permits it has room.
    fn least(&self) -> &Slot {
        let streams = |slot: &&Slot| slot.streams.load(Ordering::Relaxed);
        // There is always at least one.
        let slot = self.slots.iter().min_by_key(streams).unwrap_or(&self.slots[0]);
        slot.streams.fetch_add(1, Ordering::Relaxed);
        slot
    }
}

impl Slot {
    /// Takes connection `number` out, so that the next stream opens another.
    async fn forget(&self, number: u64) {
        let mut place = self.session.lock().await;
        if place.as_ref().is_some_and(|session| session.number == number) {
            *place = None;
        }
    }
}

async fn converse(
    session: Session,
    request: Request<()>,
    body: Bytes,
    carried: &Carried<'_>,
    progress: &mut impl Progress,
) -> Result<Answer, Failure> {
    let mut sender = session.sender.ready().await.map_err(|_| Failure::Refused)?;
    let whole = body.is_empty();
    // It did not leave this host.
    let sent = sender.send_request(request, whole).map_err(|_| Failure::Refused)?;
    let (response, mut upload) = sent;
    if !whole {
        send(&mut upload, body).await?;
    }
    let response = response.await.map_err(unanswered)?;
    let mut finished = clock::now();
    progress.first_byte(finished);
    progress.head(lab_headers(response.headers(), carried.server_header));
    let status = response.status().as_u16();
    let mut content = response.into_body();
    let mut bytes = 0;
    while let Some(piece) = content.data().await {
        let piece = piece.map_err(|_| Failure::Lost(RequestError::Reset))?;
        finished = clock::now();
        bytes += piece.len() as u64;
        // It fails on a stream that is gone, which the next read tells.
        let _ = content.flow_control().release_capacity(piece.len());
    }
    // The end may come by itself, or behind trailers.
    if content.trailers().await.is_err() {
        return Err(Failure::Lost(RequestError::Reset));
    }
    Ok(Answer { status, finished: finished.max(Nanos(1)), bytes, keep_alive: true })
}

/// Sends `body` as far as the server's windows allow, as they open. A server that has answered
/// already may not want the rest.
async fn send(upload: &mut h2::SendStream<Bytes>, mut body: Bytes) -> Result<(), Failure> {
    while !body.is_empty() {
        upload.reserve_capacity(body.len());
        let room = match std::future::poll_fn(|context| upload.poll_capacity(context)).await {
            Some(Ok(room)) => room,
            Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => return Ok(()),
            Some(Err(error)) => return Err(unanswered(error)),
            None => return Ok(()),
        };
        let piece = body.split_to(room.min(body.len()));
        upload.send_data(piece, body.is_empty()).map_err(unanswered)?;
    }
    Ok(())
}

/// What became of a stream without an answer: refused by the server, or by a connection that takes
/// no more (RFC 9113, 6.8 and 8.7), or lost.
fn unanswered(error: h2::Error) -> Failure {
    match error.reason() {
        Some(Reason::REFUSED_STREAM) => Failure::Refused,
        Some(Reason::NO_ERROR) if error.is_go_away() => Failure::Refused,
        Some(Reason::PROTOCOL_ERROR | Reason::FRAME_SIZE_ERROR | Reason::COMPRESSION_ERROR) => {
            Failure::Lost(RequestError::Invalid)
        }
        _ => Failure::Lost(RequestError::Reset),
    }
}

/// The request by its HTTP/1.1 text, so that what is sent is decided in one place.
fn request(carried: &Carried<'_>, place: &Place) -> Option<(Request<()>, Bytes)> {
    let bytes = carried.bytes;
    let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    let body = match carried.apart.is_empty() {
        true => Bytes::copy_from_slice(&bytes[end + 4..]),
        false => carried.apart.clone(),
    };
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?, first.next()?);
    let mut authority = "";
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("host") {
            authority = value;
        } else if !is_of_connection(name) {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            headers.append(name, HeaderValue::from_str(value).ok()?);
        }
    }
    let scheme = if place.secure { "https" } else { "http" };
    let uri = format!("{scheme}://{authority}{path}");
    let mut request =
        Request::builder().method(method).uri(uri).version(Version::HTTP_2).body(()).ok()?;
    *request.headers_mut() = headers;
    Some((request, body))
}

/// Fields of a connection have no place in HTTP/2 (RFC 9113, 8.2.2).
fn is_of_connection(name: &str) -> bool {
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]
        .iter()
        .any(|field| name.eq_ignore_ascii_case(field))
}

fn lab_headers<'a>(headers: &'a HeaderMap, server_header: Option<&str>) -> LabHeaders<'a> {
    let mut lab = LabHeaders::default();
    for (name, value) in headers {
        let Ok(value) = value.to_str() else { continue };
        if let Some(rest) = name.as_str().strip_prefix("x-lab-") {
            lab.take(rest, value);
        } else if name == http::header::SET_COOKIE {
            lab.set_cookie = Some(value);
        }
        if server_header.is_some_and(|header| name == header) {
            lab.named(value);
        }
    }
    lab
}
