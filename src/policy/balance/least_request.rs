//! Envoy's `LEAST_REQUEST` (`LeastRequestLoadBalancer` in
//! `source/extensions/load_balancing_policies/least_request/least_request_lb.cc`).
//!
//! While all weights are equal, `choices` peers are drawn uniformly **with replacement** and the
//! one with the fewest requests in flight is taken, the first drawn on ties: with two peers the
//! busier still gets a quarter of the requests, when both draws fall on it. Unequal weights switch
//! to earliest deadline first with the weight `w / (in flight + 1)^bias`, which is looked at only
//! when a peer was just picked, before its new request counts: stale until its next turn.

use serde::{Deserialize, Serialize};

use super::schedules::{Schedules, present_weight};
use super::{Ask, uniform};
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::Peers;
use crate::units::Draw;

/// Parameters of `least_request`, with Envoy's names for them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeastRequestConfig {
    /// Peers drawn per pick (`choice_count`), at least 1 (0 is taken as 1).
    pub choices: u32,
    /// Look at all peers instead (`selection_method: FULL_SCAN`), ties at random.
    pub full_scan: bool,
    /// Exponent of the requests in flight under unequal weights (`active_request_bias`); 0 makes
    /// it plain weighted round robin.
    pub active_request_bias: f64,
}

impl LeastRequestConfig {
    /// Envoy's defaults: two choices, bias 1.
    pub const DEFAULT: Self = Self { choices: 2, full_scan: false, active_request_bias: 1.0 };
}

/// State of the policy.
pub(in crate::policy) struct LeastRequest {
    config: LeastRequestConfig,
    schedules: Schedules,
}

impl LeastRequest {
    pub(super) fn new(config: LeastRequestConfig) -> Self {
        Self { config, schedules: Schedules::default() }
    }

    pub(super) fn peers_changed(&mut self, peers: &Peers) {
        self.schedules.peers_changed(peers);
    }

    pub(super) fn pick(&mut self, peers: &Peers, ask: Ask<'_>, mut draw: Draw) -> Option<PeerId> {
        if !self.schedules.has_equal_weights(ask.list) {
            let bias = self.config.active_request_bias;
            return self.schedules.pick(peers, ask, &mut draw, |peer| biased(peer, bias));
        }
        if self.config.full_scan {
            return least_of_all(peers, ask, &mut draw);
        }
        let mut best = uniform::one(peers, ask, None, &mut draw)?;
        for _ in 1..self.config.choices {
            let other = uniform::one(peers, ask, None, &mut draw)?;
            if in_flight(peers, other) < in_flight(peers, best) {
                best = other;
            }
        }
        Some(best)
    }
}

fn in_flight(peers: &Peers, id: PeerId) -> u32 {
    peers.get(id).map_or(u32::MAX, Peer::in_flight)
}

fn biased(peer: &Peer, bias: f64) -> f64 {
    let weight = present_weight(peer);
    let active = f64::from(peer.in_flight()) + 1.0;
    if bias == 1.0 { weight / active } else { weight / libm::pow(active, bias) }
}

/// The true minimum; each of the tied with the same probability.
fn least_of_all(peers: &Peers, ask: Ask<'_>, draw: &mut Draw) -> Option<PeerId> {
    let (mut best, mut least, mut tied) = (None, u32::MAX, 0);
    let members = peers.list(ask.list).iter().filter_map(|id| peers.get(*id));
    for peer in members.filter(|peer| ask.allows(peer)) {
        if best.is_none() || peer.in_flight() < least {
            (best, least, tied) = (Some(peer.id()), peer.in_flight(), 1);
        } else if peer.in_flight() == least {
            tied += 1;
            if draw.below(tied) == 0 {
                best = Some(peer.id());
            }
        }
    }
    best
}
