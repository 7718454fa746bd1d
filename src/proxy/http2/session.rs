//! A client's connection of HTTP/2: its streams become requests, each served by a task of its own.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response, StatusCode};
use tokio::sync::futures::OwnedNotified;

use super::io::{Io, Watch};
use super::{CONNECTION_WINDOW, SEND_BUFFER, STREAM_WINDOW};
use crate::host::clock;
use crate::http1::{HeadError, Limits};
use crate::proxy::alarm::Alarm;
use crate::proxy::client::http2::Stream;
use crate::proxy::listen::Stop;
use crate::scenario::edge::ClientFacts;
use crate::units::{Nanos, Span};

/// A connection that is to end gets so long for its last words.
const LAST_WORDS: Span = Span::from_secs(1);
/// Streams accepted before other tasks of the worker have their turn.
const TURN: usize = 16;

/// Serves the streams of `io`: `serve` is given each request, and its future is run as a task.
/// Ends when the client, its idleness or `stop` ends it; streams that are being served then are cut
/// off when the connection is.
pub(in crate::proxy) async fn serve<S, F>(io: Io, client: &ClientFacts, stop: Arc<Stop>, serve: S)
where
    S: FnMut(Stream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let watch = io.watch();
    let handshake = Builder::new()
        .max_concurrent_streams(client.streams)
        .max_header_list_size(client.header_max.0.try_into().unwrap_or(u32::MAX))
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buffer_size(SEND_BUFFER)
        .handshake::<_, Bytes>(io);
    let limit = client.header_timeout.to_std();
    let Ok(Ok(connection)) = tokio::time::timeout(limit, handshake).await else { return };
    let mut session = Session {
        connection,
        watch,
        serve,
        limits: Limits::new(client.header_max.0 as usize),
        at_once: client.streams as usize,
        left: client.requests_per_connection,
        open: Arc::default(),
        idle_timeout: client.idle_timeout,
        busy: clock::now(),
        deadline: None,
        alarm: Alarm::default(),
        stopped: Box::pin(stop.notified()),
        stop,
    };
    poll_fn(|context| session.poll(context)).await;
}

struct Session<S> {
    connection: Connection<Io, Bytes>,
    watch: Arc<Watch>,
    serve: S,
    limits: Limits,
    /// Most streams that are served at once; a stream that the client has reset counts until its
    /// task has noticed.
    at_once: usize,
    /// Requests that it may still bring.
    left: u32,
    open: Arc<OpenStreams>,
    idle_timeout: Span,
    /// When a request was last being served.
    busy: Nanos,
    /// Set when the connection is to end whatever happens.
    deadline: Option<Nanos>,
    alarm: Alarm,
    stopped: Pin<Box<OwnedNotified>>,
    stop: Arc<Stop>,
}

impl<S, F> Session<S>
where
    S: FnMut(Stream) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.open.wake_with(context.waker());
        self.heed_stop(context);
        let polled = self.poll_streams(context);
        if self.watch.is_flooded() && self.deadline.is_none() {
            self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            self.hurry(context);
        }
        if polled.is_ready() || self.is_over(context) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Accepts streams, and lets the connection work; ready when it has ended.
    fn poll_streams(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for _ in 0..TURN {
            if self.open.count() >= self.at_once {
                return self.connection.poll_closed(context).map(drop);
            }
            match self.connection.poll_accept(context) {
                Poll::Ready(Some(Ok((request, answer)))) => self.accept(request, answer),
                Poll::Ready(Some(Err(_)) | None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn accept(&mut self, request: Request<RecvStream>, answer: SendResponse<Bytes>) {
        self.left = self.left.saturating_sub(1);
        if self.left == 0 {
            self.connection.graceful_shutdown();
        }
        match Stream::new(request, answer, &self.limits) {
            Ok(stream) => {
                let counted = Counted::new(&self.open);
                let serving = (self.serve)(stream);
                tokio::spawn(async move {
                    serving.await;
                    drop(counted);
                });
            }
            Err((error, answer)) => refuse(error, answer),
        }
    }

    /// GOAWAY lets requests that are on their way come in, and the connection ends behind the last.
    fn heed_stop(&mut self, context: &mut Context<'_>) {
        if self.left == 0 {
            return;
        }
        // A task's waker stays the same, so that one registration is enough.
        let told = self.stopped.as_mut().poll(context).is_ready() || self.stop.is_draining();
        if told {
            self.left = 0;
            self.connection.graceful_shutdown();
        }
    }

    /// The connection ends soon, whatever happens.
    fn hurry(&mut self, context: &Context<'_>) {
        self.deadline = Some(clock::now() + LAST_WORDS);
        context.waker().wake_by_ref();
    }

    /// Whether it has been idle for too long, or has had its last words.
    fn is_over(&mut self, context: &mut Context<'_>) -> bool {
        let now = clock::now();
        let is_busy = self.open.count() > 0;
        if is_busy {
            self.busy = now;
        }
        let idle = if is_busy { Nanos::MAX } else { self.busy + self.idle_timeout };
        if self.alarm.poll(context, now, self.deadline.unwrap_or(idle)).is_pending() {
            return false;
        }
        if self.deadline.is_none() {
            self.connection.graceful_shutdown();
            self.hurry(context);
            return false;
        }
        true
    }
}

/// Streams of a connection that are being served.
#[derive(Debug, Default)]
struct OpenStreams {
    count: AtomicUsize,
    /// The session.
    waker: Mutex<Option<Waker>>,
}

impl OpenStreams {
    fn count(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// `waker` is woken whenever one ends.
    fn wake_with(&self, waker: &Waker) {
        let mut mine = self.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if !mine.as_ref().is_some_and(|mine| mine.will_wake(waker)) {
            *mine = Some(waker.clone());
        }
    }
}

/// One of them.
struct Counted(Arc<OpenStreams>);

impl Counted {
    fn new(open: &Arc<OpenStreams>) -> Self {
        open.count.fetch_add(1, Relaxed);
        Self(Arc::clone(open))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Relaxed);
        let waker = self.0.waker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waker) = &*waker {
            waker.wake_by_ref();
        }
    }
}

/// The answer to a head that cannot be passed on.
fn refuse(error: HeadError, mut answer: SendResponse<Bytes>) {
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    // An error is that of a client that has gone.
    drop(answer.send_response(response, true));
}
