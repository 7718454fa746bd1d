//! Envoy's circuit breakers and the connection pools behind them, with HTTP/1.1 to the hosts.
//!
//! The host is chosen first. Its pool gives the request an idle connection, or opens one; at the
//! limit of the cluster or of the host the request waits there until a connection of this very host
//! is free, whatever others are idle. Too many that wait, or too many in flight, and it is refused
//! at once (`ConnPoolImplBase::newStreamImpl`, `tryCreateNewConnection` and `attachStreamToClient`
//! in `source/common/conn_pool/conn_pool_base.cc`). Connections are opened in no time here.

use std::collections::{BTreeSet, VecDeque};

use super::attempt::Ticket;
use super::limit::Waiter;
use super::peer::PeerId;
use super::rules::CircuitBreakers;
use crate::units::Nanos;

/// What becomes of a request whose host is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It has a connection.
    Free,
    /// It waits for one.
    Pending,
    /// A circuit breaker is open.
    Overflow,
}

/// The pools of a group.
#[derive(Debug)]
pub(super) struct Connections {
    limits: CircuitBreakers,
    /// Whether a connection outlasts its request.
    keeps: bool,
    /// Peer `i` at `i`.
    pools: Vec<Pool>,
    open: u32,
    waiting: u32,
    /// Of those that wait, by the end of their patience.
    deadlines: BTreeSet<(Nanos, Ticket, PeerId)>,
}

#[derive(Debug, Default)]
struct Pool {
    /// Connections, those in use and those that are idle.
    open: u32,
    /// Most of them; 0 is no limit.
    limit: u32,
    /// Of those in use, how many their request will take along when it ends.
    doomed: u32,
    pending: VecDeque<Waiter>,
}

impl Connections {
    pub(super) fn new(limits: CircuitBreakers, keeps: bool) -> Self {
        Self { limits, keeps, pools: Vec::new(), open: 0, waiting: 0, deadlines: BTreeSet::new() }
    }

    /// Most connections of `peer`; 0 is no limit but that of the cluster.
    pub(super) fn limit(&mut self, peer: PeerId, limit: u32) {
        self.pool(peer).limit = limit;
    }

    /// Requests that wait for a connection.
    pub(super) const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Asks for a connection to `peer`, which has `active` requests in flight, of `all` in the group.
    pub(super) fn ask(&mut self, peer: PeerId, active: u32, all: u64) -> Room {
        let attached =
            if all < u64::from(self.limits.max_requests) { Room::Free } else { Room::Overflow };
        if active < self.pool(peer).open {
            return attached;
        }
        if self.waiting >= self.limits.max_pending_requests {
            return Room::Overflow;
        }
        if self.connect(peer) { attached } else { Room::Pending }
    }

    /// Opens a connection if the limits allow it; a host that has none may always have one.
    fn connect(&mut self, peer: PeerId) -> bool {
        let below = self.open < self.limits.max_connections;
        let pool = self.pool(peer);
        let allowed = pool.open == 0 || (below && (pool.limit == 0 || pool.open < pool.limit));
        if allowed {
            pool.open += 1;
            self.open += 1;
        }
        allowed
    }

    /// Lets a request wait for a connection to `peer`.
    pub(super) fn wait(&mut self, peer: PeerId, waiter: Waiter) {
        self.waiting += 1;
        if waiter.deadline != Nanos::MAX {
            self.deadlines.insert((waiter.deadline, waiter.ticket, peer));
        }
        self.pool(peer).pending.push_back(waiter);
    }

    /// The request in flight at `peer` will close its connection when it ends.
    pub(super) fn doom(&mut self, peer: PeerId) {
        self.pool(peer).doomed += 1;
    }

    /// So will all requests in flight there.
    pub(super) fn doom_all(&mut self, peer: PeerId) {
        let pool = self.pool(peer);
        pool.doomed = pool.open;
    }

    /// A request at `peer` ended, which leaves `active` in flight there.
    pub(super) fn release(&mut self, peer: PeerId, active: u32) {
        let keeps = self.keeps;
        let pool = self.pool(peer);
        let closes = !keeps || pool.doomed > 0;
        pool.doomed = pool.doomed.saturating_sub(1);
        if closes && pool.open > active {
            pool.open -= 1;
            self.open -= 1;
        }
    }

    /// The next request that gets a connection to `peer`, which has `active` in flight.
    pub(super) fn next(&mut self, peer: PeerId, active: u32) -> Option<Waiter> {
        let pool = self.pool(peer);
        if pool.pending.is_empty() || (active >= pool.open && !self.connect(peer)) {
            return None;
        }
        let waiter = self.pool(peer).pending.pop_front()?;
        self.left(peer, &waiter);
        Some(waiter)
    }

    /// Closes what is idle at a peer that was found unfit (`onHostHealthFailure`).
    pub(super) fn drain(&mut self, peer: PeerId, active: u32) {
        let pool = self.pool(peer);
        let idle = pool.open.saturating_sub(active);
        pool.open -= idle;
        self.open -= idle;
    }

