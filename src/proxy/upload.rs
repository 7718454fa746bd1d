//! The body of a request on its way to a peer. What was sent of it is kept as long as it is small,
//! so that another peer can get it too.

use std::io;
use std::task::{Context, Poll, ready};

use super::client::Client;
use super::halt::Halt;
use super::message::{Broken, Piece};
use super::peer::Peer;
use crate::http1::{Fields, Framing};
use crate::units::Nanos;

/// Bodies up to this are kept, in bytes.
pub(super) const KEPT_MAX: usize = 64 * 1024;

/// A body under way.
#[derive(Debug, Default)]
pub(super) struct Upload {
    /// What came from the client so far, unless it was too much to keep.
    kept: Vec<u8>,
    /// Whether `kept` is all of it, so that it can be sent again from the start.
    is_repeatable: bool,
    /// How much of `kept` this attempt's peer has got.
    sent: usize,
    /// Whether the client has sent all of it.
    pub(super) is_read: bool,
    trailer: Option<Box<Fields>>,
    /// Whether this attempt's peer was told of the end.
    is_ended: bool,
    /// Whether this attempt's peer has got all of it.
    pub(super) is_sent: bool,
    /// The peer takes no more.
    is_refused: bool,
    /// Bytes that came.
    pub(super) length: u64,
    /// Most bytes that may come.
    limit: u64,
    /// When it last moved on.
    pub(super) moved: Nanos,
    /// Who is waited for.
    pub(super) waits: Waits,
}

/// Who is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Waits {
    /// Nobody.
    #[default]
    Nobody,
    /// The client.
    Client,
    /// The peer.
    Peer,
}

impl Upload {
    /// A body framed so, of no more than `limit` bytes; `kept` is memory to use.
    pub(super) fn new(framing: Framing, limit: u64, mut kept: Vec<u8>) -> Self {
        kept.clear();
        let is_read = framing == Framing::None;
        Self { kept, is_repeatable: true, is_read, limit, ..Self::default() }
    }

    /// The memory that was given.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.kept
    }

    /// Whether the next peer could get all of it.
    pub(super) const fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// Whether the client may still be sending some of it.
    pub(super) const fn is_under_way(&self) -> bool {
        !self.is_read && !self.is_refused
    }

    /// A new attempt begins.
    pub(super) const fn begin(&mut self, now: Nanos) {
        (self.sent, self.moved) = (0, now);
        (self.is_ended, self.is_sent, self.is_refused) = (false, false, false);
        self.waits = Waits::Nobody;
    }

    /// Reads all of it before it is sent to anybody. Only for what can be kept.
    pub(super) fn poll_keep(
        &mut self,
        context: &mut Context<'_>,
        client: &mut Client<'_>,
        now: Nanos,
    ) -> Poll<Result<(), Halt>> {
        while !self.is_read {
            match ready!(client.poll_body(context)).map_err(Halt::of_body)? {
                Piece::End => self.end(client),
                Piece::Content => {
                    let length = client.content().len();
                    self.count(length)?;
                    self.kept.extend_from_slice(client.content());
                    client.took(length);
                    self.moved = now;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Passes on what there is. Ready when the peer has got all of it or takes no more.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        client: &mut Client<'_>,
        peer: &mut Peer,
        now: Nanos,
    ) -> Poll<Result<(), Halt>> {
        if self.is_sent || self.is_refused {
            return Poll::Ready(Ok(()));
        }
        self.waits = Waits::Peer;
        let polled = self.poll_parts(context, client, peer, now);
        if polled.is_ready() {
            self.waits = Waits::Nobody;
            self.moved = now;
        }
        polled
    }

    fn poll_parts(
        &mut self,
        context: &mut Context<'_>,
        client: &mut Client<'_>,
        peer: &mut Peer,
        now: Nanos,
    ) -> Poll<Result<(), Halt>> {
        loop {
            if self.is_repeatable && self.sent < self.kept.len() {
                let Ok(taken) = ready!(peer.poll_content(context, &self.kept[self.sent..])) else {
                    return self.refused();
                };
                self.sent += taken;
                self.moved = now;
            } else if self.is_read {
                if !std::mem::replace(&mut self.is_ended, true) {
                    peer.end(self.trailer.as_deref());
                }
                return match ready!(peer.poll_flush(context)) {
                    Ok(()) => {
                        self.is_sent = true;
                        Poll::Ready(Ok(()))
                    }
                    Err(_) => self.refused(),
                };
            } else {
                match client.poll_body(context) {
                    Poll::Ready(Err(broken)) => return Poll::Ready(Err(Halt::of_body(broken))),
                    Poll::Ready(Ok(Piece::End)) => self.end(client),
                    Poll::Ready(Ok(Piece::Content)) => {
                        let Ok(taken) = ready!(peer.poll_content(context, client.content())) else {
                            return self.refused();
                        };
                        self.count(taken)?;
                        self.keep(&client.content()[..taken]);
                        client.took(taken);
                        self.moved = now;
                    }
                    Poll::Pending => {
                        if ready!(peer.poll_flush(context)).is_err() {
                            return self.refused();
                        }
                        self.waits = Waits::Client;
                        return Poll::Pending;
                    }
                }
            }
        }
    }

    /// Whether all of it was read and kept, so that two peers can get it at once.
    pub(super) const fn is_held(&self) -> bool {
        self.is_read && self.is_repeatable
    }

    /// Sends a body that is held to another peer too; `sent` and `is_ended` are how far that is.
    pub(super) fn poll_copy(
        &self,
        context: &mut Context<'_>,
        peer: &mut Peer,
        sent: &mut usize,
        is_ended: &mut bool,
    ) -> Poll<io::Result<()>> {
        while *sent < self.kept.len() {
            *sent += ready!(peer.poll_content(context, &self.kept[*sent..]))?;
        }
        if !std::mem::replace(is_ended, true) {
            peer.end(self.trailer.as_deref());
        }
        peer.poll_flush(context)
    }

    /// The peer whose response is passed on got the body from elsewhere.
    pub(super) const fn sent_by_another(&mut self) {
        self.is_sent = true;
    }

    /// A peer that takes no more may have answered before it closed.
    fn refused(&mut self) -> Poll<Result<(), Halt>> {
        self.is_refused = true;
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, client: &mut Client<'_>) {
        self.trailer = client.take_trailer();
        self.is_read = true;
    }

    fn count(&mut self, length: usize) -> Result<(), Halt> {
        self.length += length as u64;
        if self.length > self.limit { Err(Halt::TooLarge) } else { Ok(()) }
    }

    fn keep(&mut self, sent: &[u8]) {
        if self.is_repeatable && self.kept.len() + sent.len() <= KEPT_MAX {
            self.kept.extend_from_slice(sent);
            self.sent = self.kept.len();
        } else {
            self.is_repeatable = false;
        }
    }
}

impl Halt {
    /// The client's body broke.
    pub(super) fn of_body(broken: Broken) -> Self {
        match broken {
            Broken::Connection(_) => Self::ClientGone,
            Broken::Malformed(crate::http1::BodyError::Incomplete) => Self::ClientGone,
            Broken::Malformed(error) => Self::Malformed(error),
        }
    }
}
