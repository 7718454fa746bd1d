//! Orders and questions about peers. An order changes every view of them.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::answer::{Answer, json_of, not_allowed, said};
use crate::exposition::{BACKEND_LABEL, TargetGroup};
use crate::policy::{Forced, PeerChange, PeerConfig, PeerId, PeerState};
use crate::proxy::driver::{Driver, PeerView};
use crate::proxy::instance::Glimpse;
use crate::proxy::journal::word;
use crate::units::Span;

/// Most bytes of a request's body.
const BODY_MAX: usize = 64 * 1024;

type Drivers = [Arc<Driver>];

/// A peer as it is shown: one entry for each view of it.
#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    address: SocketAddr,
    view: u16,
    state: PeerState,
    /// An operator's word, if there is one.
    forced: Option<Forced>,
    weight: u32,
    backup: bool,
    in_flight: u32,
    /// 0 is no limit.
    max_conns: u32,
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
    #[serde(default)]
    max_conns: u32,
    max_fails: Option<u32>,
    fail_timeout_ns: Option<u64>,
    #[serde(default)]
    slow_start_ns: u64,
}

const fn one() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Weight {
    weight: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Health {
    state: Word,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Up,
    Down,
    Auto,
}

/// Answers a request for `/upstreams` and what is below it.
pub(super) async fn answer(glimpse: &Glimpse, path: &[&str], request: Request<Incoming>) -> Answer {
    let drivers = glimpse.drivers.as_slice();
    let method = request.method().clone();
    match (path, method.as_str()) {
        ([], "GET" | "HEAD") => json_of(StatusCode::OK, &shown(drivers, None)),
        ([], "POST") => add(drivers, request.into_body()).await.unwrap_or_else(|wrong| wrong),
        ([name] | [name, "health"], "GET" | "HEAD") => match shown(drivers, Some(name)) {
            peers if peers.is_empty() => said(StatusCode::NOT_FOUND, "no peer of this name"),
            peers => json_of(StatusCode::OK, &peers),
        },
        ([name], "DELETE") => change(drivers, name, PeerChange::Remove),
        ([name, "drain"], "POST") => change(drivers, name, PeerChange::Drain),
        ([name, "resume"], "POST") => change(drivers, name, PeerChange::Resume),
        ([name, order @ ("weight" | "health")], "PUT") => {
            put(drivers, name, order, request.into_body()).await.unwrap_or_else(|wrong| wrong)
        }
        ([], _) => not_allowed("GET, POST"),
        ([_], _) => not_allowed("GET, DELETE"),
        ([_, "drain" | "resume"], _) => not_allowed("POST"),
        ([_, "weight"], _) => not_allowed("PUT"),
        ([_, "health"], _) => not_allowed("GET, PUT"),
        _ => said(
            StatusCode::NOT_FOUND,
            "below /upstreams/NAME there are drain, resume, weight and health",
        ),
    }
}

fn shown(drivers: &Drivers, name: Option<&str>) -> Vec<Shown> {
    let mut all = Vec::new();
    for driver in drivers {
        let view = driver.journal().view;
        let peers = driver.peers().into_iter();
        let wanted = peers.filter(|peer| name.is_none_or(|name| peer.endpoint.name == name));
        all.extend(wanted.map(|peer| show(view, &peer)));
    }
    all
}

fn show(view: u16, peer: &PeerView) -> Shown {
    Shown {
        name: peer.endpoint.name.clone(),
        address: peer.endpoint.address,
        view,
        state: peer.state,
        forced: peer.forced,
        weight: peer.weight,
        backup: peer.backup,
        in_flight: peer.in_flight,
        max_conns: peer.max_conns,
        fails: peer.fails,
    }
}

/// Every peer once, to be scraped at the address where it serves.
pub(super) fn discovered(drivers: &Drivers) -> Vec<TargetGroup> {
    let mut seen = BTreeSet::new();
    let peers = drivers.iter().flat_map(|driver| driver.peers());
    peers
        .filter(|peer| seen.insert(peer.endpoint.name.clone()))
        .map(|peer| {
            TargetGroup::new(peer.endpoint.address)
                .label(BACKEND_LABEL, peer.endpoint.name.clone())
                .label("__meta_lab_state", word(peer.state))
                .label("__meta_lab_weight", peer.weight.to_string())
                .label("__meta_lab_backup", peer.backup.to_string())
        })
        .collect()
}

async fn add(drivers: &Drivers, body: Incoming) -> Result<Answer, Answer> {
    let wanted: Wanted = read(body).await?;
    let visible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if wanted.weight == 0 || wanted.name.is_empty() || !wanted.name.chars().all(visible) {
        let text =
            "a peer needs a weight of at least 1 and a name of letters, digits, `-`, `_`, `.`";
        return Err(said(StatusCode::BAD_REQUEST, text));
    }
    if drivers.iter().any(|driver| driver.has(&wanted.name)) {
        return Err(said(StatusCode::CONFLICT, "a peer of this name exists"));
    }
    for driver in drivers {
        let usual = PeerConfig::new(wanted.name.clone());
        let peer = PeerConfig {
            weight: wanted.weight,
            backup: wanted.backup,
            max_conns: wanted.max_conns,
            max_fails: wanted.max_fails.unwrap_or(usual.max_fails),
            fail_timeout: wanted.fail_timeout_ns.map_or(usual.fail_timeout, Span),
            slow_start: Span(wanted.slow_start_ns),
            ..usual
        };
        driver.add(peer, wanted.address);
    }
    Ok(said(StatusCode::CREATED, "added"))
}

async fn put(drivers: &Drivers, name: &str, order: &str, body: Incoming) -> Result<Answer, Answer> {
    if order == "weight" {
        let Weight { weight } = read(body).await?;
        if weight == 0 {
            let text = "a weight is at least 1; to give a peer nothing, drain it";
            return Err(said(StatusCode::BAD_REQUEST, text));
        }
        return Ok(change(drivers, name, |id| PeerChange::Weight(id, weight)));
    }
    let Health { state } = read(body).await?;
    let forced = match state {
        Word::Up => Some(Forced::Up),
        Word::Down => Some(Forced::Down),
        Word::Auto => None,
    };
    Ok(change(drivers, name, |id| PeerChange::Force(id, forced)))
}

/// The body as JSON.
async fn read<T: DeserializeOwned>(body: Incoming) -> Result<T, Answer> {
    let wrong = |text: String| said(StatusCode::BAD_REQUEST, &text);
    let body: Bytes = match Limited::new(body, BODY_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return Err(wrong(error.to_string())),
    };
    serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))
}

fn change(drivers: &Drivers, name: &str, change: impl Fn(PeerId) -> PeerChange) -> Answer {
    match drivers.iter().filter(|driver| driver.change(name, &change)).count() {
        0 => said(StatusCode::NOT_FOUND, "no peer of this name"),
        _ => said(StatusCode::OK, "done"),
    }
}
