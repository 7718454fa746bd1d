//! What both sides of an exchange have in common: pieces of bodies, how they break, and heads on
//! their way out, in the form that HTTP/1 and HTTP/2 can both be made from.

use std::io;

use crate::http1::{BodyError, Field, Fields, Framing, Names, RequestHead, ResponseHead};

/// The next piece of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Content, to be had with `content` and to be taken with `took`.
    Content,
    /// The end; there may be a trailer section.
    End,
}

/// Why a message will not end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// The connection is of no more use.
    #[error("the connection broke: {0}")]
    Connection(io::Error),
    /// It is not what its framing promised.
    #[error(transparent)]
    Malformed(BodyError),
}

/// A request head on its way to a peer.
#[derive(Clone, Copy)]
pub(super) struct RequestOut<'a> {
    /// As it came; [`Self::kept`] says which of its fields go on.
    pub(super) head: &'a RequestHead,
    /// The host it is for.
    pub(super) host: &'a [u8],
    /// Which fields go on.
    pub(super) keep: Keep,
    /// Fields to add, as lines with their ends: `Name: value`, CR, LF.
    pub(super) added: &'a [u8],
    /// Ask the peer for the protocol that the client asks for.
    pub(super) upgrade: bool,
}

/// A response head on its way to a client.
#[derive(Clone, Copy)]
pub(super) struct ResponseOut<'a> {
    /// As it came; [`Self::kept`] says which of its fields go on.
    pub(super) head: &'a ResponseHead,
    /// Which fields go on.
    pub(super) keep: Keep,
    /// Fields to add, as lines with their ends.
    pub(super) added: &'a [u8],
    /// Where its body ends, as it came.
    pub(super) framing: Framing,
    /// The connection ends behind it; HTTP/1 only.
    pub(super) close: bool,
}

/// Which fields of a head go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    /// These do not.
    pub(super) drops: Names,
    /// Nor do those that `Connection` names.
    pub(super) heeds_connection: bool,
}

impl Keep {
    fn keeps(self, field: &Field, fields: &Fields) -> bool {
        !self.drops.contains(field.name)
            && (!self.heeds_connection
                || field.name.is_protected()
                || !fields.connection_names(field.name_in(fields.text())))
    }
}

impl RequestOut<'_> {
    /// The fields that go on, in order; without `Host`, framing and hop-by-hop fields.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Field> {
        kept(self.keep, self.head.fields())
    }
}

impl ResponseOut<'_> {
    /// The fields that go on, in order; with `Content-Length`, without other framing and without
    /// hop-by-hop fields.
    pub(super) fn kept(&self) -> impl Iterator<Item = &Field> {
        kept(self.keep, self.head.fields())
    }
}

fn kept(keep: Keep, fields: &Fields) -> impl Iterator<Item = &Field> {
    fields.list().iter().filter(move |field| keep.keeps(field, fields))
}

/// Appends the lines of fields.
pub(super) fn write_lines<'a>(
    fields: impl Iterator<Item = &'a Field>,
    text: &[u8],
    out: &mut Vec<u8>,
) {
    for field in fields {
        out.extend_from_slice(field.line_in(text));
        out.extend_from_slice(b"\r\n");
    }
}
