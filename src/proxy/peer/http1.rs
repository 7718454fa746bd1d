//! A connection of HTTP/1 to a peer, driven by the task of the request that uses it.

use std::io;
use std::task::{Context, Poll, ready};

use super::NoHead;
use crate::http1::{Fields, Framing, Limits, Name, ResponseHead};
use crate::proxy::message::{Broken, Piece, RequestOut, write_lines};
use crate::proxy::transport::Transport;
use crate::proxy::wire::Wire;

/// Most of a response's head.
const HEAD: Limits = Limits { head: 64 << 10, line: 8 << 10, fields: 256 };

/// A connection to a peer.
#[derive(Debug)]
pub(in crate::proxy) struct Connection {
    pub(in crate::proxy) wire: Wire,
    to_head: bool,
    /// Whether all of the request was given to it.
    sent: bool,
    /// Whether the peer keeps it open behind the response.
    keeps: bool,
    /// Whether the peer takes all that comes on it for one client's.
    is_clients: bool,
}

impl Connection {
    pub(in crate::proxy) fn new(transport: Transport) -> Self {
        let wire = Wire::new(transport);
        Self { wire, to_head: false, sent: false, keeps: false, is_clients: false }
    }

    /// Says that it began with a client's address, so that it is of no use to others.
    pub(in crate::proxy) const fn belongs_to_client(&mut self, is_clients: bool) {
        self.is_clients = is_clients;
    }

    /// Whether it can carry another request: everything was sent, everything was read, nothing
    /// came behind it, and the peer keeps it open.
    pub(in crate::proxy) fn is_reusable(&self) -> bool {
        self.sent
            && self.keeps
            && !self.is_clients
            && self.wire.waiting() == 0
            && self.wire.is_read()
            && self.wire.input.is_empty()
    }

    /// Whether it is still open and silent while it is idle; `context` is woken when that changes.
    pub(in crate::proxy) fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        self.wire.transport.poll_readable(context).is_pending()
    }

    pub(super) fn start(&mut self, request: &RequestOut<'_>) {
        let head = request.head;
        self.to_head = head.method() == b"HEAD";
        (self.sent, self.keeps) = (false, false);
        let out = &mut self.wire.output;
        out.extend_from_slice(head.method());
        out.push(b' ');
        head.write_target(out);
        out.extend_from_slice(b" HTTP/1.1\r\nHost: ");
        out.extend_from_slice(request.host);
        out.extend_from_slice(b"\r\n");
        write_lines(request.kept(), head.fields().text(), out);
        out.extend_from_slice(request.added);
        if request.upgrade {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            for protocol in head.fields().all(Name::Upgrade) {
                out.extend_from_slice(b"Upgrade: ");
                out.extend_from_slice(protocol);
                out.extend_from_slice(b"\r\n");
            }
        }
        if head.framing() == Framing::Chunked {
            out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if head.framing() != Framing::None {
            self.wire.transport.send_at_once();
        }
        self.wire.write_body(head.framing());
    }

    pub(super) fn poll_content(
        &mut self,
        context: &mut Context<'_>,
        content: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.poll_content(context, content)
    }

    pub(super) fn end(&mut self, trailer: Option<&Fields>) {
        self.wire.end(trailer);
        self.sent = true;
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll_flush(context)
    }

    pub(super) fn poll_head(
        &mut self,
        context: &mut Context<'_>,
        head: &mut ResponseHead,
    ) -> Poll<Result<(), NoHead>> {
        loop {
            let bytes = self.wire.input.filled();
            let read = if bytes.is_empty() { Ok(None) } else { head.read(bytes, &HEAD) };
            if let Some(length) = read.map_err(NoHead::Malformed)? {
                self.wire.input.consume(length);
                if !head.is_interim() {
                    self.keeps = !head.closes();
                    self.wire.read_body(head.framing(self.to_head));
                }
                return Poll::Ready(Ok(()));
            }
            match ready!(self.wire.poll_fill(context, HEAD.head + 1)) {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Poll::Ready(Err(NoHead::Closed)),
            }
        }
    }

    pub(super) fn poll_body(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Broken>> {
        self.wire.poll_body(context)
    }

    pub(super) fn content(&self) -> &[u8] {
        self.wire.content()
    }

    pub(super) fn took(&mut self, length: usize) {
        self.wire.took(length);
    }

    pub(super) fn take_trailer(&mut self) -> Option<Box<Fields>> {
        self.wire.take_trailer()
    }
}