    /// Takes out a request that waits; `None` if it does not.
    pub(super) fn leave(&mut self, ticket: Ticket) -> Option<Waiter> {
        let place = |pool: &Pool| pool.pending.iter().position(|w| w.ticket == ticket);
        let (peer, place) =
            self.pools.iter().enumerate().find_map(|(peer, pool)| Some((peer, place(pool)?)))?;
        let waiter = self.pools[peer].pending.remove(place)?;
        self.left(PeerId(peer as u32), &waiter);
        Some(waiter)
    }

    /// When the first of those that wait loses its patience.
    pub(super) fn next_deadline(&self) -> Option<Nanos> {
        self.deadlines.first().map(|(at, ..)| *at)
    }

    /// Takes out one that has waited too long.
    pub(super) fn expire(&mut self, now: Nanos) -> Option<Waiter> {
        let (_, ticket, _) = *self.deadlines.first().filter(|(at, ..)| *at <= now)?;
        self.leave(ticket)
    }

    fn left(&mut self, peer: PeerId, waiter: &Waiter) {
        self.waiting -= 1;
        self.deadlines.remove(&(waiter.deadline, waiter.ticket, peer));
    }

    fn pool(&mut self, peer: PeerId) -> &mut Pool {
        if self.pools.len() <= peer.index() {
            self.pools.resize_with(peer.index() + 1, Pool::default);
        }
        &mut self.pools[peer.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::attempt::{Progress, RequestFacts};
    use super::*;

    const A: PeerId = PeerId(0);
    const B: PeerId = PeerId(1);

    fn connections(max_connections: u32, max_pending_requests: u32, keeps: bool) -> Connections {
        let limits = CircuitBreakers {
            max_connections,
            max_pending_requests,
            max_requests: 100,
            ..CircuitBreakers::default()
        };
        Connections::new(limits, keeps)
    }

    fn waiter(ticket: u64) -> Waiter {
        let facts = RequestFacts { id: ticket, key: 0, idempotent: true };
        let progress = Progress::new(1);
        Waiter { ticket: Ticket(ticket), facts, number: 1, progress, deadline: Nanos(ticket) }
    }

    #[test]
    fn at_the_limit_a_request_waits_for_its_own_host() {
        let mut pools = connections(2, 1, true);
        assert_eq!((pools.ask(A, 0, 0), pools.ask(A, 1, 1)), (Room::Free, Room::Free));
        assert_eq!(pools.ask(B, 0, 2), Room::Free, "a host without any may always have one");
        assert_eq!(pools.ask(B, 1, 3), Room::Pending);
        pools.wait(B, waiter(9));
        assert_eq!(pools.ask(A, 2, 3), Room::Overflow, "one waits already");
        // A's connection stays open, idle: it is of no use to B.
        pools.release(A, 1);
        assert!(pools.next(A, 1).is_none() && pools.next(B, 1).is_none());
        pools.release(B, 0);
        assert_eq!(pools.next(B, 0).unwrap().ticket, Ticket(9));
        assert_eq!((pools.waiting(), pools.next_deadline()), (0, None));
    }

    #[test]
    fn a_closed_connection_makes_room_when_the_host_asks_again() {
        let mut pools = connections(2, 9, false);
        assert_eq!((pools.ask(A, 0, 0), pools.ask(B, 0, 1)), (Room::Free, Room::Free));
        assert_eq!(pools.ask(A, 1, 2), Room::Pending);
        pools.wait(A, waiter(1));
        pools.release(B, 0);
        assert_eq!(pools.ask(B, 0, 1), Room::Free);
        pools.release(A, 0);
        assert!(pools.next(A, 0).is_some());
    }

    #[test]
    fn too_many_in_flight_are_refused_and_too_long_waits_end() {
        let mut pools = connections(1, 9, true);
        assert_eq!(pools.ask(A, 0, 100), Room::Overflow);
        assert_eq!(pools.ask(A, 1, 2), Room::Pending);
        pools.wait(A, waiter(5));
        pools.wait(A, waiter(4));
        assert_eq!(pools.next_deadline(), Some(Nanos(4)));
        assert!(pools.expire(Nanos(3)).is_none());
        assert_eq!(pools.expire(Nanos(4)).unwrap().ticket, Ticket(4));
        assert_eq!(pools.leave(Ticket(5)).unwrap().ticket, Ticket(5));
        assert!(pools.leave(Ticket(5)).is_none());
    }

    #[test]
    fn a_limit_of_the_host_holds_too() {
        let mut pools = connections(100, 9, true);
        pools.limit(A, 1);
        assert_eq!((pools.ask(A, 0, 0), pools.ask(A, 1, 1)), (Room::Free, Room::Pending));
        pools.drain(A, 0);
        assert_eq!(pools.ask(A, 0, 0), Room::Free);
    }
}
