//! Sends single requests and accounts for each, whatever becomes of it.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot, watch};

use super::config::{LoadConfig, LoadError, Share};
use super::connection::{Answer, Connection, Progress};
use super::head::LabHeaders;
use super::jar::Jar;
use super::ledger::Ledger;
use super::pool::{Lease, Pool, Route, Taken};
use super::rules;
use super::target::Template;
use super::transport::{Carried, Transport};
use super::wire::Dialer;
use crate::host::clock;
use crate::record::{RequestError, RequestRow};
use crate::scenario::HashKey;
use crate::traffic::{ClientConfig, Request};
use crate::units::{Nanos, Seed, Span, World};

/// A request of a closed loop that ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) id: u64,
    pub(super) at: Nanos,
}

/// The client: its connections, its rules, and its books.
#[derive(Debug)]
pub(super) struct Generator {
    dialers: Vec<Dialer>,
    /// `None` for HTTP/1.1.
    transport: Option<Transport>,
    /// By class, its target; empty: it is drawn.
    class_targets: Vec<usize>,
    server_header: Option<String>,
    share: Share,
    most_requests: u64,
    /// By target, then class.
    templates: Vec<Vec<Template>>,
    client: ClientConfig,
    /// Each key is a client with an address of its own.
    by_address: bool,
    seed: Seed,
    replication: u32,
    zero: Nanos,
    pool: Arc<Pool>,
    ledger: Mutex<Ledger>,
    /// Cookies by session, if requests have keys.
    jar: Option<Jar>,
    ended: Option<UnboundedSender<Ended>>,
    quiet: Notify,
    give_up: watch::Sender<bool>,
    /// Requests sent twice.
    resent: AtomicU64,
}

/// A request under way.
#[derive(Debug)]
struct Flight {
    row: RequestRow,
    due: Nanos,
    began: Nanos,
    route: Route,
    no_body: bool,
    idempotent: bool,
    bytes: Vec<u8>,
    /// A long body, which follows them.
    apart: Bytes,
    /// Its key.
    session: u64,
}

impl Flight {
    /// Whether a connection that broke was no answer to it (RFC 9110, 9.2.2; RFC 9112, 9.3.1): it
    /// was a kept one, no byte of a response came, and either nothing was sent or it may be done
    /// twice.
    fn may_be_sent_again(&self, lease: &Lease, unsent: bool) -> bool {
        let reused = lease.connection.as_ref().is_some_and(|one| one.carried > 1);
        reused && self.row.first_byte_ns == 0 && (unsent || self.idempotent)
    }
}

/// How it gets its connection, and how much was written to it at once.
enum Start {
    Sent(Lease, io::Result<usize>),
    Connect(Lease),
    Wait(oneshot::Receiver<Lease>),
    /// By the transport.
    Carried,
}

impl Generator {
    pub(super) fn new(
        config: &LoadConfig,
        ledger: Ledger,
        ended: Option<UnboundedSender<Ended>>,
    ) -> Result<Arc<Self>, LoadError> {
        let classes = &config.traffic.classes;
        let templates = config
            .targets
            .iter()
            .map(|target| {
                let template =
                    |class| Template::new(target, class, config.hash_key.as_ref(), &config.extras);
                classes.iter().map(template).collect()
            })
            .collect();
        Ok(Arc::new(Self {
            dialers: Dialer::all(config)?,
            transport: Transport::new(config)?,
            class_targets: config.extras.class_targets.clone(),
            server_header: config.extras.server_header.clone(),
            share: config.extras.share,
            most_requests: config.extras.requests.unwrap_or(u64::MAX),
            templates,
            client: config.traffic.client,
            seed: config.seed,
            replication: config.replication,
            zero: config.zero,
            by_address: config.hash_key == Some(HashKey::Client),
            pool: Pool::new(&config.traffic.client),
            ledger: Mutex::new(ledger),
            jar: config.traffic.keys.map(|_| Jar::default()),
            ended,
            quiet: Notify::new(),
            give_up: watch::Sender::new(false),
            resent: AtomicU64::new(0),
        }))
    }

    /// Which part of the plan is sent.
    pub(super) const fn share(&self) -> Share {
        self.share
    }

    /// How many requests all shares together send at most.
    pub(super) const fn most_requests(&self) -> u64 {
        self.most_requests
    }

    /// An instant of the plan on the host's clock.
    pub(super) fn instant(&self, at: Nanos) -> Nanos {
        self.zero + Span(at.0)
    }

