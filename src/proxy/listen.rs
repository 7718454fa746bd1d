//! Accepting clients: one thread, one runtime and sockets of its own per worker, so that workers
//! share nothing but the view of the peers, where that is asked for. The kernel spreads new
//! connections over the sockets (`SO_REUSEPORT`).

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::task::JoinSet;

use super::error::ProxyError;
use super::fields::Origin;
use super::journal::log;
use super::tls::TlsListener;
use super::transport::Transport;
use super::wire::Wire;
use super::worker::Worker;
use super::{arrival, linger, session};
use crate::scenario::edge::{ListenMode, Listener};

/// After an error of `accept`, such as no descriptor left, the next try.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Most clients that are told at once that there are too many; others are closed without a word.
const TURNED_AWAY_MAX: usize = 256;
/// What a listener does with its clients.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) listener: Listener,
    /// Its certificates, if clients speak TLS.
    pub(super) tls: Option<Arc<TlsListener>>,
    /// Its address as a `Host`, for requests without one.
    pub(super) host: Arc<str>,
}

impl Door {
    /// Reads its certificates; `address` is where it listens, with the port that the system chose.
    ///
    /// # Errors
    /// When they cannot be used.
    pub(super) fn new(listener: Listener, address: SocketAddr) -> Result<Self, ProxyError> {
        let tls = match listener.tls.as_slice() {
            [] => None,
            files => Some(Arc::new(TlsListener::new(files, listener.http2)?)),
        };
        Ok(Self { listener, tls, host: address.to_string().into() })
    }
}

/// Tells the workers of a generation to end, in two steps.
#[derive(Debug, Default)]
pub(super) struct Stop {
    draining: AtomicBool,
    told: AtomicBool,
    notify: Arc<Notify>,
}

impl Stop {
    /// First step: accept nobody new, and say `Connection: close` (GOAWAY) in the next response of
    /// each connection. Idle connections stay open, since a client may just be sending a request.
    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    /// Second step: close idle connections too, and each other one after its request.
    pub(super) fn tell(&self) {
        self.told.store(true, Ordering::Release);
        self.drain();
    }

    /// Whether the first step was taken: responses say that the connection will be closed.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether the second step was taken: idle connections are closed.
    pub(super) fn is_told(&self) -> bool {
        self.told.load(Ordering::Acquire)
    }

    /// Ready at the next step; needs no borrow.
    pub(super) fn notified(&self) -> OwnedNotified {
        Arc::clone(&self.notify).notified_owned()
    }

    /// Ready once the first step was taken.
    pub(super) async fn wait(&self) {
        let notified = self.notify.notified();
        tokio::pin!(notified);
        // Registered before the flag is read, so that no step falls between.
        notified.as_mut().enable();
        if !self.is_draining() {
            notified.await;
        }
    }
}

/// The connections of a worker.
#[derive(Default)]
struct Open {
    count: AtomicUsize,
    turned_away: AtomicUsize,
    /// Notified when one closes.
    closed: Notify,
}

impl Open {
    async fn none(&self) {
        while self.count.load(Ordering::Relaxed) > 0 {
            self.closed.notified().await;
        }
    }
}

/// One open connection.
struct Counted {
    open: Arc<Open>,
    worker: Arc<Worker>,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.count.fetch_sub(1, Ordering::Relaxed);
        self.worker.account.counters.open.sub(1);
        self.open.closed.notify_one();
    }
}

/// Accepts and serves clients until told to stop, then lets them finish for `drain`.
///
/// # Errors
/// When a socket cannot be registered with the runtime.
pub(super) async fn serve(
    entrances: Vec<(Arc<Door>, StdListener)>,
    worker: Arc<Worker>,
    stop: Arc<Stop>,
    limit: usize,
    drain: Duration,
) -> io::Result<()> {
    let open = Arc::new(Open::default());
    let mut accepting = JoinSet::new();
    for (door, socket) in entrances {
        let (worker, stop, open) = (Arc::clone(&worker), Arc::clone(&stop), Arc::clone(&open));
        let entrance = Entrance { door, worker, stop, open, limit };
        accepting.spawn(entrance.accept(socket));
    }
    while let Some(ended) = accepting.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    // One that does not end in time is cut off with the runtime.
    drop(tokio::time::timeout(drain, open.none()).await);
    Ok(())
}

/// One socket of a worker.
struct Entrance {
    door: Arc<Door>,
    worker: Arc<Worker>,
    stop: Arc<Stop>,
    open: Arc<Open>,
    limit: usize,
}

impl Entrance {
    async fn accept(self, socket: StdListener) -> io::Result<()> {
        let listener = TcpListener::from_std(socket)?;
        loop {
            tokio::select! {
                biased;
                accepted = listener.accept() => match accepted {
                    Ok((stream, client)) => self.welcome(stream, client),
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        log(format_args!("cannot accept a connection: {error}"));
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                () = self.stop.wait() => break,
            }
        }
        // Whoever is in the queue by now has been accepted by the kernel. If this was the last copy
        // of the socket, closing it would reset them.
        let socket = listener.into_std()?;
        while let Ok((stream, client)) = socket.accept() {
            stream.set_nonblocking(true)?;
            self.welcome(TcpStream::from_std(stream)?, client);
        }
        Ok(())
    }

    fn welcome(&self, stream: TcpStream, client: SocketAddr) {
        let counters = &self.worker.account.counters;
        if self.open.count.load(Ordering::Relaxed) >= self.limit {
            counters.refused.add(1);
            return self.refuse(stream);
        }
        counters.accepted.add(1);
        counters.open.add(1);
        self.open.count.fetch_add(1, Ordering::Relaxed);
        let counted = Counted { open: Arc::clone(&self.open), worker: Arc::clone(&self.worker) };
        let worker = Arc::clone(&self.worker);
        match self.door.listener.mode {
            ListenMode::Http if self.is_plain() => {
                let facts = &worker.edge.forward;
                let origin = Origin::new(facts, client, &self.door.host, false);
                let stop = Arc::clone(&self.stop);
                let offers_http2 = self.door.listener.http2;
                let transport = Transport::Tcp(stream);
                let session =
                    session::serve(transport, origin, worker, stop, offers_http2, counted);
                tokio::spawn(session);
            }
            ListenMode::Http | ListenMode::Tcp => {
                let (door, stop) = (Arc::clone(&self.door), Arc::clone(&self.stop));
                let session = arrival::serve(stream, client, door, worker, stop);
                tokio::spawn(async move {
                    session.await;
                    drop(counted);
                });
            }
        }
    }

    /// Whether a connection begins with its first request, and nobody is told where it was made to.
    fn is_plain(&self) -> bool {
        let door = &self.door;
        let introduced = door.listener.proxy_protocol || self.worker.connector.introduces();
        door.tls.is_none() && !introduced
    }

    /// Says why, where that can be said in plain HTTP.
    fn refuse(&self, stream: TcpStream) {
        let plain = self.door.tls.is_none() && self.door.listener.mode == ListenMode::Http;
        if !plain || self.open.turned_away.load(Ordering::Relaxed) >= TURNED_AWAY_MAX {
            return;
        }
        self.open.turned_away.fetch_add(1, Ordering::Relaxed);
        let open = Arc::clone(&self.open);
        tokio::spawn(async move {
            linger::turn_away(Wire::new(Transport::Tcp(stream))).await;
            open.turned_away.fetch_sub(1, Ordering::Relaxed);
        });
    }
}
