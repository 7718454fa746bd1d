//! Where a peer is reached, and how it is named in headers and records.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::policy::PeerId;

/// A peer on the wire. Made once per peer and shared with the requests on their way to it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) id: PeerId,
    /// The number under which its connections are kept: one that no other endpoint ever has, also
    /// not the peer that comes back under `id`.
    pub(super) line: PeerId,
    pub(super) name: String,
    pub(super) address: SocketAddr,
    /// The name as a field's value.
    pub(super) label: Box<[u8]>,
    removed: AtomicBool,
    /// Somebody wishes to know its load.
    load_wanted: Notify,
}

impl Endpoint {
    /// Characters of `name` that a header cannot hold are written as `?`.
    pub(super) fn new(id: PeerId, line: PeerId, name: &str, address: SocketAddr) -> Self {
        Self {
            id,
            line,
            name: name.to_owned(),
            address,
            label: label(name),
            removed: AtomicBool::new(false),
            load_wanted: Notify::new(),
        }
    }

    /// From now on its idle connections are of no use.
    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::Relaxed);
        self.load_wanted.notify_one();
    }

    /// Wishes for its load. A wish while one is open is the same wish.
    pub(super) fn want_load(&self) {
        self.load_wanted.notify_one();
    }

    /// Waits until somebody wishes for its load, or it is removed.
    pub(super) async fn load_wanted(&self) {
        self.load_wanted.notified().await;
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Relaxed)
    }
}

fn label(name: &str) -> Box<[u8]> {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c as u8 } else { b'?' };
    name.chars().map(printable).collect()
}
