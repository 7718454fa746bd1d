//! One request, from its head to the last byte of its response: admitted by the [`driver`], tried
//! at one peer after the other as that says ([`attempt`]), answered by [`relay`] or, without a peer's response,
//! by the proxy itself.
//!
//! [`attempt`]: super::attempt
//! [`driver`]: super::driver
//! [`relay`]: super::relay

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use super::account::Exchange;
use super::affinity;
use super::alarm::Alarm;
use super::attempt::Failure;
use super::client::Client;
use super::desk::Desk;
use super::driver::Step;
use super::endpoint::Endpoint;
use super::fields::Origin;
use super::halt::Halt;
use super::hedge::Raced;
use super::in_flight::{InFlight, Judged};
use super::listen::Stop;
use super::peer::Peer;
use super::pool::Kept;
use super::upload::{KEPT_MAX, Upload};
use super::worker::Worker;
use crate::host::clock;
use crate::http1::{Framing, Name};
use crate::policy::{Outcome, RequestFacts};
use crate::units::{Nanos, Span};

/// What all requests of a client's connection have in common.
pub(super) struct Visit<'a> {
    pub(super) worker: &'a Arc<Worker>,
    pub(super) origin: &'a Origin,
    /// This is the connection's last request.
    pub(super) is_final: bool,
    pub(super) stop: &'a Stop,
}

impl Visit<'_> {
    /// Whether the response says that the connection will be closed: asked when its head is
    /// written, since the proxy may begin to end meanwhile.
    pub(super) fn is_last(&self) -> bool {
        self.is_final || self.stop.is_draining()
    }
}

/// A request under way.
pub(super) struct Forward<'a> {
    pub(super) visit: Visit<'a>,
    pub(super) client: Client<'a>,
    pub(super) desk: &'a mut Desk,
    pub(super) alarm: &'a mut Alarm,
    pub(super) upload: Upload,
    /// Its id in lab's plan, if it came from lab's load generator.
    planned: Option<u64>,
    pub(super) is_upgrade: bool,
    /// When its head had been read.
    pub(super) began: Nanos,
    /// When the task was last woken: the clock is read once for each.
    pub(super) now: Nanos,
    /// It must have ended by then.
    pub(super) deadline: Nanos,
    /// The peer tried last, and the number of that attempt.
    pub(super) tried: Option<(u16, Arc<Endpoint>)>,
    pub(super) progress: Progress,
    /// A line for the response: the cookie of a session that moved.
    pub(super) cookie: Option<String>,
    /// What the response comes from, until all of it has come.
    pub(super) source: Option<(Kept<Peer>, InFlight)>,
    /// Interim responses of the attempt.
    pub(super) interims: u32,
}

/// What is counted and logged of a request.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Of the response that was begun; 0 before.
    pub(super) status: u16,
    pub(super) is_complete: bool,
    pub(super) connect: Option<Span>,
    pub(super) first_byte: Option<Span>,
    pub(super) bytes_out: u64,
}

/// Serves the request whose head `client` has; `began` is when that had been read. When it ended.
pub(super) async fn serve(
    visit: Visit<'_>,
    client: Client<'_>,
    desk: &mut Desk,
    alarm: &mut Alarm,
    began: Nanos,
) -> Nanos {
    let mut forward = Forward::new(visit, client, desk, alarm, began);
    if let Err(halt) = forward.run().await {
        forward.answer(halt).await;
    }
    forward.close()
}

impl<'a> Forward<'a> {
    fn new(
        visit: Visit<'a>,
        client: Client<'a>,
        desk: &'a mut Desk,
        alarm: &'a mut Alarm,
        began: Nanos,
    ) -> Self {
        let facts = &visit.worker.edge.client;
        let head = client.head();
        let limit = facts.body_max.map_or(u64::MAX, |limit| limit.0);
        let upload = Upload::new(head.framing(), limit, std::mem::take(&mut desk.body));
        let deadline = facts.request_timeout.map_or(Nanos::MAX, |limit| began + limit);
        let planned = head.fields().all(Name::LabId).next().and_then(number);
        let is_upgrade = head.upgrades();
        let (tried, progress) = (None, Progress::default());
        Self {
            visit,
            client,
            desk,
            alarm,
            upload,
            planned,
            is_upgrade,
            began,
            now: began,
            deadline,
            tried,
            progress,
            cookie: None,
            source: None,
            interims: 0,
        }
    }

