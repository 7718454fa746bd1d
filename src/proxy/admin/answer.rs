//! What each request to the admin interface gets.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::token::Token;
use super::upstreams;
use crate::exposition::wants_open;
use crate::host::date;
use crate::policy::PeerState;
use crate::proxy::instance::{Glimpse, Instance};
use crate::proxy::metrics;

pub(super) type Answer = Response<Full<Bytes>>;

pub(super) async fn answer(
    instance: &Weak<Instance>,
    token: Option<&Token>,
    request: Request<Incoming>,
) -> Answer {
    let Some(instance) = instance.upgrade() else {
        return said(StatusCode::SERVICE_UNAVAILABLE, "the proxy has ended");
    };
    let path = request.uri().path().to_owned();
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    if let Some(refused) = refuse(token, &request, &parts) {
        return refused;
    }
    let get = request.method() == Method::GET || request.method() == Method::HEAD;
    match parts.as_slice() {
        ["live"] if get => said(StatusCode::OK, "live"),
        ["ready"] if get => ready(&instance.glimpse()),
        ["metrics"] if get => {
            let accept = request.headers().get(header::ACCEPT);
            let open = wants_open(accept.and_then(|value| value.to_str().ok()));
            let (kind, text) = metrics::page(&instance.glimpse(), open);
            typed(kind, text.into())
        }
        ["sd"] if get => {
            json_of(StatusCode::OK, &upstreams::discovered(&instance.glimpse().drivers))
        }
        ["config"] if get => config(&instance.glimpse()),
        ["reload"] if request.method() == Method::POST => reload(instance).await,
        ["upstreams", rest @ ..] => upstreams::answer(&instance.glimpse(), rest, request).await,
        ["live" | "ready" | "metrics" | "sd" | "config"] => not_allowed("GET"),
        ["reload"] => not_allowed("POST"),
        _ => said(
            StatusCode::NOT_FOUND,
            "try /upstreams, /config, /reload, /live, /ready, /metrics or /sd",
        ),
    }
}

/// Turns away who may not ask this.
fn refuse(token: Option<&Token>, request: &Request<Incoming>, parts: &[&str]) -> Option<Answer> {
    match token {
        Some(_) if matches!(parts, ["live" | "ready"]) => None,
        Some(token) if !token.is_shown(request.headers()) => {
            let mut answer =
                said(StatusCode::UNAUTHORIZED, "show the token: Authorization: Bearer …");
            let challenge = HeaderValue::from_static("Bearer realm=\"lab proxy\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
            Some(answer)
        }
        None if request.headers().contains_key(header::ORIGIN) => {
            Some(said(StatusCode::FORBIDDEN, "web pages may not give orders"))
        }
        _ => None,
    }
}

/// Ready when clients are accepted and somebody can serve them.
fn ready(glimpse: &Glimpse) -> Answer {
    if glimpse.ending {
        return said(StatusCode::SERVICE_UNAVAILABLE, "draining");
    }
    let up = |driver: &Arc<crate::proxy::driver::Driver>| {
        driver.peers().iter().any(|peer| peer.state == PeerState::Up)
    };
    if glimpse.drivers.iter().any(up) {
        said(StatusCode::OK, "ready")
    } else {
        said(StatusCode::SERVICE_UNAVAILABLE, "no upstream is up")
    }
}

fn config(glimpse: &Glimpse) -> Answer {
    let (file, text) = &glimpse.config.origin;
    let listeners: Vec<Value> = glimpse
        .config
        .listeners()
        .iter()
        .map(|listener| json!({ "address": listener.address, "tls": !listener.tls.is_empty() }))
        .collect();
    json_of(
        StatusCode::OK,
        &json!({
            "file": file,
            "hash": glimpse.config.hash(),
            "loaded": date::rfc3339(glimpse.reloads.last),
            "last_error": glimpse.reloads.error,
            "generation": glimpse.generation,
            "draining": glimpse.draining,
            "workers": glimpse.config.workers(),
            "listeners": listeners,
            "text": text,
        }),
    )
}

/// Files may be slow, and other orders need not wait.
async fn reload(instance: Arc<Instance>) -> Answer {
    let reloading = tokio::task::spawn_blocking(move || {
        let done = instance.reload_from_source();
        done.map(|done| (done, instance.glimpse()))
    });
    match reloading.await {
        Ok(Ok((done, now))) => json_of(
            StatusCode::OK,
            &json!({
                "peers": done.peers, "workers": done.workers,
                "generation": now.generation, "hash": now.config.hash(),
            }),
        ),
        Ok(Err(error)) => said(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
        Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

pub(super) fn json_of(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec_pretty(value) {
        Ok(json) => {
            let mut answer = typed("application/json", json.into());
            *answer.status_mut() = status;
            answer
        }
        Err(error) => said(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn typed(kind: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A sentence: what was done, or what was wrong.
pub(super) fn said(status: StatusCode, text: &str) -> Answer {
    let key = if status.is_success() { "done" } else { "error" };
    json_of(status, &json!({ key: text }))
}

pub(super) fn not_allowed(allowed: &'static str) -> Answer {
    let text = format!("this path takes {allowed}");
    let mut answer = said(StatusCode::METHOD_NOT_ALLOWED, &text);
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}
