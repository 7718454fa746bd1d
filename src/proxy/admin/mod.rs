//! The admin interface: peers changed while traffic flows, reload, readiness, and `/metrics`.
//!
//! | | |
//! |---|---|
//! | `GET /upstreams`, `GET /upstreams/NAME` | every peer, in every view of it |
//! | `POST /upstreams` | adds `{"name", "address", "weight", "backup", "max_conns", "max_fails", "fail_timeout_ns", "slow_start_ns"}` |
//! | `DELETE /upstreams/NAME` | removes it at once; what it has in flight ends |
//! | `POST /upstreams/NAME/drain`, `…/resume` | nothing new for it, and again |
//! | `PUT /upstreams/NAME/weight` | `{"weight": 3}` |
//! | `PUT /upstreams/NAME/health` | `{"state": "up"}`, `"down"`: an operator's word; `"auto"` withdraws it |
//! | `GET /config`, `POST /reload` | what is in force; reads the file again |
//! | `GET /live`, `GET /ready` | 200 or 503; these two ask for no token |
//! | `GET /metrics` | Prometheus or OpenMetrics, by `Accept` |
//! | `GET /sd` | the peers as targets for Prometheus' HTTP service discovery |
//!
//! Whoever reaches it can change everything. So it listens at loopback addresses or at a Unix
//! socket of mode 0600, or asks for a token (`Authorization: Bearer …`). Without a token it refuses
//! what a web page sends (`Origin`), since a browser on the host reaches loopback too.

mod answer;
mod token;
mod upstreams;

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::instance::Instance;
use super::journal::log;
use super::listen::ACCEPT_PAUSE;
use super::sockets::AdminSocket;
pub(super) use token::Token;

/// Longest time for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A listening socket, registered with the runtime.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// A copy of `socket`; called inside the runtime.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub(super) fn of(socket: &AdminSocket) -> io::Result<Self> {
        Ok(match socket {
            AdminSocket::Tcp(socket) => Self::Tcp(TcpListener::from_std(socket.try_clone()?)?),
            AdminSocket::Unix(socket) => Self::Unix(UnixListener::from_std(socket.try_clone()?)?),
        })
    }

    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Accepted::Tcp(stream)),
            Self::Unix(listener) => {
                listener.accept().await.map(|(stream, _)| Accepted::Unix(stream))
            }
        }
    }
}

/// Serves until aborted.
pub(super) async fn serve(listener: Listener, instance: Weak<Instance>, token: Option<Arc<Token>>) {
    loop {
        match listener.accept().await {
            Ok(Accepted::Tcp(stream)) => {
                tokio::spawn(connection(stream, Weak::clone(&instance), token.clone()));
            }
            Ok(Accepted::Unix(stream)) => {
                tokio::spawn(connection(stream, Weak::clone(&instance), token.clone()));
            }
            Err(error) => {
                log(format_args!("admin: cannot accept a connection: {error}"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    instance: Weak<Instance>,
    token: Option<Arc<Token>>,
) {
    let service = service_fn(move |request| {
        let (instance, token) = (Weak::clone(&instance), token.clone());
        async move { Ok::<_, Infallible>(answer::answer(&instance, token.as_deref(), request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    // What goes wrong on it is the client's, and it has been told or is gone.
    drop(connection.await);
}
