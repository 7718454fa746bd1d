//! An active health check on the wire: one GET on a connection of its own.

use std::future::poll_fn;
use std::task::ready;

use super::connect::Connector;
use super::endpoint::Endpoint;
use super::message::{Keep, RequestOut};
use super::peer::shared::Shared;
use super::pool;
use crate::http1::{Limits, Names, RequestHead, ResponseHead};
use crate::policy::ActiveHealthConfig;

/// Whether the peer answers with 2xx or 3xx within the time-out, which counts from the start of
/// the connection to the head of the response.
pub(super) async fn passes(
    endpoint: &Endpoint,
    config: &ActiveHealthConfig,
    connector: &Connector,
) -> bool {
    let status = status(endpoint, config, connector);
    let status = tokio::time::timeout(config.timeout.to_std(), status).await;
    matches!(status, Ok(Some(200..400)))
}

async fn status(
    endpoint: &Endpoint,
    config: &ActiveHealthConfig,
    connector: &Connector,
) -> Option<u16> {
    let host = endpoint.address.to_string();
    let mut request = RequestHead::default();
    let fields =
        [(b"User-Agent".as_slice(), b"lab health check".as_slice()), (b"Connection", b"close")];
    // A path that is none was refused with the scenario.
    request
        .assemble(b"GET", config.path.as_bytes(), host.as_bytes(), fields.into_iter(), &LIMITS)
        .ok()?;
    // Nothing of it is kept.
    let own = Shared::new(pool::Limits::new(0, config.timeout));
    let mut peer = connector.connect(endpoint, &own, None).await.ok()?;
    let keep = Keep { drops: Names::NONE.with(crate::http1::Name::Host), heeds_connection: false };
    peer.start(&RequestOut {
        head: &request,
        host: host.as_bytes(),
        keep,
        added: &[],
        upgrade: false,
    });
    peer.end(None);
    let mut response = ResponseHead::default();
    poll_fn(|context| {
        // A peer that takes no more may have answered before.
        drop(ready!(peer.poll_flush(context)));
        loop {
            let head = ready!(peer.poll_head(context, &mut response));
            if head.is_err() || !response.is_interim() {
                return std::task::Poll::Ready(head.is_ok().then(|| response.status()));
            }
        }
    })
    .await
}

const LIMITS: Limits = Limits::new(16 << 10);
