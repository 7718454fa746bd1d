//! One request, from its admission to the last byte of its response.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};

use super::body::Outgoing;
use super::connection::{Connection, Failure};
use super::driver::Step;
use super::header::{self, ClientFields};
use super::in_flight::{InFlight, Judged};
use super::pool::Kept;
use super::refusal;
use super::relay::{Relay, Reply};
use super::upgrade;
use super::worker::Worker;
use crate::host::clock;
use crate::policy::{Outcome, Refusal, RefusalReason, RequestFacts};

/// Serves one request of a client.
pub(super) async fn serve(
    worker: Arc<Worker>,
    client: Arc<ClientFields>,
    mut request: Request<Incoming>,
) -> Response<Reply> {
    if request.method() == Method::CONNECT {
        return refusal::plain(StatusCode::METHOD_NOT_ALLOWED, "this is no forward proxy\n");
    }
    let planned = planned_id(&request);
    let tunnel = header::upgrade_wanted(request.headers(), request.version())
        .map(|_| hyper::upgrade::on(&mut request));
    header::towards_peer(&mut request, &client);
    let (head, body) = request.into_parts();
    let Ok(body) = Outgoing::of(body).await else {
        return refusal::plain(StatusCode::BAD_REQUEST, "the body broke off\n");
    };
    let facts = RequestFacts {
        id: planned.unwrap_or_else(|| worker.unplanned_id()),
        // No algorithm hashes yet.
        key: 0,
        idempotent: idempotent(&head.method) && body.is_held(),
    };
    let step = worker.driver.admit(facts);
    let request = Some(Request::from_parts(head, body));
    let mut forward = Forward { worker, request, planned: planned.is_some(), tunnel, tried: None };
    let mut response = match forward.run(step).await {
        Ok(passed) => forward.pass(passed),
        Err(ended) => ended.response(),
    };
    forward.label(response.headers_mut());
    response
}

/// A request under way.
struct Forward {
    worker: Arc<Worker>,
    /// Towards peers; gone once a streamed body is on its way.
    request: Option<Request<Outgoing>>,
    /// Whether it came from lab's load generator, with an id.
    planned: bool,
    /// The client's side of a tunnel, if it asked for one.
    tunnel: Option<OnUpgrade>,
    /// Number of attempts, and the name of the peer tried last.
    tried: Option<(u16, HeaderValue)>,
}

/// A response head that goes to the client, and what its body comes from.
struct Passed {
    response: Response<Incoming>,
    kept: Kept<Connection>,
    in_flight: InFlight,
}

/// Why there is no response of a peer.
enum Ended {
    Refused(Refusal),
    ClientSilent,
    ClientGone,
}

impl Ended {
    fn response(&self) -> Response<Reply> {
        match self {
            Self::Refused(refusal) => refusal::response(*refusal),
            Self::ClientSilent => {
                refusal::plain(StatusCode::REQUEST_TIMEOUT, "the body stopped coming\n")
            }
            Self::ClientGone => refusal::plain(StatusCode::BAD_REQUEST, "the body broke off\n"),
        }
    }
}

impl Forward {
    /// Tries peers, as the machine says, until one has a response for the client.
    async fn run(&mut self, mut step: Step) -> Result<Passed, Ended> {
        loop {
            let in_flight =
                step.resolve().await.map_err(Ended::Refused)?.ok_or(Ended::ClientGone)?;
            self.tried = Some((in_flight.number(), in_flight.endpoint().name_value.clone()));
            step = match self.attempt(&in_flight).await {
                Ok((response, kept)) => match in_flight.head(response.status().as_u16()) {
                    Judged::Pass(in_flight) => return Ok(Passed { response, kept, in_flight }),
                    Judged::Next(step) => step,
                },
                Err(Failure::Ended(outcome)) => in_flight.finished(outcome),
                Err(Failure::Unsent(_)) => in_flight.finished(Outcome::ConnectFailed),
                Err(Failure::ClientSilent) => {
                    let _ = in_flight.finished(Outcome::ClientGone);
                    return Err(Ended::ClientSilent);
                }
                Err(Failure::Spent) => {
                    // The machine was told that this one may not be sent twice, but
                    // `non_idempotent` overrides it. Nothing can be said of this peer.
                    let _ = in_flight.finished(Outcome::ClientGone);
                    let reason = RefusalReason::AttemptFailed;
                    return Err(Ended::Refused(Refusal { reason, status: 502 }));
                }
            };
        }
    }

