//! A client's connection from `accept` to its first request: who it is for, and what it speaks.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::fields::Origin;
use super::journal::log;
use super::listen::{Door, Stop};
use super::proxy_protocol::{self, Received};
use super::tls::TlsListener;
use super::transport::Transport;
use super::worker::Worker;
use super::{session, tcp};
use crate::scenario::edge::ListenMode;

/// A connection that may begin to speak.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) transport: Transport,
    /// Where the client is, by itself or by a PROXY header.
    pub(super) client: SocketAddr,
    /// Where it wanted to go, by itself or by a PROXY header.
    pub(super) local: SocketAddr,
    /// HTTP/2 was agreed on by ALPN. Without TLS the first bytes tell.
    pub(super) http2: bool,
}

/// Reads the PROXY header and shakes hands, as far as the listener asks for them, then serves the
/// client; ends when its connection does.
pub(super) async fn serve(
    stream: TcpStream,
    client: SocketAddr,
    door: Arc<Door>,
    worker: Arc<Worker>,
    stop: Arc<Stop>,
) {
    // In boxes, since a connection that is open for long has no use for the room of its beginning.
    let arriving = Box::pin(arrive(stream, client, &door, &worker));
    let Some(arrival) = arriving.await else { return };
    if door.listener.mode == ListenMode::Tcp {
        return Box::pin(tcp::serve(arrival, worker)).await;
    }
    let Arrival { transport, client, local, http2 } = arrival;
    let secure = door.tls.is_some();
    let origin = Origin::new(&worker.edge.forward, client, &door.host, secure).bound_for(local);
    if http2 {
        Box::pin(session::serve_http2(transport, Vec::new(), origin, worker, stop)).await;
    } else {
        // Under TLS the version is agreed on, and not to be guessed.
        let offers_http2 = door.listener.http2 && !secure;
        Box::pin(session::serve(transport, origin, worker, stop, offers_http2, ())).await;
    }
}

/// `None` when the connection is to be closed: with a header that is missing, malformed or late
/// that is said in the log, since it is a mistake of who runs the proxy in front, or an attempt to
/// get round it; failed handshakes are everybody's noise, and counted.
async fn arrive(
    mut stream: TcpStream,
    client: SocketAddr,
    door: &Door,
    worker: &Worker,
) -> Option<Arrival> {
    let local = stream.local_addr().ok()?;
    let limit = worker.edge.client.header_timeout.to_std();
    let mut said = Received { source: client, destination: local };
    if door.listener.proxy_protocol {
        let trusted = &worker.edge.forward.trusted;
        let received = if trusted.iter().any(|network| network.contains(client.ip())) {
            proxy_protocol::receive(&mut stream, said, limit).await
        } else {
            Err(proxy_protocol::ReceiveError::NotTrusted)
        };
        said =
            received.inspect_err(|error| log(format_args!("{client} is let go: {error}"))).ok()?;
    }
    let (transport, http2) = match &door.tls {
        None => (Transport::Tcp(stream), false),
        Some(tls) => {
            let counters = &worker.account.counters;
            counters.tls_handshakes.add(1);
            let shaken = tls.accept(stream, limit).await;
            let stream = shaken.inspect_err(|_| counters.tls_failures.add(1)).ok()?;
            let http2 = TlsListener::speaks_http2(&stream);
            (Transport::Tls(Box::new(stream.into())), http2)
        }
    };
    Some(Arrival { transport, client: said.source, local: said.destination, http2 })
}
