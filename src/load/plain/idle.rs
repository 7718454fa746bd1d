//! Connections that wait for a request, and how many more may be opened.

use std::collections::{BTreeMap, VecDeque};

use super::super::pool::Route;

/// Idle connections by route, and the limits of the client.
#[derive(Debug)]
pub(super) struct Idle {
    /// By route, used last at the back, with the turn of each.
    routes: BTreeMap<Route, VecDeque<(u32, u64)>>,
    turn: u64,
    /// Open, or being opened.
    open: u32,
    limit: u32,
}

/// What a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// The connection in this slot.
    Connection(u32),
    /// It may open one; the connection in this slot must be closed for it.
    Open { instead_of: Option<u32> },
    /// All connections are in use.
    Wait,
}

impl Idle {
    pub(super) const fn new(limit: u32) -> Self {
        Self { routes: BTreeMap::new(), turn: 0, open: 0, limit }
    }

    /// A connection for `route`: the one used last, or a new one while the limit allows; at the
    /// limit an idle connection of another route is given up for it.
    pub(super) fn take(&mut self, route: Route) -> Taken {
        if let Some(idle) = self.routes.get_mut(&route)
            && let Some((slot, _)) = idle.pop_back()
        {
            self.forget_empty(route);
            return Taken::Connection(slot);
        }
        if self.open < self.limit {
            self.open += 1;
            return Taken::Open { instead_of: None };
        }
        match self.oldest() {
            Some(route) => {
                let oldest = self.routes.get_mut(&route).and_then(VecDeque::pop_front);
                self.forget_empty(route);
                Taken::Open { instead_of: oldest.map(|(slot, _)| slot) }
            }
            None => Taken::Wait,
        }
    }

    /// The connection in `slot` may carry another request.
    pub(super) fn put(&mut self, route: Route, slot: u32) {
        self.turn += 1;
        self.routes.entry(route).or_default().push_back((slot, self.turn));
    }

    /// The idle connection in `slot` was closed.
    pub(super) fn remove(&mut self, route: Route, slot: u32) {
        if let Some(idle) = self.routes.get_mut(&route) {
            idle.retain(|&(other, _)| other != slot);
            self.forget_empty(route);
        }
        self.closed();
    }

    /// A connection that was in use was closed.
    pub(super) fn closed(&mut self) {
        self.open -= 1;
    }

    /// Whether somebody who waits would get a connection.
    pub(super) fn is_available(&self) -> bool {
        self.open < self.limit || self.routes.values().any(|idle| !idle.is_empty())
    }

    /// The route of the connection that is idle for longest.
    fn oldest(&self) -> Option<Route> {
        let since = |idle: &VecDeque<(u32, u64)>| idle.front().map(|&(_, turn)| turn);
        let oldest = self.routes.iter().filter_map(|(route, idle)| Some((since(idle)?, *route)));
        oldest.min().map(|(_, route)| route)
    }

    /// Clients with addresses of their own are many; others keep their list.
    fn forget_empty(&mut self, route: Route) {
        if route.client != 0 && self.routes.get(&route).is_some_and(VecDeque::is_empty) {
            self.routes.remove(&route);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(target: usize) -> Route {
        Route { target, client: 0 }
    }

    #[test]
    fn the_one_used_last_is_used_first() {
        let mut idle = Idle::new(u32::MAX);
        assert_eq!(idle.take(to(0)), Taken::Open { instead_of: None });
        idle.put(to(0), 4);
        idle.put(to(0), 9);
        assert_eq!(idle.take(to(0)), Taken::Connection(9));
        assert_eq!(idle.take(to(1)), Taken::Open { instead_of: None });
        idle.remove(to(0), 4);
        assert_eq!(idle.take(to(0)), Taken::Open { instead_of: None });
    }

    #[test]
    fn at_the_limit_an_idle_one_of_another_route_makes_room_and_else_one_waits() {
        let mut idle = Idle::new(2);
        idle.take(to(0));
        idle.take(to(0));
        assert_eq!((idle.take(to(1)), idle.is_available()), (Taken::Wait, false));
        idle.put(to(0), 1);
        idle.put(to(0), 2);
        assert!(idle.is_available());
        assert_eq!(idle.take(to(1)), Taken::Open { instead_of: Some(1) });
        assert_eq!(idle.take(to(0)), Taken::Connection(2));
        idle.closed();
        assert_eq!(idle.take(to(0)), Taken::Open { instead_of: None });
    }

    #[test]
    fn clients_of_their_own_leave_no_list_behind() {
        let mut idle = Idle::new(8);
        let route = Route { target: 0, client: 5 };
        idle.put(route, 1);
        assert_eq!(idle.take(route), Taken::Connection(1));
        assert!(idle.routes.is_empty());
    }
}
