//! A client's connection: served until it ends, is idle for too long, or the proxy stops.
//!
//! hyper has a time-out for heads, but arms a timer for each of them. Here one timer per connection
//! looks now and then whether anything has happened.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::futures::OwnedNotified;

use super::forward;
use super::header::ClientFields;
use super::listen::Stop;
use super::patience::Patience;
use super::relay::{BodyError, Reply};
use super::worker::Worker;
use crate::host::clock;
use crate::units::Span;

/// A look at whether a client is idle, or slow with its head.
const LOOK_EVERY: Span = Span::from_secs(13);
/// So many looks without a new request end its connection: after 65 to 78 s (NGINX: 75 s).
const LOOKS_MAX: u32 = 5;

/// Serves a client; ends when its connection does.
pub(super) async fn serve(
    stream: TcpStream,
    fields: ClientFields,
    worker: Arc<Worker>,
    stop: Arc<Stop>,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let fields = Arc::new(fields);
    let activity = Arc::new(Activity::default());
    let service = {
        let activity = Arc::clone(&activity);
        service_fn(move |request: Request<Incoming>| {
            let serving = Serving::begin(&activity);
            let response = forward::serve(Arc::clone(&worker), Arc::clone(&fields), request);
            async move {
                let response = response.await;
                Ok::<_, Infallible>(response.map(|reply| Served { reply, _serving: serving }))
            }
        })
    };
    let connection =
        http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
    Session::new(connection, stop, activity, LOOK_EVERY).await;
}

/// Begins and ends of requests on a connection, counted together: odd while one is served.
#[derive(Debug, Default)]
struct Activity(AtomicU64);

impl Activity {
    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A request that is being served, up to the last byte of its response.
struct Serving(Arc<Activity>);

impl Serving {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.0.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A response's body, which keeps its request counted as served.
struct Served {
    reply: Reply,
    _serving: Serving,
}

impl Body for Served {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.reply).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.reply.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.reply.size_hint()
    }
}

/// What a session needs of a connection.
trait Graceful: Future + Unpin {
    /// Ends after the current request, at once if there is none.
    fn say_goodbye(&mut self);
}

impl<S> Graceful for http1::UpgradeableConnection<TokioIo<TcpStream>, S>
where
    Self: Future + Unpin,
    S: HttpService<Incoming, ResBody = Served>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn say_goodbye(&mut self) {
        Pin::new(self).graceful_shutdown();
    }
}

/// Drives a client's connection.
struct Session<C> {
    connection: C,
    stop: Arc<Stop>,
    /// Makes sure that there is a wake-up when told to stop; whether we are is read at each.
    stopped: Pin<Box<OwnedNotified>>,
    registered: bool,
    told: bool,
    activity: Arc<Activity>,
    patience: Patience,
    /// The activity at the last look, and how many looks have seen it.
    seen: (u64, u32),
}

impl<C: Graceful> Session<C> {
    fn new(connection: C, stop: Arc<Stop>, activity: Arc<Activity>, look_every: Span) -> Self {
        let mut patience = Patience::new(look_every);
        patience.start(clock::now());
        Self {
            connection,
            stopped: Box::pin(stop.notified()),
            stop,
            registered: false,
            told: false,
            activity,
            patience,
            seen: (0, 0),
        }
    }

    fn heed_stop(&mut self, context: &mut Context<'_>) {
        if !self.registered {
            self.registered = true;
            // A task's waker stays the same, so that one registration is enough.
            let _ = self.stopped.as_mut().poll(context);
        }
        if !self.told && self.stop.is_told() {
            self.told = true;
            self.connection.say_goodbye();
        }
    }

    /// Looks whether the client is idle when it is time to; true when it has been for too long.
    fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        while self.patience.poll(context).is_ready() {
            let count = self.activity.count();
            let quiet = count.is_multiple_of(2) && count == self.seen.0;
            self.seen = (count, if quiet { self.seen.1 + 1 } else { 0 });
            if self.seen.1 >= LOOKS_MAX {
                return true;
            }
            self.patience.start(clock::now());
        }
        false
    }
}

impl<C: Graceful> Future for Session<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.heed_stop(context);
        // An error of the connection is the client's, and it has been told or is gone.
        if Pin::new(&mut self.connection).poll(context).is_ready() || self.is_idle(context) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Span = Span::from_millis(4);

    /// Never ends by itself.
    #[derive(Default)]
    struct Open {
        said_goodbye: bool,
    }

    impl Future for Open {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            if self.said_goodbye { Poll::Ready(()) } else { Poll::Pending }
        }
    }

    impl Graceful for Open {
        fn say_goodbye(&mut self) {
            self.said_goodbye = true;
        }
    }

    #[tokio::test]
    async fn an_idle_client_is_let_go_and_one_being_served_is_not() {
        let activity = Arc::new(Activity::default());
        let session = Session::new(Open::default(), Arc::default(), Arc::clone(&activity), LOOK);
        let serving = Serving::begin(&activity);
        let mut session = Box::pin(session);
        let long = (LOOK * 20).to_std();
        assert!(tokio::time::timeout(long, session.as_mut()).await.is_err(), "it is served");
        drop(serving);
        let start = clock::now();
        session.await;
        assert!(clock::elapsed(start) >= LOOK * 4, "let go too early");
    }

    #[tokio::test]
    async fn a_stop_reaches_a_session_that_sleeps() {
        let stop = Arc::<Stop>::default();
        let day = Span::from_secs(86_400);
        let session = Session::new(Open::default(), Arc::clone(&stop), Arc::default(), day);
        let session = tokio::spawn(session);
        tokio::task::yield_now().await;
        stop.tell();
        session.await.expect("it ends");
    }
}
