//! The memory that a request is served with. A connection has it only while it is busy, so that
//! idle ones cost next to nothing, and those that are busy use what is still in the cache.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::buffer::Buffer;
use super::wire::Wire;
use crate::http1::{RequestHead, ResponseHead};

/// Memory for one exchange; what it holds between two is of no meaning.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// For the client's connection.
    pub(super) client: Sheets,
    /// For the peer's connection.
    pub(super) peer: Sheets,
    pub(super) request: RequestHead,
    pub(super) response: ResponseHead,
    /// Lines to add to a head.
    pub(super) added: Vec<u8>,
    /// A request's body that may be sent again.
    pub(super) body: Vec<u8>,
}

/// What a connection of HTTP/1 needs while it is busy.
#[derive(Debug, Default)]
pub(super) struct Sheets {
    input: Buffer,
    output: Vec<u8>,
}

impl Sheets {
    /// Lends them to a connection that has none.
    pub(super) fn lend(&mut self, wire: &mut Wire) {
        std::mem::swap(&mut self.input, &mut wire.input);
        std::mem::swap(&mut self.output, &mut wire.output);
    }

    /// Takes them back from a connection that is done with them.
    pub(super) fn take_back(&mut self, wire: &mut Wire) {
        debug_assert!(wire.input.is_empty() && wire.waiting() == 0);
        self.lend(wire);
        self.output.clear();
    }
}

/// Desks that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Desks(Mutex<Unused>);

/// Each in its box, so that it is handed over without being copied.
#[allow(clippy::vec_box, reason = "a desk is large, and moves at every request")]
type Unused = Vec<Box<Desk>>;

/// No more unused desks are kept than this.
const UNUSED_MAX: usize = 128;
/// A desk that holds more than this is not kept, in bytes.
const SIZE_MAX: usize = 256 << 10;

impl Desks {
    /// A desk; the one used last, if there is one.
    pub(super) fn take(&self) -> Box<Desk> {
        self.unused().pop().unwrap_or_default()
    }

    /// Takes a desk back.
    pub(super) fn give_back(&self, desk: Box<Desk>) {
        if desk.body.capacity() + desk.added.capacity() > SIZE_MAX {
            return;
        }
        let mut unused = self.unused();
        if unused.len() < UNUSED_MAX {
            unused.push(desk);
        }
    }

    fn unused(&self) -> MutexGuard<'_, Unused> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
