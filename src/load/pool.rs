//! The client's connections: kept alive, limited in number, handed to whoever waits longest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::connection::Connection;
use crate::traffic::ClientConfig;

/// What a connection joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Route {
    /// The server.
    pub(super) target: usize,
    /// The client's key, if clients have addresses of their own; else 0.
    pub(super) client: u64,
}

/// All connections of the client.
#[derive(Debug)]
pub(super) struct Pool {
    inner: Mutex<Inner>,
    limit: u32,
    per_connection: u32,
}

#[derive(Debug, Default)]
struct Inner {
    /// By route, used last at the back.
    idle: BTreeMap<Route, VecDeque<Idle>>,
    /// Open, being opened, or permitted to be opened.
    open: u32,
    opened: u64,
    stamp: u64,
    waiting: VecDeque<Waiting>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: u64,
}

#[derive(Debug)]
struct Waiting {
    route: Route,
    lease: oneshot::Sender<Lease>,
}

/// The right to use one connection to one target: an open one, or permission to open it. Dropped,
/// it closes the connection and makes room for another.
#[derive(Debug)]
pub(super) struct Lease {
    pool: Arc<Pool>,
    route: Route,
    pub(super) connection: Option<Connection>,
    kept: bool,
}

/// What a request gets.
#[derive(Debug)]
pub(super) enum Taken {
    Lease(Lease),
    /// All connections are in use.
    Wait(oneshot::Receiver<Lease>),
}

impl Pool {
    pub(super) fn new(client: &ClientConfig) -> Arc<Self> {
        let unlimited = |limit: u32| if limit == 0 { u32::MAX } else { limit };
        Arc::new(Self {
            inner: Mutex::default(),
            limit: unlimited(client.connections),
            per_connection: unlimited(client.requests_per_connection),
        })
    }

    /// A connection for `route`: the one used last, or a new one while the limit allows; at the
    /// limit an idle connection of another route is given up for it.
    pub(super) fn take(self: &Arc<Self>, route: Route) -> Taken {
        let mut inner = self.lock();
        while let Some(mut connection) = inner.take_idle(route) {
            if !connection.is_stale() {
                return Taken::Lease(self.lease(route, Some(connection)));
            }
            inner.open -= 1;
        }
        if inner.open >= self.limit && !inner.close_oldest_idle() {
            let (lease, receiver) = oneshot::channel();
            inner.waiting.push_back(Waiting { route, lease });
            return Taken::Wait(receiver);
        }
        inner.open += 1;
        Taken::Lease(self.lease(route, None))
    }

    /// Connections opened so far.
    pub(super) fn opened(&self) -> u64 {
        self.lock().opened
    }

    fn lease(self: &Arc<Self>, route: Route, connection: Option<Connection>) -> Lease {
        Lease { pool: Arc::clone(self), route, connection, kept: false }
    }

