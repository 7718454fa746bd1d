//! Connections of HTTP/2 to peers: a few for each worker and peer, each shared by as many requests
//! as the peer allows at once.
//!
//! A request takes a place on the first connection that has one; when none has, another connection
//! is opened, by one request for all that wait. A connection that has carried as many requests as it
//! may, is too old, or whose peer is going away (GOAWAY) takes no more and ends behind the last.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use h2::SendStream;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use http::Request;
use tokio::sync::Notify;

use super::NoHead;
use super::http2::{Failure, is_refused};
use crate::host::clock;
use crate::http1::HeadError;
use crate::policy::{Outcome, PeerId};
use crate::proxy::http2::io::{Io, Watch};
use crate::proxy::http2::{CONNECTION_WINDOW, SEND_BUFFER, STREAM_WINDOW};
use crate::proxy::pool::Limits;
use crate::proxy::transport::Transport;
use crate::units::{Nanos, Span};

/// Most connections to one peer. Beyond what these carry, requests wait on the least used.
const CONNECTIONS: usize = 16;
/// A peer that answers no PING for so long is gone.
const PONG: Duration = Duration::from_secs(5);

/// The shared connections of a worker.
pub(in crate::proxy) struct Shared {
    limits: Limits,
    peers: Mutex<HashMap<PeerId, Arc<Group>>>,
}

/// The connections to one peer.
#[derive(Default)]
struct Group {
    /// Held by who opens one.
    opening: tokio::sync::Mutex<()>,
    open: Mutex<Vec<Arc<Open>>>,
}

/// An open connection.
struct Open {
    sender: SendRequest<Bytes>,
    tls: bool,
    /// Whether it is kept while no request is on it.
    keeps: bool,
    opened: Nanos,
    watch: Arc<Watch>,
    end: Arc<End>,
    /// Requests on it now, and so far.
    in_use: AtomicUsize,
    requests: AtomicU32,
    /// When the last of its requests ended, in nanoseconds.
    used: AtomicU64,
}

/// How a connection and its task tell one another of its end.
#[derive(Default)]
struct End {
    /// It takes no more requests.
    come: AtomicBool,
    /// Somebody has waited in vain: the task asks the peer whether it is still there.
    doubt: Notify,
}

impl Shared {
    pub(in crate::proxy) fn new(limits: Limits) -> Self {
        Self { limits, peers: Mutex::default() }
    }

    /// A place on a connection to `peer`, which is opened by `connect` if there is none.
    ///
    /// # Errors
    /// As `connect`; or [`Outcome::ConnectFailed`] when HTTP/2 cannot be begun.
    pub(in crate::proxy) async fn place(
        &self,
        peer: PeerId,
        connect: impl Future<Output = Result<Transport, Outcome>>,
    ) -> Result<Place, Outcome> {
        let group = Arc::clone(locked(&self.peers).entry(peer).or_default());
        if let Some(place) = self.find(&group) {
            return Ok(place);
        }
        let _opening = group.opening.lock().await;
        // Who held it before may have opened one for all.
        if let Some(place) = self.find(&group) {
            return Ok(place);
        }
        let open = open(connect.await?, self.limits.idle > 0).await?;
        let mut place = Place::on(&open);
        place.is_new = true;
        locked(&group.open).push(open);
        Ok(place)
    }

    /// A place on the first connection that has one; if there are no more to be opened, on the
    /// least used.
    fn find(&self, group: &Group) -> Option<Place> {
        let mut list = locked(&group.open);
        let now = clock::now();
        list.retain(|open| open.is_good(&self.limits, now));
        let free = list.iter().find(|open| open.has_place());
        let crowded = || list.iter().min_by_key(|open| open.in_use.load(Relaxed));
        free.or_else(|| if list.len() < CONNECTIONS { None } else { crowded() }).map(Place::on)
    }

    /// Lets go of connections that have been idle too long, have ended, or whose peer is not
    /// `there` any longer.
    pub(in crate::proxy) fn weed(&self, now: Nanos, there: &[PeerId]) {
        locked(&self.peers).retain(|peer, group| {
            let mut list = locked(&group.open);
            list.retain(|open| {
                open.is_good(&self.limits, now) && !open.is_idle(self.limits.idle_time, now)
            });
            let unused = list.is_empty() && Arc::strong_count(group) == 1;
            !unused && there.contains(peer)
        });
    }
}

