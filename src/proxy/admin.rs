//! The admin interface: peers in, out and draining while traffic flows, and `/metrics`.
//!
//! `GET /upstreams`, `POST /upstreams` with `{"name", "address", "weight"}`,
//! `DELETE /upstreams/NAME`, `POST /upstreams/NAME/drain`, `POST /upstreams/NAME/resume`,
//! `GET /metrics`. It asks nobody who they are, so it listens at loopback addresses only.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::driver::{Driver, PeerView};
use super::journal::log;
use super::listen::Stop;
use super::metrics;
use crate::policy::{PeerChange, PeerConfig, PeerState};

/// Most bytes of a request's body.
const BODY_MAX: usize = 64 * 1024;

type Drivers = Arc<[Arc<Driver>]>;

/// Serves until told to stop.
///
/// # Errors
/// When the socket cannot be registered with the runtime.
pub(super) async fn serve(
    listener: StdListener,
    drivers: Drivers,
    stop: Arc<Stop>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.wait() => return Ok(()),
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                log(format_args!("admin: cannot accept a connection: {error}"));
                tokio::time::sleep(super::listen::ACCEPT_PAUSE).await;
                continue;
            }
        };
        let drivers = Arc::clone(&drivers);
        let service = service_fn(move |request| {
            let drivers = Arc::clone(&drivers);
            async move { Ok::<_, Infallible>(answer(&drivers, request).await) }
        });
        tokio::spawn(async move {
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        });
    }
}

/// A peer as `GET /upstreams` shows it: one entry for each view of it.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    address: SocketAddr,
    view: u16,
    state: PeerState,
    weight: u32,
    backup: bool,
    in_flight: u32,
    fails: u32,
}

/// A peer to add.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    address: SocketAddr,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default)]
    backup: bool,
}

const fn one() -> u32 {
    1
}

async fn answer(drivers: &Drivers, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    match (request.method(), parts.as_slice()) {
        (&Method::GET, ["metrics"]) => {
            typed("text/plain; version=0.0.4; charset=utf-8", metrics::text(drivers).into())
        }
        (&Method::GET, ["upstreams"]) => list(drivers),
        (&Method::POST, ["upstreams"]) => add(drivers, request.into_body()).await,
        (&Method::DELETE, ["upstreams", name]) => change(drivers, name, &PeerChange::Remove),
        (&Method::POST, ["upstreams", name, "drain"]) => change(drivers, name, &PeerChange::Drain),
        (&Method::POST, ["upstreams", name, "resume"]) => {
            change(drivers, name, &PeerChange::Resume)
        }
        (_, ["metrics" | "upstreams", ..]) => {
            said(StatusCode::METHOD_NOT_ALLOWED, "not a known method for this path")
        }
        _ => said(StatusCode::NOT_FOUND, "try /upstreams or /metrics"),
    }
}

fn list(drivers: &Drivers) -> Response<Full<Bytes>> {
    let shown: Vec<Shown> = drivers
        .iter()
        .flat_map(|driver| {
            let view = driver.journal().view;
            driver.peers().into_iter().map(move |peer| show(view, peer))
        })
        .collect();
    match serde_json::to_vec_pretty(&shown) {
        Ok(json) => typed("application/json", json.into()),
        Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn show(view: u16, peer: PeerView) -> Shown {
    Shown {
        name: peer.endpoint.name.clone(),
        address: peer.endpoint.address,
        view,
        state: peer.state,
        weight: peer.weight,
        backup: peer.backup,
        in_flight: peer.in_flight,
        fails: peer.fails,
    }
}

async fn add(drivers: &Drivers, body: Incoming) -> Response<Full<Bytes>> {
    let body = match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return said(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let wanted: Wanted = match serde_json::from_slice(&body) {
        Ok(wanted) => wanted,
        Err(error) => return said(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    if wanted.weight == 0 || wanted.name.is_empty() || wanted.name.contains('/') {
        let text = "a peer needs a weight of at least 1 and a name without slashes";
        return said(StatusCode::BAD_REQUEST, text);
    }
    if drivers.iter().any(|driver| driver.has(&wanted.name)) {
        return said(StatusCode::CONFLICT, "a peer of this name exists");
    }
    for driver in drivers.iter() {
        let mut peer = PeerConfig::new(wanted.name.clone());
        peer.weight = wanted.weight;
        peer.backup = wanted.backup;
        driver.add(peer, wanted.address);
    }
    said(StatusCode::CREATED, "added")
}

fn change(
    drivers: &Drivers,
    name: &str,
    change: &dyn Fn(crate::policy::PeerId) -> PeerChange,
) -> Response<Full<Bytes>> {
    let known = drivers.iter().filter(|driver| driver.change(name, change)).count();
    match known {
        0 => said(StatusCode::NOT_FOUND, "no peer of this name"),
        _ => said(StatusCode::OK, "done"),
    }
}

fn typed(kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn said(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = typed("text/plain; charset=utf-8", format!("{text}\n").into());
    *response.status_mut() = status;
    response
}
