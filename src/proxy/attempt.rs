//! One attempt at one peer: a connection, the request on it, and the head of the response.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::endpoint::Endpoint;
use super::forward::Forward;
use super::halt::Halt;
use super::in_flight::InFlight;
use super::message::RequestOut;
use super::peer::{NoHead, Peer};
use super::pool::Kept;
use super::upload::Waits;
use crate::policy::Outcome;
use crate::units::Nanos;

/// More interim responses than this are no response: a peer could keep a client waiting for ever.
pub(super) const INTERIMS_MAX: u32 = 64;

/// Why an attempt brought no head.
pub(super) enum Failure {
    /// The attempt has ended so.
    Ended(Outcome),
    /// The peer has not begun to process the request.
    Unprocessed,
    /// The request has ended.
    Halt(Halt),
}

/// So often a request is sent again to a peer that has not begun to process it.
const AGAIN_MAX: u32 = 3;

impl Forward<'_> {
    /// One attempt, up to the head of its response, which is in `desk.response` then. A request that
    /// the peer has not begun to process is sent again within it.
    pub(super) async fn attempt(
        &mut self,
        in_flight: &mut InFlight,
    ) -> Result<Kept<Peer>, Failure> {
        for _ in 0..AGAIN_MAX {
            match self.exchange(in_flight).await {
                Err(Failure::Unprocessed) if self.upload.is_repeatable() => {}
                Err(Failure::Unprocessed) => break,
                ended => return ended,
            }
        }
        // As if the peer had closed an idle connection: it is not its failure.
        Err(Failure::Ended(Outcome::Closed { reused: true }))
    }

    /// Sends the request once, and waits for the head of its response.
    async fn exchange(&mut self, in_flight: &mut InFlight) -> Result<Kept<Peer>, Failure> {
        let mut kept = self.reach(in_flight.endpoint()).await?;
        kept.connection.lend(&mut self.desk.peer);
        self.begin(&mut kept.connection, in_flight.number());
        self.upload.begin(self.now);
        let mut is_first = true;
        let head = poll_fn(|context| {
            // The first poll follows without a wait.
            if !std::mem::take(&mut is_first) {
                self.wake();
            }
            let polled = self.poll_head(context, &mut kept);
            if !self.upload.is_repeatable() {
                in_flight.is_spent();
            }
            polled
        });
        head.await?;
        Ok(kept)
    }

    /// A connection to the peer: one that is idle, or a new one.
    pub(super) async fn reach(&mut self, endpoint: &Arc<Endpoint>) -> Result<Kept<Peer>, Failure> {
        let worker = Arc::clone(self.visit.worker);
        if let Some(kept) = worker.take_idle(endpoint.line) {
            worker.account.counters.peer_reused.add(1);
            return Ok(kept);
        }
        let start = self.now;
        let deadline = start + worker.limits.connect_timeout;
        let introduction = self.visit.origin.introduction();
        let connecting = Box::pin(worker.connector.connect(endpoint, &worker.shared, introduction));
        let connected = self.attend(deadline.min(self.deadline), connecting).await;
        let peer = match connected.map_err(Failure::Halt)? {
            Some(connected) => connected.map_err(Failure::Ended)?,
            None if self.deadline < deadline => return Err(Failure::Halt(Halt::TooLate)),
            None => return Err(Failure::Ended(Outcome::ConnectTimedOut)),
        };
        let now = self.wake();
        let counters = &worker.account.counters;
        if !peer.is_new() {
            counters.peer_reused.add(1);
            return Ok(Kept::new(peer, endpoint.line, now));
        }
        counters.peer_opened.add(1);
        counters.connect_time.record(now.since(start));
        self.progress.connect = Some(now.since(start));
        Ok(Kept::new(peer, endpoint.line, now))
    }

    /// Begins the request at a peer.
    pub(super) fn begin(&mut self, peer: &mut Peer, number: u16) {
        let is_planned = self.is_planned();
        let (head, facts) = (self.client.head(), &self.visit.worker.edge.forward);
        let added = &mut self.desk.added;
        added.clear();
        self.interims = 0;
        // A body that was read needs nobody's leave.
        let expects = head.expects_continue() && !self.upload.is_read;
        let keep = self.visit.origin.towards_peer(facts, head, expects, added);
        if is_planned {
            added.extend_from_slice(b"X-Lab-Attempt: ");
            added.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
            added.extend_from_slice(b"\r\n");
        }
        let host = self.visit.origin.host(head);
        peer.start(&RequestOut { head, host, keep, added, upgrade: self.is_upgrade });
    }

    /// Sends the request, passes on what comes before the response, and waits for its head.
    pub(super) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        kept: &mut Kept<Peer>,
    ) -> Poll<Result<(), Failure>> {
        let now = self.now;
        let reused = kept.reused();
        let peer = &mut kept.connection;
        if let Poll::Ready(Err(halt)) = self.upload.poll(context, &mut self.client, peer, now) {
            return Poll::Ready(Err(Failure::Halt(halt)));
        }
        while let Poll::Ready(head) = peer.poll_head(context, &mut self.desk.response) {
            let outcome = match head {
                Ok(()) if self.desk.response.is_interim() && self.interims < INTERIMS_MAX => {
                    self.interims += 1;
                    self.pass_interim();
                    self.upload.moved = now;
                    continue;
                }
                Ok(())
                    if self.desk.response.is_interim()
                        || (self.desk.response.status() == 101 && !self.is_upgrade) =>
                {
                    Outcome::InvalidHead
                }
                Ok(()) => {
                    self.progress.first_byte = Some(now.since(self.began));
                    return Poll::Ready(Ok(()));
                }
                Err(NoHead::Closed) => Outcome::Closed { reused },
                Err(NoHead::Unprocessed) => return Poll::Ready(Err(Failure::Unprocessed)),
                Err(NoHead::Malformed(_)) => Outcome::InvalidHead,
            };
            return Poll::Ready(Err(Failure::Ended(outcome)));
        }
        if matches!(self.client.poll_flush(context), Poll::Ready(Err(_)))
            || (self.upload.waits != Waits::Client && self.client.poll_gone(context).is_ready())
        {
            return Poll::Ready(Err(Failure::Halt(Halt::ClientGone)));
        }
        self.poll_patience(context, now).map(Err)
    }

    /// Ready when whoever is waited for has been silent for too long.
    fn poll_patience(&mut self, context: &mut Context<'_>, now: Nanos) -> Poll<Failure> {
        let worker = self.visit.worker;
        let (limit, failure) = match self.upload.waits {
            Waits::Client => (worker.edge.client.body_timeout, Failure::Halt(Halt::ClientSilent)),
            Waits::Peer => {
                (worker.edge.upstream.send_timeout, Failure::Ended(Outcome::ReadTimedOut))
            }
            Waits::Nobody => (worker.limits.read_timeout, Failure::Ended(Outcome::ReadTimedOut)),
        };
        let deadline = self.upload.moved + limit;
        if self.alarm.poll(context, now, deadline.min(self.deadline)).is_pending() {
            return Poll::Pending;
        }
        let is_whole = self.deadline < deadline;
        Poll::Ready(if is_whole { Failure::Halt(Halt::TooLate) } else { failure })
    }
}
