//! Idle connections to peers, kept by the rules of NGINX's `keepalive` directive.
//!
//! One list for all peers of a worker, ordered by the time of return. A request takes the
//! connection to its peer that was returned last; when the list is full, the one that was returned
//! first goes, whosever it is. The limit counts idle connections only, never those in use.
//! Rules and recorded cases: NGINX 1.22, `ngx_http_upstream_keepalive_module`.
//!
//! A plain list is searched from its recent end: with requests spread over `n` peers the wanted
//! connection is found after `n` steps on average, whatever the length of the list.

use std::collections::VecDeque;

use crate::policy::PeerId;
use crate::units::{Nanos, Span};

/// When a connection is kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most idle connections, of all peers together; 0 keeps none.
    pub idle: usize,
    /// An idle connection is closed after this.
    pub idle_time: Span,
    /// A connection is not kept after this many requests.
    pub requests: u32,
    /// A connection is not kept when it is older than this.
    pub age: Span,
}

impl Limits {
    /// `idle` connections for `idle_time`, with NGINX's defaults for the rest: 1000 requests, 1 h.
    #[must_use]
    pub const fn new(idle: usize, idle_time: Span) -> Self {
        Self { idle, idle_time, requests: 1000, age: Span::from_secs(3600) }
    }
}

/// A connection with what the rules need to know of it.
#[derive(Debug)]
pub struct Kept<C> {
    /// The connection itself.
    pub connection: C,
    /// The endpoint at its other end.
    pub peer: PeerId,
    /// When it was opened.
    opened: Nanos,
    /// Requests that it has carried or is carrying.
    requests: u32,
    /// When it was last returned.
    returned: Nanos,
}

impl<C> Kept<C> {
    /// A connection opened at `now` for its first request.
    #[must_use]
    pub const fn new(connection: C, peer: PeerId, now: Nanos) -> Self {
        Self { connection, peer, opened: now, requests: 1, returned: now }
    }

    /// Whether it has carried an earlier request.
    #[must_use]
    pub const fn reused(&self) -> bool {
        self.requests > 1
    }
}

/// The idle connections of one worker.
#[derive(Debug)]
pub struct Pool<C> {
    limits: Limits,
    /// Most recently returned first.
    idle: VecDeque<Kept<C>>,
}

