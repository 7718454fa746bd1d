//! A client's connection of HTTP/1: one head after the other is read, each request served before
//! the next, until the client or the proxy has had enough.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::futures::OwnedNotified;

use super::alarm::Alarm;
use super::client::{Client, http1::Connection, http2::Stream};
use super::desk::Desk;
use super::fields::Origin;
use super::forward::{self, Visit};
use super::http2::{self, io::Io};
use super::linger;
use super::listen::Stop;
use super::transport::Transport;
use super::wire::Wire;
use super::worker::Worker;
use crate::host::clock;
use crate::http1::{HeadError, Limits, head_ends};
use crate::units::Nanos;

/// Serves a client; ends when its connection does. `offers_http2`: a client may begin with the
/// preface of HTTP/2, and is served so then (prior knowledge; RFC 9113, 3.3). `place` is held as
/// long.
///
/// The session is in a box and not in the task: what an async function is given is kept twice there.
pub(super) fn serve<P: Send + 'static>(
    transport: Transport,
    origin: Origin,
    worker: Arc<Worker>,
    stop: Arc<Stop>,
    offers_http2: bool,
    place: P,
) -> impl Future<Output = ()> + Send + 'static {
    let mut session = Box::new(Session::new(transport, origin, worker, stop));
    session.offers_http2 = offers_http2;
    session.run(place)
}

/// Serves a client of HTTP/2 that has sent `early` so far.
pub(super) async fn serve_http2(
    transport: Transport,
    early: Vec<u8>,
    origin: Origin,
    worker: Arc<Worker>,
    stop: Arc<Stop>,
) {
    let (origin, edge) = (Arc::new(origin), Arc::clone(&worker.edge));
    let serving_stop = Arc::clone(&stop);
    let serve = move |mut stream: Stream| {
        let (worker, origin) = (Arc::clone(&worker), Arc::clone(&origin));
        let stop = Arc::clone(&serving_stop);
        async move {
            let mut desk = worker.desks.take();
            let visit = Visit { worker: &worker, origin: &origin, is_final: false, stop: &stop };
            let client = Client::Http2(&mut stream);
            let mut alarm = Alarm::default();
            forward::serve(visit, client, &mut desk, &mut alarm, clock::now()).await;
            worker.desks.give_back(desk);
        }
    };
    let io = Io::of_client(transport, early);
    http2::session::serve(io, &edge.client, stop, serve).await;
}

/// What a client does next.
enum Arrival {
    /// A request: its head is in the connection, and had been read then.
    Request(Nanos),
    /// Something that is no request.
    Refused(HeadError),
    /// The preface of HTTP/2.
    Http2,
    /// A part of a head, and then nothing.
    Silent,
    /// Nothing, or nothing for too long, or the proxy ends.
    Over,
}

struct Session {
    connection: Connection,
    origin: Origin,
    worker: Arc<Worker>,
    stop: Arc<Stop>,
    /// Makes sure that there is a wake-up when the proxy ends; whether it does is read at each.
    stopped: Option<Pin<Box<OwnedNotified>>>,
    /// Whether the first step had been taken when that was registered.
    is_draining: bool,
    alarm: Alarm,
    /// Memory, while the connection is busy.
    desk: Option<Box<Desk>>,
    limits: Limits,
    /// How far the input was searched for the end of a head.
    searched: usize,
    /// When the connection became idle, or the head now read began.
    since: Nanos,
    /// What time it is, if that is known.
    now: Nanos,
    /// Whether a head has begun.
    has_begun: bool,
    requests: u32,
    offers_http2: bool,
}

impl Session {
    async fn run<P>(mut self: Box<Self>, place: P) {
        loop {
            match poll_fn(|context| self.poll_arrival(context)).await {
                Arrival::Request(began) => {
                    if !self.serve_one(began).await {
                        break;
                    }
                }
                Arrival::Refused(error) => {
                    self.refuse(error.status(), &format!("{error}\n")).await;
                    break;
                }
                Arrival::Silent => {
                    self.refuse(408, "the head did not come in time\n").await;
                    break;
                }
                // In a box, so that a connection of HTTP/1 has no room for it.
                Arrival::Http2 => return Box::pin(self.into_http2()).await,
                Arrival::Over => return drop(place),
            }
        }
        linger::close(&mut self.connection, &mut self.alarm).await;
        drop((self, place));
    }

    fn new(transport: Transport, origin: Origin, worker: Arc<Worker>, stop: Arc<Stop>) -> Self {
        let head = worker.edge.client.header_max.0;
        Self {
            connection: Connection::new(Wire::new(transport)),
            origin,
            worker,
            stop,
            stopped: None,
            is_draining: false,
            alarm: Alarm::default(),
            desk: None,
            limits: Limits::new(usize::try_from(head).unwrap_or(usize::MAX)),
            searched: 0,
            since: clock::now(),
            now: Nanos::ZERO,
            has_begun: false,
            requests: 0,
            offers_http2: false,
        }
    }

