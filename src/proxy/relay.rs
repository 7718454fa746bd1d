//! The response on its way to the client, while the request's body may still be going the other
//! way. When the peer has said everything the attempt is given back and the connection returned,
//! before the client has got the last byte; if either side breaks off, so does the other.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::forward::Forward;
use super::halt::Halt;
use super::in_flight::InFlight;
use super::message::{Piece, ResponseOut};
use super::peer::Peer;
use super::pool::Kept;
use super::tunnel;
use super::upload::Waits;
use crate::host::clock;
use crate::http1::{Framing, ResponseHead};
use crate::units::Nanos;

/// Why a response does not end.
enum Cut {
    /// The client does not take it.
    Client,
    /// The peer does not bring it.
    Peer,
}

impl Forward<'_> {
    /// Passes a head on that is not yet the response.
    pub(super) fn pass_interim(&mut self) {
        if !self.client.takes_interim() {
            return;
        }
        self.desk.added.clear();
        self.start(Framing::None, false);
    }

    /// Begins the client's response with the head that is in `desk.response`.
    fn start(&mut self, framing: Framing, close: bool) {
        let head = &self.desk.response;
        let facts = &self.visit.worker.edge.forward;
        let added = &mut self.desk.added;
        let keep = super::fields::towards_client(facts, head, framing, added);
        self.client.start(&ResponseOut { head, keep, added, framing, close });
    }

    /// Begins the client's response, and remembers that.
    fn start_final(&mut self, framing: Framing, close: bool) {
        self.desk.added.clear();
        self.progress.status = self.desk.response.status();
        if self.is_planned() {
            self.label();
        }
        if let Some(cookie) = self.cookie.take() {
            self.desk.added.extend_from_slice(cookie.as_bytes());
        }
        self.start(framing, close);
    }

    /// Tells lab's load generator who was tried.
    fn label(&mut self) {
        let added = &mut self.desk.added;
        let attempts = self.tried.as_ref().map_or(0, |(number, _)| *number);
        added.extend_from_slice(format!("X-Lab-Attempts: {attempts}\r\n").as_bytes());
        if let Some((_, peer)) = &self.tried {
            added.extend_from_slice(b"X-Lab-Upstream: ");
            added.extend_from_slice(&peer.label);
            added.extend_from_slice(b"\r\n");
        }
    }

    /// Brings the peer's response to the client.
    pub(super) async fn relay(&mut self) {
        if self.desk.response.status() == 101 {
            self.switch().await;
            return;
        }
        let to_head = self.client.head().method() == b"HEAD";
        let framing = self.desk.response.framing(to_head);
        // A body that is not yet read makes this the last response: the client may never send it.
        self.start_final(framing, self.visit.is_last() || self.upload.is_under_way());
        let mut moved = self.now;
        let mut is_first = true;
        let cut = poll_fn(|context| {
            // The first poll follows without a wait.
            if !std::mem::take(&mut is_first) {
                self.wake();
            }
            self.poll_relay(context, &mut moved)
        })
        .await;
        match cut {
            Ok(()) => self.progress.is_complete = true,
            Err(Cut::Client) => self.client.abort(),
            Err(Cut::Peer) => {
                self.source = None;
                // What there was of it arrives all the same.
                self.flush().await;
                self.client.abort();
            }
        }
    }

    fn poll_relay(
        &mut self,
        context: &mut Context<'_>,
        moved: &mut Nanos,
    ) -> Poll<Result<(), Cut>> {
        // Out of its place, so that the rest can be used beside it.
        if let Some(mut source) = self.source.take() {
            match self.poll_source(context, &mut source.0.connection, moved) {
                Poll::Ready(Ok(())) => self.settle(source),
                Poll::Ready(Err(cut)) => return Poll::Ready(Err(cut)),
                Poll::Pending => {
                    self.source = Some(source);
                    return Poll::Pending;
                }
            }
        }
        let before = self.client.waiting();
        match self.client.poll_flush(context) {
            Poll::Ready(flushed) => Poll::Ready(flushed.map_err(|_| Cut::Client)),
            Poll::Pending => {
                if self.client.waiting() < before {
                    *moved = self.now;
                }
                self.poll_limits(context, *moved, Waits::Client)
            }
        }
    }

    /// Both ways at once. Ready when the peer has said everything.
    fn poll_source(
        &mut self,
        context: &mut Context<'_>,
        peer: &mut Peer,
        moved: &mut Nanos,
    ) -> Poll<Result<(), Cut>> {
        if !self.upload.is_sent {
            match self.upload.poll(context, &mut self.client, peer, self.now) {
                Poll::Ready(Err(Halt::ClientGone)) => return Poll::Ready(Err(Cut::Client)),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Cut::Peer)),
                _ => {}
            }
        }
        let mut waits = Waits::Client;
        let (polled, has_moved) = self.poll_download(context, peer, &mut waits);
        if polled.is_ready() {
            return polled;
        }
        if has_moved {
            *moved = self.now;
        }
        if self.upload.waits != Waits::Client && self.client.poll_gone(context).is_ready() {
            return Poll::Ready(Err(Cut::Client));
        }
        self.poll_limits(context, *moved, waits)
    }

    /// Passes on what there is; whether anything moved.
    fn poll_download(
        &mut self,
        context: &mut Context<'_>,
        peer: &mut Peer,
        waits: &mut Waits,
    ) -> (Poll<Result<(), Cut>>, bool) {
        let mut has_moved = false;
        loop {
            match peer.poll_body(context) {
                Poll::Ready(Ok(Piece::Content)) => {
                    match self.client.poll_content(context, peer.content()) {
                        Poll::Ready(Ok(taken)) => {
                            peer.took(taken);
                            self.progress.bytes_out += taken as u64;
                            has_moved = true;
                        }
                        Poll::Ready(Err(_)) => return (Poll::Ready(Err(Cut::Client)), has_moved),
                        Poll::Pending => {
                            *waits = Waits::Client;
                            return (Poll::Pending, has_moved);
                        }
                    }
                }
                Poll::Ready(Ok(Piece::End)) => {
                    self.client.end(peer.take_trailer().as_deref());
                    return (Poll::Ready(Ok(())), true);
                }
                Poll::Ready(Err(_)) => return (Poll::Ready(Err(Cut::Peer)), has_moved),
                Poll::Pending => {
                    *waits = match self.client.poll_flush(context) {
                        Poll::Ready(Ok(())) => Waits::Peer,
                        Poll::Ready(Err(_)) => return (Poll::Ready(Err(Cut::Client)), has_moved),
                        Poll::Pending => Waits::Client,
                    };
                    return (Poll::Pending, has_moved);
                }
            }
        }
    }

    /// The peer has said everything.
    fn settle(&mut self, (mut kept, in_flight): (Kept<Peer>, InFlight)) {
        if self.upload.is_sent && kept.connection.is_reusable() {
            kept.connection.take_back(&mut self.desk.peer);
            self.visit.worker.give_back(kept, self.now);
        }
        in_flight.responded(self.now);
    }

    fn poll_limits(
        &mut self,
        context: &mut Context<'_>,
        moved: Nanos,
        waits: Waits,
    ) -> Poll<Result<(), Cut>> {
        let worker = self.visit.worker;
        let (limit, cut) = match waits {
            Waits::Peer => (worker.limits.read_timeout, Cut::Peer),
            Waits::Client | Waits::Nobody => (worker.edge.client.body_timeout, Cut::Client),
        };
        // While the request's body moves the exchange is alive.
        let deadline = moved.max(self.upload.moved) + limit;
        ready!(self.alarm.poll(context, self.now, deadline.min(self.deadline)));
        Poll::Ready(Err(if self.deadline < deadline { Cut::Peer } else { cut }))
    }

    /// Sends what was kept back, as long as the client takes it.
    async fn flush(&mut self) -> bool {
        let limit = self.visit.worker.edge.client.body_timeout;
        let deadline = clock::now() + limit;
        poll_fn(|context| match self.client.poll_flush(context) {
            Poll::Ready(flushed) => Poll::Ready(flushed.is_ok()),
            Poll::Pending => self.alarm.poll(context, clock::now(), deadline).map(|()| false),
        })
        .await
    }

    /// Answers a request that has no response of a peer.
    pub(super) async fn answer(&mut self, halt: Halt) {
        let Some((status, text)) = halt.answer() else {
            self.client.abort();
            return;
        };
        self.desk.response = own_head(status, text);
        // What follows a CONNECT may be meant for the tunnel that there is not.
        let close = self.visit.is_last() || self.upload.is_under_way() || halt == Halt::Method;
        self.start_final(Framing::Length(text.len() as u64), close);
        let mut rest = text.as_bytes();
        if self.client.head().method() == b"HEAD" {
            rest = &[];
        }
        let deadline = clock::now() + self.visit.worker.edge.client.body_timeout;
        let taken = poll_fn(|context| {
            while !rest.is_empty() {
                match self.client.poll_content(context, rest) {
                    Poll::Ready(Ok(taken)) => rest = &rest[taken..],
                    Poll::Ready(Err(_)) => return Poll::Ready(false),
                    Poll::Pending => {
                        return self.alarm.poll(context, clock::now(), deadline).map(|()| false);
                    }
                }
            }
            Poll::Ready(true)
        });
        if taken.await {
            self.client.end(None);
            self.progress.bytes_out = text.len() as u64;
            self.progress.is_complete = self.flush().await;
        }
        if !self.progress.is_complete {
            self.client.abort();
        }
    }

    /// The peer speaks another protocol from now on.
    async fn switch(&mut self) {
        let Some((mut kept, in_flight)) = self.source.take() else { return };
        self.start_final(Framing::None, false);
        let worker = self.visit.worker;
        worker.account.counters.upgrades.add(1);
        let idle = worker.limits.read_timeout;
        let (up, down) =
            tunnel::join(&mut self.client, &mut kept.connection, self.alarm, idle).await;
        self.upload.length += up;
        self.progress.bytes_out += down;
        self.progress.is_complete = true;
        self.client.abort();
        drop(in_flight);
    }
}

/// The head of an answer of the proxy's own.
pub(super) fn own_head(status: u16, text: &str) -> ResponseHead {
    let mut head = ResponseHead::default();
    let length = text.len().to_string();
    let fields = [
        (b"Content-Type".as_slice(), b"text/plain; charset=utf-8".as_slice()),
        (b"Content-Length", length.as_bytes()),
    ];
    let limits = crate::http1::Limits::new(4096);
    if head.assemble(status, fields.into_iter(), &limits).is_err() {
        unreachable!("a status and two plain fields are a head");
    }
    head
}
