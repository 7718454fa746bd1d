//! The private listener, where faults are ordered: `GET /fault`, `POST /fault`, `/metrics`.

use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;

use super::fault::{FaultReport, FaultState};
use super::route::{Body, Site, json, text};

const ORDER_LIMIT: usize = 64 << 10;

/// The answer to a question.
#[derive(Debug, Serialize)]
struct Status {
    /// Requests waiting for a worker now.
    queued: usize,
    /// Workers that are occupied now.
    busy: usize,
    #[serde(flatten)]
    report: FaultReport,
}

/// The answer to an order.
#[derive(Debug, Serialize)]
struct Ordered {
    /// What is switched on now.
    state: FaultState,
    /// The time that ended with the order, and what happened in it.
    ended: FaultReport,
}

/// Answers one request for control.
pub(super) async fn handle(site: &Site, request: Request<Incoming>) -> Response<Body> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/fault") => json(StatusCode::OK, &status(site)),
        (&Method::POST, "/fault") => order(site, request).await,
        (_, "/fault") => text(StatusCode::METHOD_NOT_ALLOWED, "GET or POST\n"),
        (&Method::GET, "/metrics") => site.metrics(),
        _ => text(StatusCode::NOT_FOUND, "here are /fault and /metrics\n"),
    }
}

fn status(site: &Site) -> Status {
    let depth = site.depth();
    Status { queued: depth.waiting, busy: depth.busy, report: site.faults().report() }
}

async fn order(site: &Site, request: Request<Incoming>) -> Response<Body> {
    let body = match Limited::new(request.into_body(), ORDER_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
    };
    let state: FaultState = match serde_json::from_slice(&body) {
        Ok(state) => state,
        Err(error) => return text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
    };
    match site.faults().replace(state) {
        Ok(ended) => json(StatusCode::OK, &Ordered { state, ended }),
        Err(error) => text(StatusCode::UNPROCESSABLE_ENTITY, &format!("{error}\n")),
    }
}