    /// Waits for a head.
    fn poll_arrival(&mut self, context: &mut Context<'_>) -> Poll<Arrival> {
        // Right behind a request the time is known.
        let now = match std::mem::replace(&mut self.now, Nanos::ZERO) {
            Nanos::ZERO => clock::now(),
            now => now,
        };
        loop {
            if self.connection.wire.input.is_empty() {
                self.leave_desk();
                if self.is_told_to_end(context) {
                    return Poll::Ready(Arrival::Over);
                }
                if self.connection.wire.transport.poll_readable(context).is_pending() {
                    return self.poll_idle(context, now);
                }
                self.take_desk();
            } else if let Some(arrival) = self.read_head(now) {
                return Poll::Ready(arrival);
            }
            let most = self.limits.head + super::buffer::INPUT;
            match self.connection.wire.poll_fill(context, most) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Arrival::Over),
                Poll::Pending if self.connection.wire.input.is_empty() => {
                    // It only seemed readable.
                    return self.poll_idle(context, now);
                }
                Poll::Pending => {
                    let deadline = self.since + self.worker.edge.client.header_timeout;
                    ready!(self.alarm.poll(context, now, deadline));
                    return Poll::Ready(Arrival::Silent);
                }
            }
        }
    }

    /// Waits for the end of the time that a client may be idle.
    fn poll_idle(&mut self, context: &mut Context<'_>, now: Nanos) -> Poll<Arrival> {
        let deadline = self.since + self.worker.edge.client.idle_timeout;
        self.alarm.poll(context, now, deadline).map(|()| Arrival::Over)
    }

    /// Reads the head at the start of the input, if it is whole.
    fn read_head(&mut self, now: Nanos) -> Option<Arrival> {
        let wire = &mut self.connection.wire;
        let input = wire.input.filled();
        if self.has_begun {
            // So that a head that comes byte by byte is not read again for each.
            if !head_ends(input, &mut self.searched) && input.len() <= self.limits.head {
                return None;
            }
        } else {
            (self.has_begun, self.searched, self.since) = (true, 0, now);
        }
        match self.connection.head.read(input, &self.limits) {
            Ok(None) => None,
            Ok(Some(length)) => {
                wire.input.consume(length);
                wire.read_body(self.connection.head.framing());
                self.has_begun = false;
                Some(Arrival::Request(now))
            }
            // To HTTP/1 the preface is a request of an unknown version: nobody pays for the look.
            Err(HeadError::Version) if self.offers_http2 && input.starts_with(http2::MAGIC) => {
                Some(Arrival::Http2)
            }
            Err(error) => Some(Arrival::Refused(error)),
        }
    }

    /// Goes on with HTTP/2, if that is how the connection begins.
    async fn into_http2(mut self) {
        if self.requests > 0 {
            return;
        }
        let early = self.connection.wire.input.filled().to_vec();
        self.connection.wire.input.consume(early.len());
        self.leave_desk();
        let Self { connection, origin, worker, stop, .. } = self;
        serve_http2(connection.wire.transport, early, origin, worker, stop).await;
    }

    /// Serves the request that has arrived; whether another may follow.
    async fn serve_one(&mut self, began: Nanos) -> bool {
        self.requests += 1;
        let last = self.worker.edge.client.requests_per_connection;
        let visit = Visit {
            worker: &self.worker,
            origin: &self.origin,
            is_final: self.requests >= last,
            stop: &self.stop,
        };
        let client = Client::Http1(&mut self.connection);
        let Some(desk) = &mut self.desk else { unreachable!("a head was read on a desk") };
        self.since = forward::serve(visit, client, desk, &mut self.alarm, began).await;
        self.now = self.since;
        !self.connection.closing && self.connection.wire.is_read()
    }

    /// Answers what is no request.
    async fn refuse(&mut self, status: u16, text: &str) {
        linger::answer(&mut self.connection, &mut self.alarm, status, text).await;
        self.connection.closing = true;
    }

    fn take_desk(&mut self) {
        if self.desk.is_none() {
            let mut desk = self.worker.desks.take();
            desk.client.lend(&mut self.connection.wire);
            std::mem::swap(&mut desk.request, &mut self.connection.head);
            self.desk = Some(desk);
        }
    }

    fn leave_desk(&mut self) {
        if let Some(mut desk) = self.desk.take() {
            desk.client.take_back(&mut self.connection.wire);
            std::mem::swap(&mut desk.request, &mut self.connection.head);
            self.worker.desks.give_back(desk);
        }
    }

    /// Whether idle connections are to be closed; if not, the task is woken when that changes.
    fn is_told_to_end(&mut self, context: &mut Context<'_>) -> bool {
        loop {
            // A task's waker stays the same, so that one registration is enough, up to the first
            // of the two steps in which the proxy ends.
            let is_draining = self.stop.is_draining();
            if self.stopped.is_none() || is_draining != self.is_draining {
                self.is_draining = is_draining;
                let stopped = self.stopped.insert(Box::pin(self.stop.notified()));
                if stopped.as_mut().poll(context).is_ready() {
                    self.stopped = None;
                    continue;
                }
            }
            return self.stop.is_told();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 10,000 idle clients take 10,000 times this, and a little more around each task.
    #[test]
    fn an_idle_session_is_small() {
        fn size<F>(_: fn(Box<Session>, Arc<()>) -> F) -> usize {
            size_of::<F>()
        }
        let (task, session) = (size(Session::run::<Arc<()>>), size_of::<Session>());
        assert!(task + session <= 2048, "{task} and {session} bytes");
    }
}