    pub(super) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.ledger().rows.failure.is_some()
    }

    pub(super) fn connections_opened(&self) -> u64 {
        self.pool.opened() + self.transport.as_ref().map_or(0, Transport::opened)
    }

    pub(super) fn resent(&self) -> u64 {
        let carried = self.transport.as_ref().map_or(0, Transport::resent);
        self.resent.load(Ordering::Relaxed) + carried
    }

    /// Returns when nothing is in flight.
    pub(super) async fn drained(&self) {
        loop {
            let quiet = self.quiet.notified();
            if self.ledger().tally.in_flight() == 0 {
                return;
            }
            quiet.await;
        }
    }

    /// Ends what is in flight as interrupted.
    pub(super) fn give_up(&self) {
        self.give_up.send_replace(true);
    }

    /// Sends `request` now, which was due at `due`. On a kept-alive connection it is written
    /// before this returns.
    pub(super) fn launch(self: &Arc<Self>, request: &Request, due: Nanos) {
        let now = clock::now();
        let mut row = self.row(request, due);
        if !self.admit(due, now) {
            row.error = RequestError::Dropped;
            row.finished_ns = self.relative(due + self.client.timeout);
            self.settle(&row, now);
            return;
        }
        let target = self.target_of(request);
        let template = &self.templates[target][usize::from(request.class)];
        let cookies = |out: &mut Vec<u8>| {
            if let Some(jar) = &self.jar {
                jar.write(now, request.key, out);
            }
        };
        let (bytes, no_body) = (template.bytes(request, cookies), template.is_head);
        let (idempotent, apart) = (template.is_idempotent, template.apart());
        let route = Route { target, client: if self.by_address { request.key } else { 0 } };
        let session = request.key;
        let mut flight =
            Flight { row, due, began: now, route, no_body, idempotent, bytes, apart, session };
        let start = self.start(&mut flight);
        let generator = Arc::clone(self);
        tokio::spawn(async move { generator.carry(flight, start).await });
    }

    /// Counts it as due, and as in flight unless the cap is reached.
    fn admit(&self, due: Nanos, now: Nanos) -> bool {
        let tally = &mut self.ledger().tally;
        tally.due(self.zero, due, now);
        let cap = u64::from(self.client.in_flight_cap);
        let admitted = cap == 0 || tally.in_flight() < cap;
        if admitted {
            tally.began(now);
        }
        admitted
    }

    /// The server it reaches: its class's, or a draw.
    fn target_of(&self, request: &Request) -> usize {
        if let Some(&target) = self.class_targets.get(usize::from(request.class)) {
            return target;
        }
        rules::drawn_target(self.seed, request.id, self.dialers.len())
    }

    fn start(&self, flight: &mut Flight) -> Start {
        if self.transport.is_some() {
            return Start::Carried;
        }
        match self.pool.take(flight.route) {
            Taken::Wait(lease) => Start::Wait(lease),
            Taken::Lease(mut lease) => match &mut lease.connection {
                None => {
                    flight.row.sent_ns = self.relative(flight.began);
                    Start::Connect(lease)
                }
                Some(connection) => {
                    let now = self.relative(clock::now());
                    (flight.row.sent_ns, flight.row.connected_ns) = (now, now);
                    let sent = connection.try_send(&flight.bytes);
                    Start::Sent(lease, sent)
                }
            },
        }
    }

    /// Carries a request to its end: its answer, its time-out, or the end of the run.
    async fn carry(self: Arc<Self>, mut flight: Flight, start: Start) {
        let mut give_up = self.give_up.subscribe();
        let deadline = flight.due + self.client.timeout;
        let patience = deadline.since(clock::now()).to_std();
        let outcome = tokio::select! {
            biased;
            outcome = self.exchange(&mut flight, start) => outcome,
            () = tokio::time::sleep(patience) => Err(RequestError::Timeout),
            _ = give_up.wait_for(|&give_up| give_up) => Err(RequestError::Interrupted),
        };
        self.conclude(flight, outcome, deadline);
    }

    /// Sends it and reads the answer. Where the server closes a kept connection just when a request
    /// is written to it (idle for too long, or told to reload), it is sent again on a new one, as
    /// every client does.
    async fn exchange(&self, flight: &mut Flight, start: Start) -> Result<Answer, RequestError> {
        if let Some(transport) = &self.transport {
            return self.carried_by(transport, flight).await;
        }
        let (mut lease, written) = self.sent(flight, start).await?;
        let unsent = written.is_err();
        let mut outcome = self.converse(flight, &mut lease, written).await;
        if matches!(outcome, Err(RequestError::Reset)) && flight.may_be_sent_again(&lease, unsent) {
            self.resent.fetch_add(1, Ordering::Relaxed);
            lease.connection = None;
            let (again, written) = self.connect(flight, lease).await?;
            lease = again;
            outcome = self.converse(flight, &mut lease, written).await;
        }
        let answer = outcome?;
        if answer.keep_alive {
            lease.keep();
        }
        Ok(answer)
    }

    async fn carried_by(
        &self,
        transport: &Transport,
        flight: &mut Flight,
    ) -> Result<Answer, RequestError> {
        let carried = Carried {
            id: flight.row.id,
            target: flight.route.target,
            bytes: &flight.bytes,
            apart: &flight.apart,
            server_header: self.server_header.as_deref(),
        };
        let session = flight.session;
        let mut phases = Phases { row: &mut flight.row, generator: self, session };
        transport.exchange(&carried, &mut phases).await
    }

    /// Its connection, and how much of it was written there at once.
    async fn sent(
        &self,
        flight: &mut Flight,
        start: Start,
    ) -> Result<(Lease, io::Result<usize>), RequestError> {
        let mut lease = match start {
            Start::Sent(lease, sent) => return Ok((lease, sent)),
            Start::Connect(lease) => return self.connect(flight, lease).await,
            Start::Carried => return Err(RequestError::Connect),
            // The sender is gone only if the pool is.
            Start::Wait(lease) => lease.await.map_err(|_| RequestError::Connect)?,
        };
        flight.row.sent_ns = self.relative(clock::now());
        let Some(connection) = &mut lease.connection else {
            return self.connect(flight, lease).await;
        };
        flight.row.connected_ns = flight.row.sent_ns;
        let sent = connection.try_send(&flight.bytes);
        Ok((lease, sent))
    }

    async fn connect(
        &self,
        flight: &mut Flight,
        mut lease: Lease,
    ) -> Result<(Lease, io::Result<usize>), RequestError> {
        let dialer = &self.dialers[flight.route.target];
        let client = flight.route.client;
        let connection =
            Connection::open(dialer, client).await.map_err(|_| RequestError::Connect)?;
        flight.row.connected_ns = self.relative(clock::now());
        let sent = lease.opened(connection).try_send(&flight.bytes);
        Ok((lease, sent))
    }

    async fn converse(
        &self,
        flight: &mut Flight,
        lease: &mut Lease,
        written: io::Result<usize>,
    ) -> Result<Answer, RequestError> {
        let written = written.map_err(|_| RequestError::Reset)?;
        let connection = lease.connection.as_mut().ok_or(RequestError::Connect)?;
        let mut sent = Ok(());
        for rest in [&flight.bytes[written..], &flight.apart[..]] {
            if sent.is_ok() && !rest.is_empty() {
                sent = connection.send(rest).await;
            }
        }
        let session = flight.session;
        let phases = Phases { row: &mut flight.row, generator: self, session };
        let server_header = self.server_header.as_deref();
        // A server that does not want the rest may have said so.
        let mut answer = connection.receive(flight.no_body, server_header, phases).await?;
        answer.keep_alive &= sent.is_ok();
        Ok(answer)
    }

    fn conclude(&self, mut flight: Flight, outcome: Result<Answer, RequestError>, deadline: Nanos) {
        let now = clock::now();
        let row = &mut flight.row;
        let finished = match outcome {
            Ok(answer) => {
                row.status = answer.status;
                row.bytes = answer.bytes;
                answer.finished
            }
            Err(error) => {
                row.error = error;
                rules::failed_at(error, now, deadline)
            }
        };
        row.finished_ns = self.relative(finished);
        self.ledger().tally.ended(flight.began, now);
        self.settle(&flight.row, now);
        self.quiet.notify_waiters();
    }

    /// Puts a row into the books, and lets its user go on.
    fn settle(&self, row: &RequestRow, now: Nanos) {
        self.ledger().write(row, now);
        if let Some(ended) = &self.ended {
            let _ = ended.send(Ended { id: row.id, at: self.instant(Nanos(row.finished_ns)) });
        }
    }

    fn relative(&self, at: Nanos) -> u64 {
        at.since(self.zero).0
    }

    fn row(&self, request: &Request, due: Nanos) -> RequestRow {
        RequestRow {
            world: World::Live,
            replication: self.replication,
            id: request.id,
            class: request.class,
            scheduled_ns: self.relative(due),
            ..RequestRow::BLANK
        }
    }
}

/// Writes into the row what is known of a response so far.
struct Phases<'a> {
    row: &'a mut RequestRow,
    generator: &'a Generator,
    session: u64,
}

impl Progress for Phases<'_> {
    fn sent(&mut self, at: Nanos) {
        self.row.sent_ns = self.generator.relative(at);
    }

    fn connected(&mut self, at: Nanos) {
        self.row.connected_ns = self.generator.relative(at).max(self.row.sent_ns);
    }

    fn first_byte(&mut self, at: Nanos) {
        self.row.first_byte_ns = self.generator.relative(at);
    }

    fn head(&mut self, lab: LabHeaders<'_>) {
        rules::note(self.row, &lab);
        if let (Some(jar), Some(cookie)) = (&self.generator.jar, lab.set_cookie) {
            jar.keep(clock::now(), self.session, cookie);
        }
        if let Some(name) = lab.server() {
            self.row.upstream = self.generator.ledger().servers.index(name);
        }
    }
}
