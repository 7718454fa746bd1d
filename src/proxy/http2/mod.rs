//! HTTP/2 (RFC 9113) by the `h2` crate: what both sides share.
//!
//! A request that comes as a stream is written into the proxy's one form of a head, so that
//! forwarding knows no difference; see `client::http2` and `peer::http2` for the two ends.
//!
//! Memory is bounded by windows. What a client or a peer may send before it is passed on is
//! [`STREAM_WINDOW`] for each stream and [`CONNECTION_WINDOW`] for all of a connection, and the
//! window is opened again only when the other side has taken the bytes; what waits to be sent is
//! [`SEND_BUFFER`] for each stream. So who reads slowly stops who writes, and nobody else.

mod allowance;
pub(super) mod content;
pub(super) mod convert;
pub(super) mod frames;
pub(super) mod io;
pub(super) mod session;

use std::io::Error as IoError;

/// How a client says that it knows HTTP/2 is spoken: the beginning of the preface, a whole request
/// line and an empty head to HTTP/1.
pub(super) const MAGIC: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// Bytes that may come on a stream before they are passed on.
pub(super) const STREAM_WINDOW: u32 = 64 << 10;
/// Bytes that may come on a connection before they are passed on.
pub(super) const CONNECTION_WINDOW: u32 = 1 << 20;
/// Bytes of a stream that wait for the other side's window.
pub(super) const SEND_BUFFER: usize = 64 << 10;
/// Most bytes of content handed over at once.
const CHUNK: usize = 16 << 10;

/// What `h2` says went wrong, as an error of the connection.
pub(super) fn io_error(error: h2::Error) -> IoError {
    if error.is_io() {
        return error.into_io().unwrap_or_else(|| IoError::other("the connection broke"));
    }
    IoError::other(error)
}
