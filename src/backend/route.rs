//! What the backend answers: `/health`, `/metrics`, `/probe`, `/load`, and service on every other
//! path.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde::Serialize;

use super::config::BackendConfig;
use super::fault::Faults;
use super::metrics::Metrics;
use super::queue::{Depth, Queue, Served, Work};
use crate::host::clock;
use crate::traffic::service::demand_word;
use crate::units::draw::unit_open;
use crate::units::{Nanos, Purpose, Span};

/// Bodies are small and whole.
pub(super) type Body = Full<Bytes>;

const ID: HeaderName = HeaderName::from_static("x-lab-id");
const ATTEMPT: HeaderName = HeaderName::from_static("x-lab-attempt");
const DEMAND: HeaderName = HeaderName::from_static("x-lab-demand-ns");
const BACKEND: HeaderName = HeaderName::from_static("x-lab-backend");
const QUEUED: HeaderName = HeaderName::from_static("x-lab-queued-ns");
const SERVICE: HeaderName = HeaderName::from_static("x-lab-service-ns");

/// The longest `/load?ms=` that is obeyed.
const LOAD_MAX: Span = Span::from_secs(60);
/// Requests without an id of their own are numbered from here, away from those of any plan.
const OWN_IDS: u64 = 1 << 63;

/// Everything behind the listener.
#[derive(Debug)]
pub(super) struct Site {
    config: BackendConfig,
    address: SocketAddr,
    host: String,
    name: HeaderValue,
    queue: Queue,
    faults: Arc<Faults>,
    metrics: Arc<Metrics>,
    health_checks: AtomicU64,
    /// From when on its health checks may pass.
    ready_at: Nanos,
    own_ids: AtomicU64,
}

/// The answer to a served request.
#[derive(Serialize)]
struct Answer<'a> {
    host: &'a str,
    address: SocketAddr,
    name: &'a str,
    /// How long a worker was held.
    processing_ms: f64,
    /// How long the request waited for the worker.
    queued_ms: f64,
}

