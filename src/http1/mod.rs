//! HTTP/1.1 as text: heads, framing and chunks, strictly by RFC 9110 and RFC 9112. Pure: it reads
//! and writes byte slices, and knows no socket, clock or runtime.
//!
//! [`RequestHead`] and [`ResponseHead`] are the proxy's form of a head for every protocol: the text
//! of an HTTP/1 head in one buffer, and where its parts are in it. What came as HTTP/2 is written
//! into the same form with [`RequestHead::assemble`] or [`ResponseHead::assemble`], which parse
//! what was written, so that no field can bring a line of its own. So forwarding, affinity and
//! logging exist once.
//!
//! A body is read by a [`BodyReader`], made from the head's framing: it says of a slice how much
//! is framing, how much content, and where the message ends. [`chunked`] writes the other way.
//!
//! Nothing is repaired. What two programs could read in two ways (bare CR or LF, folded lines, space
//! before a colon, two lengths, a length beside a coding, a coding other than one final `chunked`,
//! a missing or second `Host`) is refused, since that is how requests are smuggled.

pub mod body;
pub mod chunked;
mod error;
mod field;
mod lines;
mod request;
mod response;
mod syntax;
mod target;

pub use body::{BodyReader, Framing, Step};
pub use error::{BodyError, HeadError};
pub use field::{Field, Fields, Name, Names};
pub use lines::head_ends;
pub use request::{Limits, RequestHead};
pub use response::{ResponseHead, reason};
pub use syntax::{Version, list_items};
