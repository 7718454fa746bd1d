//! WebSocket (RFC 6455): each request of the plan is a message, and its answer the echo.
//!
//! A connection carries one message at a time, so that the time to the echo is that of one message
//! alone; as many connections are opened as messages are under way, up to the limit, beyond which
//! messages wait.

mod frame;
mod handshake;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use super::connection::{Answer, Progress};
use super::head::LabHeaders;
use super::transport::{Carried, Place};
use super::wire::Wire;
use crate::host::clock;
use crate::record::RequestError;
use crate::traffic::ClientConfig;
use crate::units::Nanos;
use frame::{Event, Messages};

/// Status of an opened connection (RFC 9110, 15.2.2), which its messages have too.
const SWITCHING_PROTOCOLS: u16 = 101;

/// The client's connections to all targets.
#[derive(Debug)]
pub(super) struct WebSocket {
    hosts: Vec<Host>,
    /// Messages that may be under way at once.
    room: Semaphore,
    opened: AtomicU64,
    masks: AtomicU64,
}

#[derive(Debug)]
struct Host {
    place: Place,
    /// Used last at the back.
    idle: Mutex<Vec<Session>>,
}

/// An open connection.
#[derive(Debug)]
struct Session {
    wire: Wire,
    messages: Messages,
    /// What the answer to its handshake named.
    server: Option<String>,
}

impl WebSocket {
    pub(super) fn new(places: Vec<Place>, client: &ClientConfig) -> Self {
        let room = match client.connections {
            0 => Semaphore::MAX_PERMITS,
            limit => limit as usize,
        };
        let host = |place| Host { place, idle: Mutex::default() };
        Self {
            hosts: places.into_iter().map(host).collect(),
            room: Semaphore::new(room),
            opened: AtomicU64::new(0),
            masks: AtomicU64::new(clock::now().0),
        }
    }

    pub(super) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Sends a message and waits for its echo. A connection that failed is not used again.
    pub(super) async fn exchange(
        &self,
        carried: &Carried<'_>,
        progress: &mut impl Progress,
    ) -> Result<Answer, RequestError> {
        // The semaphore is never closed.
        let _room = self.room.acquire().await.map_err(|_| RequestError::Connect)?;
        let host = &self.hosts[carried.target];
        let sent = clock::now();
        progress.sent(sent);
        let kept = host.idle().pop();
        let mut session = match kept {
            Some(session) => {
                progress.connected(sent);
                session
            }
            None => {
                let session = self.open(host, carried).await?;
                progress.connected(clock::now());
                session
            }
        };
        let payload = payload(carried);
        let frame = frame::message(&payload, self.mask());
        session.wire.write_all(&frame).await.map_err(|_| RequestError::Reset)?;
        session.wire.flush().await.map_err(|_| RequestError::Reset)?;
        let finished = self.echo(&mut session, &payload, progress).await?;
        let mut lab = LabHeaders::default();
        if let Some(server) = &session.server {
            lab.named(server);
        }
        progress.head(lab);
        host.idle().push(session);
        let bytes = payload.len() as u64;
        Ok(Answer { status: SWITCHING_PROTOCOLS, finished, bytes, keep_alive: true })
    }

    /// Waits for the message that is `payload` again; answers pings meanwhile.
    async fn echo(
        &self,
        session: &mut Session,
        payload: &[u8],
        progress: &mut impl Progress,
    ) -> Result<Nanos, RequestError> {
        let mut first = true;
        loop {
            while let Some(event) = session.messages.next().map_err(|_| RequestError::Invalid)? {
                match event {
                    Event::Message(message) if message == payload => return Ok(clock::now()),
                    Event::Message(_) => return Err(RequestError::Invalid),
                    Event::Ping(content) => {
                        let pong = frame::pong(&content, self.mask());
                        session.wire.write_all(&pong).await.map_err(|_| RequestError::Reset)?;
                        session.wire.flush().await.map_err(|_| RequestError::Reset)?;
                    }
                    Event::Close => return Err(RequestError::Reset),
                }
            }
            let buffer = session.messages.buffer();
            match session.wire.read_buf(buffer).await {
                Ok(0) | Err(_) => return Err(RequestError::Reset),
                Ok(_) if first => {
                    first = false;
                    progress.first_byte(clock::now());
                }
                Ok(_) => {}
            }
        }
    }

    async fn open(&self, host: &Host, carried: &Carried<'_>) -> Result<Session, RequestError> {
        let mut wire = host.place.dialer.open(0).await.map_err(|_| RequestError::Connect)?;
        let key = handshake::key([self.mask(), self.mask(), self.mask(), self.mask()]);
        let request = handshake::request(carried.bytes, &key).ok_or(RequestError::Invalid)?;
        wire.write_all(&request).await.map_err(|_| RequestError::Connect)?;
        wire.flush().await.map_err(|_| RequestError::Connect)?;
        let mut buffer = Vec::new();
        let (server, rest) = loop {
            match handshake::answer(&buffer, &key, carried.server_header) {
                Ok(Some(answer)) => break answer,
                Ok(None) => {}
                Err(_) => return Err(RequestError::Invalid),
            }
            match wire.read_buf(&mut buffer).await {
                Ok(0) | Err(_) => return Err(RequestError::Connect),
                Ok(_) => {}
            }
        };
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Session { wire, messages: Messages::new(buffer.split_off(rest)), server })
    }

    /// Four bytes that a page in a browser could not foretell need more than this; here nobody
    /// else chooses what is sent (RFC 6455, 10.3), so they need only differ.
    fn mask(&self) -> [u8; 4] {
        let word = self.masks.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        ((word ^ (word >> 29)) as u32).to_le_bytes()
    }
}

impl Host {
    fn idle(&self) -> MutexGuard<'_, Vec<Session>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of the request, or else its number.
fn payload(carried: &Carried<'_>) -> Vec<u8> {
    if !carried.apart.is_empty() {
        return carried.apart.to_vec();
    }
    let end = memchr::memmem::find(carried.bytes, b"\r\n\r\n");
    let body = end.map_or(&[][..], |end| &carried.bytes[end + 4..]);
    if body.is_empty() { format!("lab {}", carried.id).into_bytes() } else { body.to_vec() }
}