impl Site {
    pub(super) fn new(
        config: BackendConfig,
        address: SocketAddr,
        queue: Queue,
        faults: Arc<Faults>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = HeaderValue::from_str(&config.name)
            .unwrap_or_else(|_| HeaderValue::from_static("unprintable"));
        Self {
            ready_at: clock::now() + config.ready_after,
            config,
            address,
            host,
            name,
            queue,
            faults,
            metrics,
            health_checks: AtomicU64::new(0),
            own_ids: AtomicU64::new(OWN_IDS),
        }
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults)
    }

    pub(super) fn depth(&self) -> Depth {
        self.queue.depth()
    }

    pub(super) fn accepted(&self) {
        self.faults.count(|counts| counts.accepted += 1);
    }

    pub(super) async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        let mut response = match request.uri().path() {
            "/health" => self.health(),
            "/metrics" => self.metrics(),
            "/probe" => self.load(),
            _ => self.service(request).await,
        };
        response.headers_mut().insert(BACKEND, self.name.clone());
        response
    }

    /// The k-th check fails by the draw (health, backend, k): beside the queue, at once. One before
    /// it is ready takes no draw.
    fn health(&self) -> Response<Body> {
        if clock::now() < self.ready_at {
            self.metrics.health_checked(false);
            return text(StatusCode::SERVICE_UNAVAILABLE, "starting\n");
        }
        let check = self.health_checks.fetch_add(1, Ordering::Relaxed);
        let index = (u64::from(self.config.index) << 32) | check;
        let probability =
            self.faults.state().health_failure.unwrap_or(self.config.health_failure.0);
        let passed = unit_open(self.config.seed.words(Purpose::Health, index)[0]) >= probability;
        self.metrics.health_checked(passed);
        self.faults.count(|counts| {
            counts.health_checks += 1;
            counts.health_failed += u64::from(!passed);
        });
        if passed {
            text(StatusCode::OK, "healthy\n")
        } else {
            text(StatusCode::SERVICE_UNAVAILABLE, "unhealthy\n")
        }
    }

    pub(super) fn metrics(&self) -> Response<Body> {
        let occupied = self.queue.occupied(clock::now());
        let workers = self.config.queue.workers;
        let exposition = self.metrics.exposition(self.queue.depth(), occupied, workers);
        text(StatusCode::OK, &exposition)
    }

    /// Requests in flight and the latency to expect, beside the queue and at once.
    fn load(&self) -> Response<Body> {
        json(StatusCode::OK, &self.queue.load(clock::now()))
    }

    async fn service(&self, request: Request<Incoming>) -> Response<Body> {
        self.faults.count(|counts| counts.requests += 1);
        let mut in_flight = InFlight::new(&self.metrics);
        let (head, body) = request.into_parts();
        let limit = self.config.body_limit;
        let response = match Limited::new(body, limit.0 as usize).collect().await {
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                text(StatusCode::PAYLOAD_TOO_LARGE, &format!("the body is larger than {limit}\n"))
            }
            Err(error) => text(StatusCode::BAD_REQUEST, &format!("{error}\n")),
            Ok(body) => {
                self.metrics.body_read(body.to_bytes().len() as u64);
                self.serve(&head).await
            }
        };
        in_flight.status = response.status().as_u16();
        response
    }

    async fn serve(&self, head: &http::request::Parts) -> Response<Body> {
        let id = number(&head.headers, &ID)
            .unwrap_or_else(|| self.own_ids.fetch_add(1, Ordering::Relaxed));
        let attempt = number(&head.headers, &ATTEMPT).unwrap_or(1).min(u64::from(u16::MAX)) as u16;
        if self.injects_error(id, attempt) {
            self.faults.count(|counts| counts.errors_injected += 1);
            return text(StatusCode::INTERNAL_SERVER_ERROR, "injected error\n");
        }
        let drawn = || {
            let word = demand_word(self.config.seed, id, attempt);
            number(&head.headers, &DEMAND).map_or_else(|| self.config.service.sample(word), Span)
        };
        let (demand, burn) = match load_asked(&head.uri) {
            Ok(None) => (drawn(), head.uri.path() == "/load"),
            Ok(Some(asked)) => (asked, true),
            Err(why) => return text(StatusCode::BAD_REQUEST, why),
        };
        let span = demand.scaled(1.0 / self.config.speed);
        let work = if burn { Work::Burn(span) } else { Work::Hold(span) };
        let Ok(done) = self.queue.submit(work, clock::now()) else {
            self.faults.count(|counts| counts.refused += 1);
            return text(StatusCode::SERVICE_UNAVAILABLE, "the queue is full\n");
        };
        match done.await {
            Ok(served) => self.answer(demand, served),
            Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    }

    fn injects_error(&self, id: u64, attempt: u16) -> bool {
        let rate = self.faults.state().error_rate;
        rate > 0.0 && self.config.seed.draw(Purpose::Error, id, attempt).uniform() < rate
    }

    fn answer(&self, demand: Span, served: Served) -> Response<Body> {
        let answer = Answer {
            host: &self.host,
            address: self.address,
            name: &self.config.name,
            processing_ms: served.service.as_millis_f64(),
            queued_ms: served.queued.as_millis_f64(),
        };
        let body = serde_json::to_vec(&answer).unwrap_or_default();
        let mut response = Response::new(Full::new(Bytes::from(body)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(DEMAND, HeaderValue::from(demand.0));
        headers.insert(QUEUED, HeaderValue::from(served.queued.0));
        headers.insert(SERVICE, HeaderValue::from(served.service.0));
        response
    }
}

/// Counts a request out also where its client goes away and the handler is dropped.
struct InFlight<'a> {
    metrics: &'a Metrics,
    status: u16,
}

impl<'a> InFlight<'a> {
    fn new(metrics: &'a Metrics) -> Self {
        metrics.began();
        Self { metrics, status: 0 }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.metrics.ended(self.status);
    }
}

fn number(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// The `ms` of `/load?ms=50`; `None` on other paths and without it.
fn load_asked(uri: &hyper::Uri) -> Result<Option<Span>, &'static str> {
    let asked =
        uri.query().unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("ms="));
    let (true, Some(asked)) = (uri.path() == "/load", asked) else { return Ok(None) };
    let millis: f64 = asked.parse().map_err(|_| "ms must be a number of milliseconds\n")?;
    let span = Span::from_nanos_f64(millis * 1e6);
    let allowed = millis >= 0.0 && span <= LOAD_MAX;
    allowed.then_some(Some(span)).ok_or("ms must be between 0 and 60000\n")
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A plain answer.
pub(super) fn text(status: StatusCode, body: &str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