impl Open {
    fn is_good(&self, limits: &Limits, now: Nanos) -> bool {
        !self.end.come.load(Relaxed)
            && !self.watch.is_going_away()
            && self.requests.load(Relaxed) < limits.requests
            && now.since(self.opened) <= limits.age
    }

    /// Before the peer has said how many requests it takes at once, 100 are assumed (RFC 9113,
    /// 6.5.2, recommends no fewer).
    fn has_place(&self) -> bool {
        self.in_use.load(Relaxed) < self.sender.current_max_send_streams()
    }

    fn is_idle(&self, limit: Span, now: Nanos) -> bool {
        self.in_use.load(Relaxed) == 0 && now.since(Nanos(self.used.load(Relaxed))) >= limit
    }
}

/// A place for a request on a connection.
pub(in crate::proxy) struct Place {
    open: Arc<Open>,
    /// Whether the connection was opened for it.
    is_new: bool,
    answered: bool,
}

impl Place {
    fn on(open: &Arc<Open>) -> Self {
        open.in_use.fetch_add(1, Relaxed);
        open.requests.fetch_add(1, Relaxed);
        Self { open: Arc::clone(open), is_new: false, answered: false }
    }

    pub(super) const fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn is_tls(&self) -> bool {
        self.open.tls
    }

    /// Begins the request.
    ///
    /// # Errors
    /// When the connection takes none: nothing was sent then.
    pub(super) fn send(
        &self,
        request: Request<()>,
        ends: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        // A sender of its own: each may have one request that waits for the peer's limit.
        let sent = self.open.sender.clone().send_request(request, ends);
        if sent.is_err() {
            self.open.end.come.store(true, Relaxed);
        }
        sent
    }

    /// The peer has answered: it is there.
    pub(super) const fn answered(&mut self) {
        self.answered = true;
    }

    /// Why there is no head on `stream`.
    pub(super) fn judge(&self, failure: Failure, stream: u32) -> NoHead {
        match failure {
            Failure::Head(error) => NoHead::Malformed(error),
            Failure::Stream(error) if is_refused(&error) => NoHead::Unprocessed,
            Failure::Stream(_) if self.open.watch.unprocessed(stream) => NoHead::Unprocessed,
            // It was `h2` itself that refused it.
            Failure::Stream(error) if error.is_library() => {
                NoHead::Malformed(HeadError::FieldValue)
            }
            Failure::Stream(_) => NoHead::Closed,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let open = &self.open;
        open.used.store(clock::now().0, Relaxed);
        let was_last = open.in_use.fetch_sub(1, Relaxed) == 1;
        if was_last && !open.keeps {
            open.end.come.store(true, Relaxed);
        }
        if !self.answered {
            open.end.doubt.notify_one();
        }
    }
}

async fn open(transport: Transport, keeps: bool) -> Result<Arc<Open>, Outcome> {
    let tls = matches!(transport, Transport::Tls(_));
    let io = Io::of_peer(transport);
    let watch = io.watch();
    let handshake = Builder::new()
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .max_header_list_size(64 << 10)
        .handshake(io);
    let (sender, connection) = handshake.await.map_err(|_| Outcome::ConnectFailed)?;
    let end = Arc::<End>::default();
    tokio::spawn(drive(connection, Arc::clone(&end)));
    let now = clock::now();
    Ok(Arc::new(Open {
        sender,
        tls,
        keeps,
        opened: now,
        watch,
        end,
        in_use: AtomicUsize::new(0),
        requests: AtomicU32::new(0),
        used: AtomicU64::new(now.0),
    }))
}

/// Lets a connection work until it ends: with an error, without an answer to a PING, or when nobody
/// holds a sender any more.
async fn drive(mut connection: Connection<Io, Bytes>, end: Arc<End>) {
    let pings = connection.ping_pong();
    let mut connection = pin!(connection);
    if let Some(mut pings) = pings {
        loop {
            tokio::select! {
                _ = &mut connection => break,
                () = end.doubt.notified() => {}
            }
            tokio::select! {
                _ = &mut connection => break,
                pong = tokio::time::timeout(PONG, pings.ping(h2::Ping::opaque())) => {
                    if !matches!(pong, Ok(Ok(_))) {
                        break;
                    }
                }
            }
        }
    }
    end.come.store(true, Relaxed);
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
