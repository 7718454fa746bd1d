//! The tunnel after a 101 (WebSocket and the like): bytes in both directions until either side
//! ends it. The attempt lasts as long, so the connection counts as in flight at its peer.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, copy_bidirectional};

use super::connection::Connection;
use super::in_flight::InFlight;

/// Joins the client's side, once it has its 101, with the peer's.
pub(super) fn tunnel(client: OnUpgrade, peer: Connection, in_flight: InFlight) {
    tokio::spawn(async move {
        // How it ended says nothing about the peer: the response had been passed on.
        drop(join(client, peer).await);
        drop(in_flight);
    });
}

async fn join(client: OnUpgrade, mut peer: Connection) -> io::Result<()> {
    let upgraded = client.await.map_err(io::Error::other)?;
    let mut client = TokioIo::new(upgraded);
    poll_fn(|context| if peer.drive(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    let (mut peer, early) = peer.into_stream();
    client.write_all(&early).await?;
    copy_bidirectional(&mut client, &mut peer).await?;
    Ok(())
}
