//! Accepting, serving and draining.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::config::{BackendConfig, BackendError};
use super::control;
use super::fault::Faults;
use super::metrics::Metrics;
use super::partition::Partition;
use super::queue::Queue;
use super::route::{Body, Site};

/// How long open connections may take to finish after the order to stop.
const DRAIN: Duration = Duration::from_secs(2);
/// Pause after the system refused to accept, such as for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
const BACKLOG: u32 = 4096;

/// A backend that listens.
#[derive(Debug)]
pub struct Server {
    site: Arc<Site>,
    listener: TcpListener,
    control: Option<TcpListener>,
    partition: Arc<Partition>,
}

impl Server {
    /// Starts the workers and listens.
    ///
    /// # Errors
    /// When an address is taken or a thread cannot be had.
    pub fn bind(config: BackendConfig) -> Result<Self, BackendError> {
        let listener = listen(config.listen)?;
        let control = config.control.map(listen).transpose()?;
        let partition = Arc::new(Partition::default());
        partition
            .add_listener(listener.as_fd())
            .map_err(|source| BackendError::Listen { address: config.listen, source })?;
        let faults = Arc::new(Faults::new(Arc::clone(&partition)));
        let metrics = Arc::new(Metrics::default());
        let queue = Queue::start(config.queue, &faults, &metrics).map_err(|source| {
            let permission = source.kind() == io::ErrorKind::PermissionDenied;
            let hint = if permission { " (real-time priority needs CAP_SYS_NICE)" } else { "" };
            BackendError::Workers { hint, source }
        })?;
        let address = listener
            .local_addr()
            .map_err(|source| BackendError::Listen { address: config.listen, source })?;
        let site = Arc::new(Site::new(config, address, queue, faults, metrics));
        Ok(Self { site, listener, control, partition })
    }

    /// Where it serves.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.site.address()
    }

    /// Where it takes faults.
    #[must_use]
    pub fn control(&self) -> Option<SocketAddr> {
        self.control.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Its faults, for whoever runs it in the same process.
    #[must_use]
    pub fn faults(&self) -> Arc<Faults> {
        self.site.faults()
    }

    /// Serves until `stop`; then finishes open connections, for up to 2 s.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { site, listener, control, partition } = self;
        let (drain, draining) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        site.accepted();
                        if let Ok(io) = prepared(stream).and_then(|io| partition.connection(io)) {
                            tasks.spawn(site_connection(io, Arc::clone(&site), draining.clone()));
                        }
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                accepted = accept(control.as_ref()) => match accepted {
                    Ok(stream) => {
                        tasks.spawn(control_connection(stream, Arc::clone(&site), draining.clone()));
                    }
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
                Some(_) = tasks.join_next() => {}
            }
        }
        partition.forget_listener();
        drop((listener, control));
        let _ = drain.send(true);
        let finish = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(DRAIN, finish).await;
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, BackendError> {
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A backend that is started again takes its old address from connections in TIME_WAIT.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    open().map_err(|source| BackendError::Listen { address, source })
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.map(|(stream, _)| stream),
        None => std::future::pending().await,
    }
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn site_connection(
    io: impl AsyncRead + AsyncWrite + Unpin,
    site: Arc<Site>,
    draining: watch::Receiver<bool>,
) {
    let handle = move |request| {
        let site = Arc::clone(&site);
        async move { site.handle(request).await }
    };
    serve(io, handle, draining).await;
}

async fn control_connection(
    io: impl AsyncRead + AsyncWrite + Unpin,
    site: Arc<Site>,
    draining: watch::Receiver<bool>,
) {
    let handle = move |request| {
        let site = Arc::clone(&site);
        async move { control::handle(&site, request).await }
    };
    serve(io, handle, draining).await;
}

/// Serves one connection. Its end, however it comes, concerns nobody else.
async fn serve<F, R>(
    io: impl AsyncRead + AsyncWrite + Unpin,
    handle: F,
    mut draining: watch::Receiver<bool>,
) where
    F: Fn(Request<Incoming>) -> R,
    R: Future<Output = Response<Body>>,
{
    let service = service_fn(|request| {
        let response = handle(request);
        async { Ok::<_, Infallible>(response.await) }
    });
    // A client that has gone does not take its request back: without half-close hyper would drop
    // one that it reads together with the end of the connection, as after a hang.
    let connection = http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = draining.wait_for(|&drain| drain) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