    /// One attempt, up to the head of its response.
    async fn attempt(
        &mut self,
        in_flight: &InFlight,
    ) -> Result<(Response<Incoming>, Kept<Connection>), Failure> {
        let peer = in_flight.endpoint();
        loop {
            let mut kept = match self.worker.take_idle(peer.id) {
                Some(kept) => kept,
                None => {
                    let opened = Connection::open(peer, self.worker.limits).await;
                    Kept::new(opened.map_err(Failure::Ended)?, peer.id, clock::now())
                }
            };
            let request = self.outgoing(in_flight.number()).ok_or(Failure::Spent)?;
            let reused = kept.reused();
            match kept.connection.exchange(request, reused).await {
                Ok(response) if self.switches_unasked(&response) => {
                    return Err(Failure::Ended(Outcome::InvalidHead));
                }
                Ok(response) => return Ok((response, kept)),
                Err(Failure::Unsent(request)) => {
                    self.request.get_or_insert(*request);
                    // Closed while it was idle, and nothing was sent: as if it had not been there.
                    if !reused {
                        return Err(Failure::Ended(Outcome::ConnectFailed));
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// The request to send: a copy if its body is held, else the only one there is.
    fn outgoing(&mut self, number: u16) -> Option<Request<Outgoing>> {
        let request = self.request.as_mut()?;
        if self.planned {
            request.headers_mut().insert(header::LAB_ATTEMPT, HeaderValue::from(number));
        }
        let Some(body) = request.body().again() else { return self.request.take() };
        let mut copy = Request::new(body);
        *copy.method_mut() = request.method().clone();
        *copy.uri_mut() = request.uri().clone();
        *copy.headers_mut() = request.headers().clone();
        Some(copy)
    }

    fn switches_unasked(&self, response: &Response<Incoming>) -> bool {
        response.status() == StatusCode::SWITCHING_PROTOCOLS && self.tunnel.is_none()
    }

    /// Makes the client's response of a peer's.
    fn pass(&mut self, passed: Passed) -> Response<Reply> {
        let Passed { mut response, kept, in_flight } = passed;
        let switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
        header::towards_client(&mut response, switching);
        match self.tunnel.take() {
            Some(client) if switching => {
                upgrade::tunnel(client, kept.connection, in_flight);
                response.map(|_| Reply::Own(None))
            }
            _ => response.map(|body| {
                let worker = Arc::clone(&self.worker);
                Reply::Relayed(Box::new(Relay::new(body, kept, in_flight, worker)))
            }),
        }
    }

    /// Tells lab's load generator who was tried.
    fn label(&self, headers: &mut HeaderMap) {
        if !self.planned {
            return;
        }
        let attempts = self.tried.as_ref().map_or(0, |(attempts, _)| *attempts);
        headers.insert(header::LAB_ATTEMPTS, HeaderValue::from(attempts));
        if let Some((_, name)) = &self.tried {
            headers.insert(header::LAB_UPSTREAM, name.clone());
        }
    }
}

/// The id in `x-lab-id`, if it is a number.
fn planned_id<B>(request: &Request<B>) -> Option<u64> {
    request.headers().get(header::LAB_ID)?.to_str().ok()?.parse().ok()
}

/// NGINX's notion: everything may be sent twice but these.
fn idempotent(method: &Method) -> bool {
    !(*method == Method::POST || *method == Method::PATCH || method.as_str() == "LOCK")
}