    /// Tries peers, as the machine says, until one has a response for the client.
    async fn run(&mut self) -> Result<(), Halt> {
        self.admit_body().await?;
        let worker = Arc::clone(self.visit.worker);
        let facts = RequestFacts {
            id: self.planned.unwrap_or_else(|| worker.unplanned_id()),
            key: self.key(&worker),
            idempotent: is_idempotent(self.client.head().method()),
        };
        let affinity = worker.driver.affinity();
        let shown = affinity.and_then(|a| affinity::shown(a, self.client.head().fields()));
        let mut step = worker.driver.admit(self.now, facts, shown);
        loop {
            let mut in_flight = match step {
                Step::Go(in_flight) => in_flight,
                step => {
                    let resolved = self.attend(self.deadline, Box::pin(step.resolve())).await?;
                    let resolved = resolved.ok_or(Halt::TooLate)?.map_err(Halt::Refused)?;
                    resolved.ok_or(Halt::ClientGone)?
                }
            };
            self.tried = Some((in_flight.number(), Arc::clone(in_flight.endpoint())));
            let tried = if worker.driver.hedges() && self.upload.is_held() && !self.is_upgrade {
                // In a box of its own: few requests are ever hedged, and all would make room for it.
                match Box::pin(self.race(in_flight)).await {
                    Raced::Won(kept, winner) => {
                        self.cookie = winner.cookie(shown);
                        self.source = Some((kept, winner));
                        break;
                    }
                    Raced::Alone(left, tried) => {
                        in_flight = left;
                        tried
                    }
                }
            } else {
                self.attempt(&mut in_flight).await
            };
            step = match tried {
                Ok(kept) => match in_flight.head(self.now, self.desk.response.status()) {
                    Judged::Pass(in_flight) => {
                        if affinity.is_some() {
                            self.cookie = in_flight.cookie(shown);
                        }
                        self.source = Some((kept, in_flight));
                        break;
                    }
                    Judged::Next(step) => step,
                },
                Err(Failure::Ended(outcome)) => in_flight.finished(outcome),
                Err(Failure::Unprocessed) => in_flight.finished(Outcome::Closed { reused: true }),
                Err(Failure::Halt(halt)) => {
                    let _ = in_flight.finished(Outcome::ClientGone);
                    return Err(halt);
                }
            };
        }
        self.relay().await;
        Ok(())
    }

    /// What the algorithm hashes of the request, if it hashes.
    fn key(&self, worker: &Worker) -> u64 {
        let Some(keys) = &worker.keys else { return 0 };
        let head = self.client.head();
        keys.digest(head, || self.visit.origin.client(&worker.edge.forward, head))
    }

    /// Refuses what is known to be too much or of no use; reads a small body, so that a slow client
    /// occupies no peer. One that the client sends only when told to is left where it is.
    async fn admit_body(&mut self) -> Result<(), Halt> {
        let head = self.client.head();
        if matches!(head.method(), b"CONNECT" | b"TRACE") {
            return Err(Halt::Method);
        }
        let Framing::Length(length) = head.framing() else { return Ok(()) };
        let facts = &self.visit.worker.edge.client;
        if facts.body_max.is_some_and(|limit| length > limit.0) {
            return Err(Halt::TooLarge);
        }
        if length > KEPT_MAX as u64 || head.expects_continue() {
            return Ok(());
        }
        let limit = facts.body_timeout;
        self.upload.begin(self.began);
        poll_fn(|context| {
            let now = self.wake();
            if let Poll::Ready(read) = self.upload.poll_keep(context, &mut self.client, now) {
                return Poll::Ready(read);
            }
            let deadline = (self.upload.moved + limit).min(self.deadline);
            self.alarm.poll(context, now, deadline).map(|()| Err(Halt::ClientSilent))
        })
        .await
    }

    /// Waits for something as long as the client is there; `None` at the deadline.
    pub(super) async fn attend<F: Future>(
        &mut self,
        deadline: Nanos,
        future: F,
    ) -> Result<Option<F::Output>, Halt> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(Some(output)));
            }
            if self.client.poll_gone(context).is_ready() {
                return Poll::Ready(Err(Halt::ClientGone));
            }
            self.now = clock::now();
            self.alarm.poll(context, self.now, deadline).map(|()| Ok(None))
        })
        .await
    }

    /// The task was woken: what time it is.
    pub(super) fn wake(&mut self) -> Nanos {
        self.now = clock::now();
        self.now
    }

    /// The request has ended, however it did: it is counted and logged. When that was.
    fn close(&mut self) -> Nanos {
        let ended = self.wake();
        let upload = std::mem::take(&mut self.upload);
        let (head, progress) = (self.client.head(), &self.progress);
        let account = &self.visit.worker.account;
        let logged = |name: &[u8]| account.log.as_ref().and_then(|_| head.fields().named(name));
        account.close(&Exchange {
            client: self.visit.origin.address,
            protocol: self.client.protocol(),
            method: head.method(),
            path: head.target(),
            status: progress.status,
            complete: progress.is_complete,
            started: self.began,
            ended,
            connect: progress.connect,
            first_byte: progress.first_byte,
            bytes_in: upload.length,
            bytes_out: progress.bytes_out,
            upstream: self.tried.as_ref().map(|(_, peer)| peer.name.as_str()),
            attempts: self.tried.as_ref().map_or(0, |(number, _)| *number),
            request_id: logged(b"x-request-id").or_else(|| logged(b"x-lab-id")),
            traceparent: logged(b"traceparent"),
        });
        self.desk.body = upload.into_memory();
        ended
    }

    /// Whether the request has an id of lab's plan, so that its answer says who was tried.
    pub(super) const fn is_planned(&self) -> bool {
        self.planned.is_some()
    }
}

fn number(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// NGINX's notion: everything may be sent twice but these.
fn is_idempotent(method: &[u8]) -> bool {
    !matches!(method, b"POST" | b"PATCH" | b"LOCK")
}