    /// Takes back what a lease held, and serves those who wait.
    fn take_back(self: &Arc<Self>, route: Route, connection: Option<Connection>) {
        let mut inner = self.lock();
        match connection {
            Some(connection) => {
                inner.stamp += 1;
                let since = inner.stamp;
                inner.idle.entry(route).or_default().push_back(Idle { connection, since });
            }
            None => inner.open -= 1,
        }
        while let Some(waiting) = inner.next_waiting(self.limit) {
            let connection = inner.take_idle(waiting.route);
            if connection.is_none() {
                if inner.open >= self.limit {
                    inner.close_oldest_idle();
                }
                inner.open += 1;
            }
            let lease = self.lease(waiting.route, connection);
            drop(inner);
            let _ = waiting.lease.send(lease);
            inner = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// The idle connection of `route` that was used last.
    fn take_idle(&mut self, route: Route) -> Option<Connection> {
        let idle = self.idle.get_mut(&route)?.pop_back();
        self.forget_empty(route);
        idle.map(|idle| idle.connection)
    }

    /// Clients with addresses of their own are many; others keep their list.
    fn forget_empty(&mut self, route: Route) {
        if route.client != 0 && self.idle.get(&route).is_some_and(VecDeque::is_empty) {
            self.idle.remove(&route);
        }
    }

    /// Whoever waits longest, if a connection can be had.
    fn next_waiting(&mut self, limit: u32) -> Option<Waiting> {
        while self.waiting.front().is_some_and(|waiting| waiting.lease.is_closed()) {
            self.waiting.pop_front();
        }
        let available = self.open < limit || self.idle.values().any(|idle| !idle.is_empty());
        if available { self.waiting.pop_front() } else { None }
    }

    fn close_oldest_idle(&mut self) -> bool {
        let since = |idle: &VecDeque<Idle>| idle.front().map(|idle| idle.since);
        let oldest = self.idle.iter().filter(|(_, idle)| !idle.is_empty());
        let oldest = oldest.min_by_key(|(_, idle)| since(idle));
        let Some(route) = oldest.map(|(route, _)| *route) else { return false };
        if let Some(idle) = self.idle.get_mut(&route) {
            idle.pop_front();
            self.forget_empty(route);
        }
        self.open -= 1;
        true
    }
}

impl Lease {
    /// Counts the connection that was opened with this permission.
    pub(super) fn opened(&mut self, connection: Connection) -> &mut Connection {
        self.pool.lock().opened += 1;
        self.connection.insert(connection)
    }

    /// The connection may carry another request.
    pub(super) fn keep(mut self) {
        let per_connection = self.pool.per_connection;
        self.kept = self.connection.as_ref().is_some_and(|one| one.carried < per_connection);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let connection = self.connection.take().filter(|_| self.kept);
        self.pool.take_back(self.route, connection);
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::units::Span;

    fn pool(connections: u32, requests_per_connection: u32) -> Arc<Pool> {
        let timeout = Span::from_secs(1);
        let client =
            ClientConfig { connections, requests_per_connection, timeout, in_flight_cap: 0 };
        Pool::new(&client)
    }

    fn to(target: usize) -> Route {
        Route { target, client: 0 }
    }

    fn lease(taken: Taken) -> Lease {
        match taken {
            Taken::Lease(lease) => lease,
            Taken::Wait(_) => panic!("it must not wait"),
        }
    }

    fn receiver(taken: Taken) -> oneshot::Receiver<Lease> {
        match taken {
            Taken::Wait(receiver) => receiver,
            Taken::Lease(_) => panic!("it must wait"),
        }
    }

    /// An open connection and its other end.
    async fn pair() -> (Connection, tokio::net::TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connection = Connection::open(&listener.local_addr().unwrap().into(), 0).await.unwrap();
        (connection, listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn the_connection_used_last_is_used_first_and_stale_ones_never() {
        let pool = pool(0, 0);
        let (mut first, mut second) = (lease(pool.take(to(0))), lease(pool.take(to(0))));
        let (one, _one_end) = pair().await;
        let (mut two, two_end) = pair().await;
        two.carried = 7;
        first.opened(one);
        second.opened(two);
        first.keep();
        second.keep();
        let again = lease(pool.take(to(0)));
        assert_eq!(again.connection.as_ref().unwrap().carried, 7);
        again.keep();
        drop(two_end);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert_eq!(lease(pool.take(to(0))).connection.as_ref().unwrap().carried, 0);
        assert_eq!((pool.opened(), pool.lock().open), (2, 0));
    }

    #[tokio::test]
    async fn at_the_limit_requests_wait_in_order_and_gone_ones_are_passed_over() {
        let pool = pool(1, 0);
        let mut only = lease(pool.take(to(0)));
        let (connection, _end) = pair().await;
        only.opened(connection);
        let (first, gone, third) = (pool.take(to(0)), pool.take(to(0)), pool.take(to(0)));
        drop(gone);
        only.keep();
        let served = receiver(first).try_recv().expect("the first gets it");
        assert!(served.connection.is_some());
        drop(served);
        let permission = receiver(third).try_recv().expect("the third gets the room");
        assert!(permission.connection.is_none());
        drop(permission);
        assert_eq!(pool.lock().open, 0);
    }

    #[tokio::test]
    async fn an_idle_connection_to_another_target_makes_room() {
        let pool = pool(1, 2);
        let mut only = lease(pool.take(to(0)));
        let (mut connection, _end) = pair().await;
        connection.carried = 1;
        only.opened(connection);
        only.keep();
        let other = lease(pool.take(to(1)));
        assert!(other.connection.is_none());
        assert_eq!(pool.lock().open, 1);
    }

    #[tokio::test]
    async fn a_connection_that_has_carried_its_share_is_closed() {
        let pool = pool(0, 2);
        let mut one = lease(pool.take(to(0)));
        let (mut connection, _end) = pair().await;
        connection.carried = 2;
        one.opened(connection);
        one.keep();
        assert_eq!(pool.lock().open, 0);
    }
}
