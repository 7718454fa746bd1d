//! Accepting clients: one thread, one runtime and one socket per worker, so that workers share
//! nothing but the view of the peers, where that is asked for. The kernel spreads new connections
//! over the sockets (`SO_REUSEPORT`).

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::fields::Origin;
use super::journal::log;
use super::linger;
use super::session;
use super::transport::Transport;
use super::wire::Wire;
use super::worker::Worker;

/// After an error of `accept`, such as no descriptor left, the next try.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const BACKLOG: i32 = 4096;

/// Sockets for `workers` threads, all at the same address.
///
/// # Errors
/// When the address cannot be bound.
pub(super) fn bind(address: SocketAddr, workers: u32) -> io::Result<Vec<StdListener>> {
    let first = bind_one(address)?;
    // Port 0 is chosen by the first.
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..workers {
        listeners.push(bind_one(address)?);
    }
    Ok(listeners)
}

fn bind_one(address: SocketAddr) -> io::Result<StdListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    // Clients' connections inherit it: their responses are written whole, or as they come.
    sockopt::set_tcp_nodelay(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
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

/// Accepts and serves clients until told to stop, then lets them finish for `drain`. A client
/// beyond the limit of connections gets a 503 and is let go.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub(super) async fn accept(
    listener: StdListener,
    worker: Arc<Worker>,
    stop: Arc<Stop>,
    drain: Duration,
) -> io::Result<()> {
    let local: Arc<str> = listener.local_addr()?.to_string().into();
    let listener = TcpListener::from_std(listener)?;
    let open = Arc::new(Open::default());
    loop {
        tokio::select! {
            biased;
            accepted = next(&listener) => match accepted {
                Ok((stream, address)) => greet(stream, address, &local, &worker, &stop, &open),
                Err(error) => {
                    log(format_args!("cannot accept a connection: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            () = stop.wait() => break,
        }
    }
    drop(listener);
    // One that does not end in time is cut off with the runtime.
    drop(tokio::time::timeout(drain, open.none()).await);
    Ok(())
}

/// Begins to serve a client.
fn greet(
    stream: TcpStream,
    address: SocketAddr,
    local: &Arc<str>,
    worker: &Arc<Worker>,
    stop: &Arc<Stop>,
    open: &Arc<Open>,
) {
    let counters = &worker.account.counters;
    let transport = Transport::Tcp(stream);
    let limit = worker.edge.client.connections as usize;
    if open.count.load(Ordering::Relaxed) >= limit {
        counters.refused.add(1);
        // Those who are being turned away are limited too.
        if open.turned_away.load(Ordering::Relaxed) < TURNED_AWAY_MAX {
            let place = Place::take(open, |open| &open.turned_away);
            tokio::spawn(async move {
                linger::turn_away(Wire::new(transport)).await;
                drop(place);
            });
        }
        return;
    }
    counters.accepted.add(1);
    counters.open.add(1);
    let place = Place::take(open, |open| &open.count);
    let origin = Origin::new(&worker.edge.forward, address, local, false);
    let (worker, stop) = (Arc::clone(worker), Arc::clone(stop));
    tokio::spawn(async move {
        session::serve(transport, origin, Arc::clone(&worker), stop).await;
        worker.account.counters.open.sub(1);
        drop(place);
    });
}

/// No more connections than this are being told that there are too many; further ones are closed.
const TURNED_AWAY_MAX: usize = 256;

/// Counts the connections of a worker.
#[derive(Default)]
struct Open {
    /// Those that are served.
    count: AtomicUsize,
    /// Those that are being turned away.
    turned_away: AtomicUsize,
    /// Notified when the last one closes.
    empty: Notify,
}

impl Open {
    async fn none(&self) {
        while self.count.load(Ordering::Relaxed) > 0 {
            self.empty.notified().await;
        }
    }
}

/// One open connection.
struct Place {
    open: Arc<Open>,
    count: fn(&Open) -> &AtomicUsize,
}

impl Place {
    fn take(open: &Arc<Open>, count: fn(&Open) -> &AtomicUsize) -> Self {
        count(open).fetch_add(1, Ordering::Relaxed);
        Self { open: Arc::clone(open), count }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if (self.count)(&self.open).fetch_sub(1, Ordering::Relaxed) == 1 {
            self.open.empty.notify_one();
        }
    }
}

/// The next client; tokio's `accept` asks the kernel until it has no more.
async fn next(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    loop {
        match listener.accept().await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            accepted => return accepted,
        }
    }
}