impl<C> Pool<C> {
    /// An empty pool.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, idle: VecDeque::new() }
    }

    /// Takes the most recently returned connection to `peer`, for one more request.
    pub fn take(&mut self, peer: PeerId) -> Option<Kept<C>> {
        let position = self.idle.iter().position(|kept| kept.peer == peer)?;
        let mut kept = self.idle.remove(position)?;
        kept.requests += 1;
        Some(kept)
    }

    /// Returns a connection that is ready for another request. Gives back what must be closed:
    /// this one if it has served its time, else the longest idle one if the pool was full.
    #[must_use = "the connection given back is to be closed, outside any lock"]
    pub fn give(&mut self, mut kept: Kept<C>, now: Nanos) -> Option<Kept<C>> {
        let spent = kept.requests >= self.limits.requests
            || now.since(kept.opened) > self.limits.age
            || self.limits.idle == 0;
        if spent {
            return Some(kept);
        }
        kept.returned = now;
        let evicted = if self.idle.len() >= self.limits.idle { self.idle.pop_back() } else { None };
        self.idle.push_front(kept);
        evicted
    }

    /// Takes out every connection that has been idle too long or that `fit` refuses.
    #[must_use = "these connections are to be closed, outside any lock"]
    pub fn weed(&mut self, now: Nanos, mut fit: impl FnMut(&mut Kept<C>) -> bool) -> Vec<Kept<C>> {
        let idle_time = self.limits.idle_time;
        let mut weeds = Vec::new();
        let mut position = 0;
        while let Some(kept) = self.idle.get_mut(position) {
            if now.since(kept.returned) < idle_time && fit(kept) {
                position += 1;
            } else {
                weeds.extend(self.idle.remove(position));
            }
        }
        weeds
    }

    /// How many connections are idle.
    #[must_use]
    pub fn len(&self) -> usize {
        self.idle.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerId = PeerId(0);

    fn pool(idle: usize) -> Pool<&'static str> {
        Pool::new(Limits::new(idle, Span::from_secs(60)))
    }

    #[test]
    fn nothing_is_kept_without_a_limit() {
        let mut pool = pool(0);
        let refused = pool.give(Kept::new("a", PEER, Nanos(0)), Nanos(0));
        assert_eq!(refused.map(|kept| kept.connection), Some("a"));
        assert!(pool.is_empty());
    }

    #[test]
    fn an_old_connection_is_not_kept() {
        let mut pool = pool(4);
        let hour = Nanos::ZERO + Span::from_secs(3600);
        assert!(pool.give(Kept::new("a", PEER, Nanos(0)), hour).is_none());
        let kept = pool.take(PEER).expect("kept at exactly its age limit");
        assert!(kept.reused());
        assert!(pool.give(kept, hour + Span(1)).is_some());
    }

    #[test]
    fn weeding_takes_the_idle_and_the_unfit() {
        let mut pool = pool(4);
        for (name, second) in [("old", 0), ("dead", 30), ("good", 31)] {
            let now = Nanos::ZERO + Span::from_secs(second);
            assert!(pool.give(Kept::new(name, PEER, now), now).is_none());
        }
        let weeds = pool.weed(Nanos::ZERO + Span::from_secs(60), |kept| kept.connection != "dead");
        let weeds: Vec<_> = weeds.into_iter().map(|kept| kept.connection).collect();
        assert_eq!(weeds, ["dead", "old"]);
        assert_eq!(pool.take(PEER).map(|kept| kept.connection), Some("good"));
    }

    /// Every operation names the connection that NGINX used: the server's letter and the number
    /// of that server's connection since the start.
    #[test]
    fn connections_are_reused_as_nginx_reuses_them() {
        let text = include_str!("../../tests/vectors/nginx_keepalive.json");
        let vectors: serde_json::Value = serde_json::from_str(text).expect("valid vectors");
        let cases = vectors["cases"].as_array().expect("a list of cases");
        assert!(cases.len() >= 6, "{} cases", cases.len());
        for case in cases {
            replay(case);
        }
    }

    fn replay(case: &serde_json::Value) {
        let name = case["case"].as_str().expect("a name");
        let number = |value: &serde_json::Value| value.as_u64().expect("a number");
        let mut limits = Limits::new(number(&case["keepalive"]) as usize, Span::from_secs(60));
        if let Some((_, requests)) = name.split_once("keepalive_requests ") {
            limits.requests = requests.parse().expect("a number of requests");
        }
        let peers = case["weights"].as_array().expect("weights").len() as u32;
        let mut pool = Pool::new(limits);
        let mut opened = vec![0; peers as usize];
        let mut in_use = std::collections::BTreeMap::new();
        let mut next_peer = 0;
        for op in case["ops"].as_array().expect("operations") {
            let request = number(&op[1]);
            let kind = op[0].as_str().expect("a kind");
            if kind != "finish" {
                // All weights of these cases are 1: round robin takes the peers in turn.
                let peer = PeerId(next_peer % peers);
                next_peer += 1;
                let kept = pool.take(peer).unwrap_or_else(|| {
                    opened[peer.index()] += 1;
                    let letter = char::from(b'a' + peer.0 as u8);
                    Kept::new(format!("{letter}{}", opened[peer.index()]), peer, Nanos(0))
                });
                assert_eq!(Some(kept.connection.as_str()), op[2].as_str(), "{name}: {op}");
                in_use.insert(request, kept);
            }
            if kind != "start" {
                let kept = in_use.remove(&request).expect("a request that was started");
                drop(pool.give(kept, Nanos(0)));
            }
        }
    }
}
