//! The queue of the backend and those of its servers (`src/queue.c`).

use std::collections::VecDeque;

use crate::policy::attempt::Ticket;
use crate::policy::limit::Waiter;
use crate::policy::peer::PeerId;
use crate::units::Nanos;

/// HAProxy orders its queues by the millisecond.
const MILLISECOND: u64 = 1_000_000;

#[derive(Debug)]
struct Queued {
    waiter: Waiter,
    joined: Nanos,
}

/// All queues of a backend, each first in first out.
#[derive(Debug, Default)]
pub(in crate::policy) struct Queues {
    backend: VecDeque<Queued>,
    /// By number of peer.
    servers: Vec<VecDeque<Queued>>,
    count: usize,
}

impl Queues {
    /// Requests in all queues.
    pub(in crate::policy) const fn len(&self) -> usize {
        self.count
    }

    /// Whether nobody waits for any server.
    pub(in crate::policy) fn backend_is_empty(&self) -> bool {
        self.backend.is_empty()
    }

    /// Joins the queue of `server`, or that of the backend.
    pub(in crate::policy) fn join(&mut self, now: Nanos, server: Option<PeerId>, waiter: Waiter) {
        let queue = match server {
            None => &mut self.backend,
            Some(id) => {
                if self.servers.len() <= id.index() {
                    self.servers.resize_with(id.index() + 1, VecDeque::new);
                }
                &mut self.servers[id.index()]
            }
        };
        queue.push_back(Queued { waiter, joined: now });
        self.count += 1;
    }

    /// Who takes a free slot of `server`, and whether it waited for that server alone: the older of
    /// the two heads, the server's own if both came in the same millisecond
    /// (`pendconn_process_next_strm`). Without `all` only the server's own queue.
    pub(in crate::policy) fn take_for(
        &mut self,
        server: PeerId,
        all: bool,
    ) -> Option<(Waiter, bool)> {
        let age = |queued: &Queued| queued.joined.0 / MILLISECOND;
        let own = self.servers.get(server.index()).and_then(VecDeque::front).map(age);
        let other = self.backend.front().filter(|_| all).map(age);
        let bound = match (own, other) {
            (Some(own), Some(other)) => own <= other,
            (own, _) => own.is_some(),
        };
        let taken = if bound {
            self.servers.get_mut(server.index())?.pop_front()
        } else if all {
            self.backend.pop_front()
        } else {
            None
        };
        self.count -= usize::from(taken.is_some());
        taken.map(|queued| (queued.waiter, bound))
    }

    /// The first of those who wait for any server.
    pub(in crate::policy) fn take_unbound(&mut self) -> Option<Waiter> {
        let taken = self.backend.pop_front();
        self.count -= usize::from(taken.is_some());
        taken.map(|queued| queued.waiter)
    }

    /// The first in the queue of `server` alone.
    pub(in crate::policy) fn take_bound(&mut self, server: PeerId) -> Option<Waiter> {
        let taken = self.servers.get_mut(server.index())?.pop_front();
        self.count -= usize::from(taken.is_some());
        taken.map(|queued| queued.waiter)
    }

    /// Takes out a ticket, with the server that it waited for.
    pub(in crate::policy) fn leave(&mut self, ticket: Ticket) -> Option<(Waiter, Option<PeerId>)> {
        self.take_if(|queue| queue.iter().position(|queued| queued.waiter.ticket == ticket))
    }

    /// Takes out somebody who has waited too long.
    pub(in crate::policy) fn expire(&mut self, now: Nanos) -> Option<(Waiter, Option<PeerId>)> {
        self.next_deadline().filter(|at| *at <= now)?;
        self.take_if(|queue| {
            queue.front().is_some_and(|first| first.waiter.deadline <= now).then_some(0)
        })
    }

    fn take_if(
        &mut self,
        place: impl Fn(&VecDeque<Queued>) -> Option<usize>,
    ) -> Option<(Waiter, Option<PeerId>)> {
        let servers = (0..).map(|id| Some(PeerId(id)));
        let queues =
            std::iter::once((None, &mut self.backend)).chain(servers.zip(self.servers.iter_mut()));
        for (server, queue) in queues {
            if let Some(queued) = place(queue).and_then(|place| queue.remove(place)) {
                self.count -= 1;
                return Some((queued.waiter, server));
            }
        }
        None
    }

    /// When the first has waited too long: in each queue the first to come is the first to go.
    pub(in crate::policy) fn next_deadline(&self) -> Option<Nanos> {
        if self.count == 0 {
            return None;
        }
        let fronts = self.servers.iter().chain([&self.backend]).filter_map(VecDeque::front);
        fronts.map(|queued| queued.waiter.deadline).min()
    }
}
