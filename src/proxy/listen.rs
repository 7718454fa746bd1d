//! Accepting clients: one thread, one runtime and one socket per worker, so that workers share
//! nothing but the view of the peers, where that is asked for. The kernel spreads new connections
//! over the sockets (`SO_REUSEPORT`).

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::header::HeaderValue;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::header::ClientFields;
use super::journal::log;
use super::session;
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

/// Counts the connections of a worker.
#[derive(Default)]
struct Open {
    count: AtomicUsize,
    /// Notified when one closes.
    closed: Notify,
}

impl Open {
    async fn below(&self, limit: usize) {
        while self.count.load(Ordering::Relaxed) >= limit {
            self.closed.notified().await;
        }
    }
}

/// One open connection.
struct Counted(Arc<Open>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.closed.notify_one();
    }
}

/// Accepts and serves clients until told to stop, then lets them finish for `drain`.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub(super) async fn accept(
    listener: StdListener,
    worker: Arc<Worker>,
    stop: Arc<Stop>,
    limit: usize,
    drain: Duration,
) -> io::Result<()> {
    let host = HeaderValue::from_str(&listener.local_addr()?.to_string());
    let host = host.map_err(io::Error::other)?;
    let listener = TcpListener::from_std(listener)?;
    let open = Arc::new(Open::default());
    loop {
        tokio::select! {
            biased;
            accepted = next(&listener, &open, limit) => match accepted {
                Ok((stream, peer)) => {
                    let fields = ClientFields::new(peer.ip(), host.clone());
                    open.count.fetch_add(1, Ordering::Relaxed);
                    let counted = Counted(Arc::clone(&open));
                    let session =
                        session::serve(stream, fields, Arc::clone(&worker), Arc::clone(&stop));
                    tokio::spawn(async move {
                        session.await;
                        drop(counted);
                    });
                }
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
    drop(tokio::time::timeout(drain, open.below(1)).await);
    Ok(())
}

/// The next client; tokio's `accept` asks the kernel until it has no more.
async fn next(
    listener: &TcpListener,
    open: &Open,
    limit: usize,
) -> io::Result<(TcpStream, SocketAddr)> {
    open.below(limit).await;
    loop {
        match listener.accept().await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            accepted => return accepted,
        }
    }
}
