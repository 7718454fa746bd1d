//! A connection to a peer, driven by the task of the request that uses it.
//!
//! hyper would have its connections spawned as tasks of their own; then each response takes two
//! wake-ups instead of one. Here whoever uses the connection polls it, and while it is idle the
//! worker's caretaker does, so that a close by the peer is seen at once.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::body::{Outgoing, Progress};
use super::endpoint::Endpoint;
use super::patience::Patience;
use super::worker::Limits;
use crate::host::clock;
use crate::policy::Outcome;
use crate::units::{Nanos, Span};

/// A connection to a peer.
pub(super) struct Connection {
    sender: http1::SendRequest<Outgoing>,
    driver: Box<http1::Connection<TokioIo<TcpStream>, Outgoing>>,
    /// Set when the driver has ended: it must not be polled again.
    ended: bool,
    /// The wait for the peer to say something.
    patience: Patience,
}

/// Why there is no response head.
pub(super) enum Failure {
    /// The connection was found closed before anything was sent: the request as it was.
    Unsent(Box<Request<Outgoing>>),
    /// The attempt has ended so.
    Ended(Outcome),
    /// The client stopped sending its body.
    ClientSilent,
    /// The body was sent before and is gone.
    Spent,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// The outcome of the attempt.
    pub(super) async fn open(endpoint: &Endpoint, limits: Limits) -> Result<Self, Outcome> {
        let connecting = TcpStream::connect(endpoint.address);
        let limit = limits.connect_timeout.to_std();
        let stream = match tokio::time::timeout(limit, connecting).await {
            Err(_) => return Err(Outcome::ConnectTimedOut),
            Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return Err(Outcome::ConnectTimedOut);
            }
            Ok(Err(_)) => return Err(Outcome::ConnectFailed),
            Ok(Ok(stream)) => stream,
        };
        // Without it a request whose body follows its head waits for the peer's delayed ACK.
        stream.set_nodelay(true).map_err(|_| Outcome::ConnectFailed)?;
        let handshake = http1::handshake(TokioIo::new(stream));
        let (sender, driver) = handshake.await.map_err(|_| Outcome::ConnectFailed)?;
        let patience = Patience::new(limits.read_timeout);
        Ok(Self { sender, driver: Box::new(driver), ended: false, patience })
    }

    /// Lets the connection work; true when it has ended.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) -> bool {
        // What was wrong is told by the response or its body; here only the end counts.
        self.ended = self.ended || self.driver.poll_without_shutdown(context).is_ready();
        self.ended
    }

    /// Whether it can take another request. `context` is woken when that changes.
    pub(super) fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        !self.drive(context) && self.sender.is_ready()
    }

    /// The peer is waited for from now on.
    pub(super) fn wait(&mut self) {
        self.patience.start(clock::now());
    }

    /// Ready when it has been waited for too long.
    pub(super) fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.patience.poll(context)
    }

    /// Sends a request and waits for the head of its response, which must not take longer than the
    /// read time-out, without the time that its body takes.
    ///
    /// # Errors
    /// See [`Failure`].
    pub(super) async fn exchange(
        &mut self,
        request: Request<Outgoing>,
        reused: bool,
    ) -> Result<Response<Incoming>, Failure> {
        let progress = request.body().progress();
        let mut response = pin!(self.sender.try_send_request(request));
        self.patience.start(clock::now());
        std::future::poll_fn(|context| {
            self.ended = self.ended || self.driver.poll_without_shutdown(context).is_ready();
            // The response comes out of the driver, which was just polled with the real waker: one
            // here would only wake this very task.
            let mut quiet = Context::from_waker(Waker::noop());
            if let Poll::Ready(result) = response.as_mut().poll(&mut quiet) {
                return Poll::Ready(result.map_err(|mut error| match error.take_message() {
                    Some(request) => Failure::Unsent(Box::new(request)),
                    None => Failure::Ended(outcome(error.error(), reused)),
                }));
            }
            while self.patience.poll(context).is_ready() {
                match verdict(self.patience.limit(), progress.as_deref()) {
                    Verdict::Over(failure) => return Poll::Ready(Err(failure)),
                    Verdict::Wait(since) => self.patience.start(since),
                }
            }
            Poll::Pending
        })
        .await
    }

    /// After a 101: the stream, and what the peer has already sent in the new protocol.
    pub(super) fn into_stream(self) -> (TcpStream, Bytes) {
        let parts = self.driver.into_parts();
        (parts.io.into_inner(), parts.read_buf)
    }
}

/// How an attempt ended that brought no head.
fn outcome(error: &hyper::Error, reused: bool) -> Outcome {
    if error.is_parse() {
        Outcome::InvalidHead
    } else if error.is_user() {
        // Only the request's body is ours, and it fails only when its client does.
        Outcome::ClientGone
    } else {
        Outcome::Closed { reused }
    }
}

/// What the end of a wait for a head means.
enum Verdict {
    /// Something moved then: the time counts from there.
    Wait(Nanos),
    /// Nobody did anything for the whole time.
    Over(Failure),
}

/// While a body is being sent the time counts from its last movement, and a client that is silent
/// is told apart from a peer that is.
fn verdict(limit: Span, progress: Option<&Progress>) -> Verdict {
    let Some(progress) = progress else {
        return Verdict::Over(Failure::Ended(Outcome::ReadTimedOut));
    };
    let (last, waiting_for_client) = progress.last();
    if clock::now().since(last) < limit {
        Verdict::Wait(last)
    } else if waiting_for_client {
        Verdict::Over(Failure::ClientSilent)
    } else {
        Verdict::Over(Failure::Ended(Outcome::ReadTimedOut))
    }
}
