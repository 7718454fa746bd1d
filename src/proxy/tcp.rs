//! A listener of layer 4: each connection of a client goes to a peer as it is. The decision core
//! picks as for a request; a peer that cannot be reached is followed by the next, and a connection
//! counts as in flight at its peer until it ends.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::ReadBuf;

use super::account::Exchange;
use super::alarm::Alarm;
use super::arrival::Arrival;
use super::count::Protocol;
use super::endpoint::Endpoint;
use super::in_flight::InFlight;
use super::transport::Transport;
use super::worker::Worker;
use crate::host::clock;
use crate::policy::{Outcome, RequestFacts};
use crate::units::{Nanos, Span};

/// Bytes read at once in each direction.
const CHUNK: usize = 16 << 10;

/// Serves one client until both sides have said all, or neither says anything for too long.
pub(super) async fn serve(arrival: Arrival, worker: Arc<Worker>) {
    let started = clock::now();
    let Arrival { transport: client, client: address, local, .. } = arrival;
    let mut visit = Visit { worker, address, local, upstream: None, attempts: 0, connect: None };
    let Some((peer, in_flight)) = visit.reach().await else {
        return visit.close(started, Ended { up: 0, down: 0, complete: false });
    };
    client.send_at_once();
    peer.send_at_once();
    let mut relay = Relay::new(client, peer, visit.worker.edge.client.idle_timeout);
    let complete = poll_fn(|context| relay.poll(context)).await.is_ok();
    drop(in_flight.finished(Outcome::Responded));
    visit.close(started, Ended { up: relay.up.passed, down: relay.down.passed, complete });
}

/// A connection under way.
struct Visit {
    worker: Arc<Worker>,
    address: SocketAddr,
    /// Where the client wanted to go.
    local: SocketAddr,
    upstream: Option<Arc<Endpoint>>,
    attempts: u16,
    connect: Option<Span>,
}

struct Ended {
    up: u64,
    down: u64,
    complete: bool,
}

impl Visit {
    /// Connects to a peer, trying others as the machine says.
    async fn reach(&mut self) -> Option<(Transport, InFlight)> {
        let facts = RequestFacts {
            id: self.worker.unplanned_id(),
            key: self.worker.keys.as_ref().map_or(0, |key| key.of_client(self.address.ip())),
            // Nothing was sent that a second attempt could repeat.
            idempotent: true,
        };
        let mut step = self.worker.driver.admit(clock::now(), facts, None);
        loop {
            let in_flight = step.resolve().await.ok()??;
            self.attempts = in_flight.number();
            self.upstream = Some(Arc::clone(in_flight.endpoint()));
            let begun = clock::now();
            step = match self.connect(in_flight.endpoint()).await {
                Ok(stream) => {
                    let took = clock::elapsed(begun);
                    self.connect = Some(took);
                    let counters = &self.worker.account.counters;
                    counters.peer_opened.add(1);
                    counters.connect_time.record(took);
                    return Some((stream, in_flight));
                }
                Err(outcome) => in_flight.finished(outcome),
            };
        }
    }

    async fn connect(&self, peer: &Endpoint) -> Result<Transport, Outcome> {
        let limit = self.worker.limits.connect_timeout.to_std();
        let connecting = self.worker.connector.open(peer, Some((self.address, self.local)));
        tokio::time::timeout(limit, connecting).await.unwrap_or(Err(Outcome::ConnectTimedOut))
    }

    fn close(&self, started: Nanos, ended: Ended) {
        self.worker.account.close(&Exchange {
            client: self.address,
            protocol: Protocol::Tcp,
            method: b"",
            path: b"",
            status: 0,
            complete: ended.complete,
            started,
            ended: clock::now(),
            connect: self.connect,
            first_byte: None,
            bytes_in: ended.up,
            bytes_out: ended.down,
            upstream: self.upstream.as_ref().map(|peer| peer.name.as_str()),
            attempts: self.attempts,
            request_id: None,
            traceparent: None,
        });
    }
}

/// Both directions of a connection. The end of one is passed on as such and the other goes on.
struct Relay {
    client: Transport,
    peer: Transport,
    up: Direction,
    down: Direction,
    /// Longest time without a byte in either direction.
    idle: Span,
    since: Nanos,
    alarm: Alarm,
}

/// Bytes on their way in one direction.
#[derive(Default)]
struct Direction {
    /// Given back while nothing is on its way, so that an idle connection holds none.
    buffer: Vec<u8>,
    sent: usize,
    passed: u64,
    state: Flow,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Flow {
    #[default]
    Open,
    /// The source has ended; the other side is yet to be told.
    Ending,
    Ended,
}

impl Relay {
    fn new(client: Transport, peer: Transport, idle: Span) -> Self {
        Self {
            client,
            peer,
            up: Direction::default(),
            down: Direction::default(),
            idle,
            since: clock::now(),
            alarm: Alarm::default(),
        }
    }

    /// Ready when both directions have ended, when one has broken, or when it was quiet too long.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let before = self.up.passed + self.down.passed;
        let up = self.up.poll(context, &mut self.client, &mut self.peer)?;
        let down = self.down.poll(context, &mut self.peer, &mut self.client)?;
        if up.is_ready() && down.is_ready() {
            return Poll::Ready(Ok(()));
        }
        let now = clock::now();
        if self.up.passed + self.down.passed != before {
            self.since = now;
        }
        ready!(self.alarm.poll(context, now, self.since + self.idle));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl Direction {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        from: &mut Transport,
        to: &mut Transport,
    ) -> Poll<io::Result<()>> {
        loop {
            while self.sent < self.buffer.len() {
                let rest = &self.buffer[self.sent..];
                let count = ready!(to.poll_write(context, [rest, &[]]))?;
                self.sent += count;
                self.passed += count as u64;
            }
            if self.sent > 0 {
                ready!(to.poll_flush(context))?;
            }
            self.sent = 0;
            self.buffer.clear();
            match self.state {
                Flow::Open => {
                    let waits = from.poll_readable(context).is_pending();
                    if waits {
                        self.buffer = Vec::new();
                        return Poll::Pending;
                    }
                    ready!(self.read(context, from))?;
                    if self.buffer.is_empty() {
                        self.state = Flow::Ending;
                    }
                }
                Flow::Ending => {
                    // The other side may have gone already, which is no news.
                    drop(ready!(to.poll_shutdown(context)));
                    self.buffer = Vec::new();
                    self.state = Flow::Ended;
                }
                Flow::Ended => return Poll::Ready(Ok(())),
            }
        }
    }

    fn read(&mut self, context: &mut Context<'_>, from: &mut Transport) -> Poll<io::Result<()>> {
        self.buffer.resize(CHUNK, 0);
        let mut space = ReadBuf::new(&mut self.buffer);
        let read = from.poll_read(context, &mut space);
        let count = space.filled().len();
        self.buffer.truncate(count);
        read
    }
}
