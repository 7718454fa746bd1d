//! A client's connection of HTTP/1: request after request, each answered before the next is read.

use std::io;
use std::task::{Context, Poll};

use crate::http1::{Fields, Framing, Name, RequestHead, Version};
use crate::proxy::message::{Broken, Piece, ResponseOut, write_lines};
use crate::proxy::wire::Wire;

/// A client's connection, with a request that is being served or the last one that was.
#[derive(Debug)]
pub(in crate::proxy) struct Connection {
    pub(in crate::proxy) wire: Wire,
    pub(in crate::proxy) head: RequestHead,
    /// The connection must not be used again: it was said so, or an exchange broke off.
    pub(in crate::proxy) closing: bool,
    /// A response was begun that ends with the connection, and it has not ended: if the connection
    /// does now, it must be by a reset.
    pub(in crate::proxy) broken: bool,
    /// At last the client did not take what there was for it.
    stuck: bool,
}

impl Connection {
    pub(in crate::proxy) fn new(wire: Wire) -> Self {
        Self { wire, head: RequestHead::default(), closing: false, broken: false, stuck: false }
    }

    pub(super) const fn head(&self) -> &RequestHead {
        &self.head
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

    pub(super) fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.wire.poll_gone(context)
    }

    pub(super) fn takes_interim(&self) -> bool {
        self.head.version() == Version::Http11
    }

    pub(super) fn start(&mut self, response: &ResponseOut<'_>) {
        let head = response.head;
        let out = &mut self.wire.output;
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(head.status_text());
        if head.status_text().len() == 3 {
            // RFC 9112 4: the space stands there even without a reason.
            out.push(b' ');
        }
        out.extend_from_slice(b"\r\n");
        write_lines(response.kept(), head.fields().text(), out);
        out.extend_from_slice(response.added);
        match head.status() {
            101 => {
                out.extend_from_slice(b"Connection: upgrade\r\n");
                for protocol in head.fields().all(Name::Upgrade) {
                    out.extend_from_slice(b"Upgrade: ");
                    out.extend_from_slice(protocol);
                    out.extend_from_slice(b"\r\n");
                }
                out.extend_from_slice(b"\r\n");
                return;
            }
            100..200 => return out.extend_from_slice(b"\r\n"),
            _ => {}
        }
        let old = self.head.version() == Version::Http10;
        let framing = match response.framing {
            Framing::Chunked | Framing::UntilClose if old => Framing::UntilClose,
            Framing::Chunked | Framing::UntilClose => {
                out.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
                Framing::Chunked
            }
            framing => framing,
        };
        self.closing |= response.close || self.head.closes() || framing == Framing::UntilClose;
        if self.closing {
            out.extend_from_slice(b"Connection: close\r\n");
        } else if old {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        out.extend_from_slice(b"\r\n");
        self.wire.write_body(framing);
        self.broken = framing == Framing::UntilClose;
    }

    pub(super) fn poll_content(
        &mut self,
        context: &mut Context<'_>,
        content: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = self.wire.poll_content(context, content);
        self.stuck = taken.is_pending();
        taken
    }

    pub(super) fn end(&mut self, trailer: Option<&Fields>) {
        self.wire.end(trailer);
        self.broken = false;
    }

    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.wire.poll_flush(context);
        self.stuck = flushed.is_pending();
        flushed
    }

    /// A client that takes nothing gets a reset: an end would leave what is on its way to it in the
    /// kernel's memory, megabytes for as long as the client likes.
    pub(super) const fn abort(&mut self) {
        self.closing = true;
        self.broken |= self.stuck;
    }
}
