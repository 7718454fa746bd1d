//! A change of the peers by a reload: new workers begin with a state of their own, beside the old
//! ones, which finish what they have.
//!
//! NGINX makes its peers anew from the configuration (`ngx_http_upstream_init_round_robin` in
//! `ngx_http_upstream_round_robin.c`), and a zone is not used again (`noreuse` in
//! `ngx_http_upstream_zone_module.c`): requests in flight, failures and effective weights are
//! forgotten. The old workers close their idle connections.

use super::fleet;
use super::observe::Observe;
use super::view::View;
use super::world::World;
use crate::record::Sink;
use crate::scenario::BalancerFacts;
use crate::units::Nanos;

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// Every view gives way to a new one, in which drained backends are `down`. The old views are
    /// kept behind the new ones: what is in flight goes on there, retries too.
    pub(super) fn reload(&mut self) {
        let balancer = self.balancer_now();
        let follows = fleet::connections_matter(self.scenario);
        for place in 0..self.serving {
            let fresh = View::new(&balancer, self.seed, follows);
            let mut old = std::mem::replace(&mut self.views[place as usize], fresh);
            // Its wake-up in the queue is that of the new one now.
            old.armed = Nanos::MAX;
            let behind = self.views.len() as u32;
            self.views.push(old);
            self.flights.hand_over(place, behind);
            self.settle(behind);
        }
        self.client.lose_idle();
    }

    /// The balancer as its configuration has it now.
    fn balancer_now(&self) -> BalancerFacts {
        let mut balancer = self.scenario.balancer.clone();
        let peers = balancer.upstream.peers.iter_mut().zip(&self.fleet);
        for (place, (peer, backend)) in peers.enumerate() {
            peer.down |= backend.is_drained();
            if let Some(scaling) = &self.scaling {
                peer.absent = !scaling.is_balanced(place);
            }
        }
        balancer
    }

    /// Whether `view` takes requests: it is not that of workers that were told to go.
    pub(super) const fn serves(&self, view: u32) -> bool {
        view < self.serving
    }
}
