//! The client's connections to the balancers.

use std::collections::VecDeque;

use crate::traffic::ClientConfig;

/// A connection for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    /// It must be opened.
    Fresh,
    /// It has carried this many requests.
    Kept(u32),
    /// All are in use: the request waits in the client.
    None,
}

#[derive(Clone, Copy, Debug)]
struct Idle {
    view: u32,
    carried: u32,
}

/// The connections of the client, which are followed only if that can matter: when opening one
/// costs something, or their number is limited.
#[derive(Clone, Debug)]
pub(super) struct Client {
    followed: bool,
    limit: u32,
    per_connection: u32,
    open: u32,
    idle: Vec<Idle>,
    waiting: VecDeque<(u32, u64)>,
}

impl Client {
    /// A client without connections.
    pub(super) fn new(config: &ClientConfig, opening_costs: bool) -> Self {
        let unlimited = |limit: u32| if limit == 0 { u32::MAX } else { limit };
        Self {
            followed: opening_costs || config.connections > 0,
            limit: unlimited(config.connections),
            per_connection: unlimited(config.requests_per_connection),
            open: 0,
            idle: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// A connection to `view`: the one used last, or a new one while the limit allows; at the
    /// limit an idle connection to another view is given up for it.
    #[inline]
    pub(super) fn take(&mut self, view: u32) -> Connection {
        if !self.followed {
            return Connection::Fresh;
        }
        if let Some(place) = self.idle.iter().rposition(|idle| idle.view == view) {
            return Connection::Kept(self.idle.remove(place).carried);
        }
        if self.open < self.limit {
            self.open += 1;
            return Connection::Fresh;
        }
        if self.idle.is_empty() {
            return Connection::None;
        }
        self.idle.remove(0);
        Connection::Fresh
    }

    /// Whether [`Self::give_back`] and [`Self::close`] must be called.
    #[inline]
    pub(super) const fn is_followed(&self) -> bool {
        self.followed
    }

    /// A connection has carried its request; `carried` counts it.
    pub(super) fn give_back(&mut self, view: u32, carried: u32) {
        if carried >= self.per_connection {
            self.open -= 1;
        } else {
            self.idle.push(Idle { view, carried });
        }
    }

    /// A connection broke or was closed.
    pub(super) const fn close(&mut self) {
        self.open -= 1;
    }

    /// The servers have closed all idle connections.
    pub(super) fn lose_idle(&mut self) {
        self.open -= self.idle.len() as u32;
        self.idle.clear();
    }

    /// The request `id` in `slot` waits for a connection.
    pub(super) fn wait(&mut self, slot: u32, id: u64) {
        self.waiting.push_back((slot, id));
    }

    /// The next request that waits, if a connection can be had. It may have given up meanwhile.
    pub(super) fn next_waiting(&mut self) -> Option<(u32, u64)> {
        if self.open >= self.limit && self.idle.is_empty() {
            return None;
        }
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    fn client(connections: u32, requests_per_connection: u32) -> Client {
        let config = ClientConfig {
            connections,
            requests_per_connection,
            timeout: Span::from_secs(1),
            in_flight_cap: 0,
        };
        Client::new(&config, true)
    }

    #[test]
    fn connections_are_kept_and_the_last_used_comes_first() {
        let mut client = client(0, 0);
        assert_eq!(client.take(0), Connection::Fresh);
        assert_eq!(client.take(0), Connection::Fresh);
        client.give_back(0, 1);
        client.give_back(0, 7);
        assert_eq!(client.take(0), Connection::Kept(7));
        assert_eq!(client.take(1), Connection::Fresh, "an idle one to another view is of no use");
    }

    #[test]
    fn at_the_limit_requests_wait_in_order() {
        let mut client = client(1, 0);
        assert_eq!(client.take(0), Connection::Fresh);
        assert_eq!(client.take(0), Connection::None);
        client.wait(4, 40);
        client.wait(5, 50);
        assert_eq!(client.next_waiting(), None);
        client.give_back(0, 1);
        assert_eq!(client.next_waiting(), Some((4, 40)));
        assert_eq!(client.take(0), Connection::Kept(1));
        client.close();
        assert_eq!(client.next_waiting(), Some((5, 50)));
        assert_eq!(client.take(0), Connection::Fresh);
    }

    #[test]
    fn a_connection_carries_no_more_than_its_number() {
        let mut client = client(1, 2);
        assert_eq!(client.take(0), Connection::Fresh);
        client.give_back(0, 1);
        assert_eq!(client.take(0), Connection::Kept(1));
        client.give_back(0, 2);
        assert_eq!(client.take(0), Connection::Fresh);
    }
}
