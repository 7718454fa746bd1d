//! One balancer's view of the peers: its own upstream machine and its own idle connections.

use std::collections::BTreeMap;

use crate::policy::{PeerId, Ticket, Upstream};
use crate::scenario::{BalancerFacts, StateSharing};
use crate::units::{Nanos, Seed, Span};

/// A balancer instance, or a worker of one that shares nothing.
pub(super) struct View {
    /// The decisions.
    pub(super) upstream: Upstream,
    /// Idle connections to peers.
    pub(super) pool: Pool,
    /// The earliest wake-up that is in the event queue; [`Nanos::MAX`] without one.
    pub(super) armed: Nanos,
    /// Slots of the requests in the waiting line.
    pub(super) tickets: BTreeMap<u64, u32>,
    /// Its machine has wishes even if it was told nothing but of arrivals that it settled at once:
    /// it sends health checks or asks for loads.
    pub(super) restless: bool,
}

impl View {
    /// The view number `number` of a scenario's balancer. `follows` tells whether it matters which
    /// connections are kept.
    pub(super) fn new(balancer: &BalancerFacts, seed: Seed, follows: bool) -> Self {
        let workers = match balancer.state {
            StateSharing::Shared => balancer.workers,
            StateSharing::PerWorker => 1,
        };
        let room = if follows { balancer.keepalive.saturating_mul(workers) } else { 0 };
        let upstream = Upstream::new(&balancer.upstream, seed);
        Self {
            restless: !upstream.is_quiet(),
            upstream,
            pool: Pool {
                room: room as usize,
                timeout: balancer.keepalive_timeout,
                idle: Vec::new(),
            },
            armed: Nanos::MAX,
            tickets: BTreeMap::new(),
        }
    }

    /// The slot that holds `ticket`, which leaves the line.
    pub(super) fn redeem(&mut self, ticket: Ticket) -> Option<u32> {
        self.tickets.remove(&ticket.0)
    }
}

/// Idle connections to peers: one list for all of them, the last returned first; when it is full
/// the one returned longest ago is closed (SEMANTICS 1.12).
#[derive(Debug)]
pub(super) struct Pool {
    room: usize,
    timeout: Span,
    idle: Vec<(PeerId, Nanos)>,
}

impl Pool {
    /// Whether there can be a connection in it.
    #[inline]
    pub(super) const fn keeps_any(&self) -> bool {
        self.room > 0
    }

    /// Takes the connection to `peer` that was returned last.
    #[inline]
    pub(super) fn take(&mut self, peer: PeerId, now: Nanos) -> bool {
        if self.room == 0 {
            return false;
        }
        let timeout = self.timeout;
        let fresh = |since: Nanos| now.since(since) < timeout;
        match self.idle.iter().rposition(|(to, since)| *to == peer && fresh(*since)) {
            Some(place) => {
                self.idle.remove(place);
                true
            }
            None => false,
        }
    }

    /// A connection to `peer` has become idle.
    #[inline]
    pub(super) fn put(&mut self, peer: PeerId, now: Nanos) {
        if self.room == 0 {
            return;
        }
        if self.idle.len() == self.room {
            self.idle.remove(0);
        }
        self.idle.push((peer, now));
    }

    /// The peer died: its connections are closed.
    pub(super) fn lose(&mut self, peer: PeerId) {
        self.idle.retain(|(to, _)| *to != peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(room: usize) -> Pool {
        Pool { room, timeout: Span(100), idle: Vec::new() }
    }

    #[test]
    fn a_full_pool_closes_the_one_idle_longest() {
        let mut pool = pool(2);
        for (peer, now) in [(0, 1), (1, 2), (2, 3)] {
            pool.put(PeerId(peer), Nanos(now));
        }
        let taken = [0, 1, 2, 2].map(|peer| pool.take(PeerId(peer), Nanos(4)));
        assert_eq!(taken, [false, true, true, false]);
    }

    #[test]
    fn idle_connections_die_of_age_and_with_their_peer() {
        let mut pool = pool(8);
        pool.put(PeerId(0), Nanos(0));
        assert!(!pool.take(PeerId(0), Nanos(100)));
        pool.put(PeerId(0), Nanos(50));
        pool.lose(PeerId(0));
        assert!(!pool.take(PeerId(0), Nanos(60)));
    }
}
