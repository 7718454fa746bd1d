//! What the requests of one worker thread share: its view of the peers, its idle connections, and
//! the caretaker that closes those which are of no more use.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::sync::Notify;

use super::account::Account;
use super::connect::Connector;
use super::desk::Desks;
use super::driver::Driver;
use super::peer::Peer;
use super::peer::shared::Shared;
use super::pool::{self, Kept, Pool};
use super::request_key::RequestKey;
use crate::host::clock;
use crate::policy::PeerId;
use crate::scenario::EdgeFacts;
use crate::units::{Nanos, Span};

/// How often idle connections are looked at, besides when one changes.
const ROUND: Duration = Duration::from_secs(1);

/// Ids of requests without `x-lab-id` start here, far above those of any plan.
const UNPLANNED: u64 = 1 << 63;

/// Time limits of requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) connect_timeout: Span,
    pub(super) read_timeout: Span,
}

/// One worker thread's state.
pub(super) struct Worker {
    pub(super) driver: Arc<Driver>,
    /// Every request is closed here, once, when it has ended.
    pub(super) account: Account,
    pub(super) limits: Limits,
    /// Finds the keys of requests, for an algorithm that looks at them.
    pub(super) keys: Option<RequestKey>,
    /// What clients may do, and what peers are told of them.
    pub(super) edge: Arc<EdgeFacts>,
    pub(super) desks: Desks,
    /// How peers are reached.
    pub(super) connector: Arc<Connector>,
    /// Connections of HTTP/2 to peers.
    pub(super) shared: Shared,
    pool: Mutex<Pool<Peer>>,
    changed: Arc<Changed>,
    changed_waker: Waker,
    next_id: AtomicU64,
}

/// Told when an idle connection has something to say, which is its end.
#[derive(Default)]
struct Changed(Notify);

impl Wake for Changed {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }
    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

impl Worker {
    /// `number` tells the workers of a process apart.
    pub(super) fn new(
        number: u16,
        driver: Arc<Driver>,
        account: Account,
        limits: Limits,
        edge: Arc<EdgeFacts>,
        connector: Arc<Connector>,
        keepalive: pool::Limits,
    ) -> Self {
        let changed = Arc::new(Changed::default());
        Self {
            driver,
            account,
            limits,
            keys: None,
            edge,
            desks: Desks::default(),
            connector,
            shared: Shared::new(keepalive),
            pool: Mutex::new(Pool::new(keepalive)),
            changed_waker: Waker::from(Arc::clone(&changed)),
            changed,
            next_id: AtomicU64::new(UNPLANNED | (u64::from(number) << 47)),
        }
    }

    /// An id for a request that brought none.
    pub(super) fn unplanned_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// An idle connection to the endpoint of this line that is still open.
    pub(super) fn take_idle(&self, line: PeerId) -> Option<Kept<Peer>> {
        loop {
            let mut kept = self.with_pool(|pool| pool.take(line))?;
            // The waker of the caretaker must not stay in it, or each use would wake that.
            if kept.connection.is_idle(&mut Context::from_waker(Waker::noop())) {
                return Some(kept);
            }
        }
    }

    /// Keeps a connection that is reusable, if it is still open.
    pub(super) fn give_back(&self, mut kept: Kept<Peer>, now: Nanos) {
        if kept.connection.is_idle(&mut Context::from_waker(&self.changed_waker)) {
            let closed = self.with_pool(|pool| pool.give(kept, now));
            drop(closed);
        }
    }

    /// Closes idle connections whose time is over, whose peer has closed or left; runs until
    /// dropped.
    pub(super) async fn care(self: Arc<Self>) {
        loop {
            drop(tokio::time::timeout(ROUND, self.changed.0.notified()).await);
            let mut context = Context::from_waker(&self.changed_waker);
            let there = self.driver.lines();
            let closed = self.with_pool(|pool| {
                pool.weed(clock::now(), |kept| {
                    kept.connection.is_idle(&mut context) && there.contains(&kept.peer)
                })
            });
            drop(closed);
            self.shared.weed(clock::now(), &there);
        }
    }

    /// Changes the pool, and counts what is idle there then.
    fn with_pool<R>(&self, change: impl FnOnce(&mut Pool<Peer>) -> R) -> R {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut pool);
        self.account.counters.peer_idle.set(pool.len() as u64);
        result
    }
}
