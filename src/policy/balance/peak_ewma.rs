//! Peak EWMA: two random peers, the one with the lower `latency × (in flight + 1)`.
//!
//! The latency is an exponentially weighted moving average by time that jumps to every new peak at
//! once and forgets it slowly. It decays while it is read too, so that a peer which was slow and
//! therefore gets nothing is tried again. Two descendants of one idea differ in how a new peer
//! starts: Finagle (`PeakEwma.scala` in `finagle-core/src/main/scala/com/twitter/finagle/
//! loadbalancer`) gives it one request and then a prohibitive load until that has ended; tower
//! (`tower/src/load/peak_ewma.rs`, used by linkerd2-proxy) takes a default for its latency.
//!
//! Both draw two distinct peers (`P2C.scala`; `tower/src/balance/p2c/service.rs`), the first drawn
//! wins ties. Neither has weights; here the load of a peer is divided by its weight. An attempt
//! that failed counts with the time it took, as in both.

use serde::{Deserialize, Serialize};

use super::{Ask, uniform};
use crate::policy::peer::PeerId;
use crate::policy::peers::Peers;
use crate::units::{Draw, Nanos, Span};

/// Whose rules for a new peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PeakEwmaVariant {
    /// The first request tells; until it ends the peer gets no other.
    Finagle,
    /// A default latency until the first request ends.
    Tower,
}

/// Parameters of `peak_ewma`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeakEwmaConfig {
    /// Whose rules for a new peer.
    pub variant: PeakEwmaVariant,
    /// Time constant of forgetting; above zero (zero is taken as one nanosecond).
    pub decay: Span,
    /// Latency assumed of a new peer; used by [`PeakEwmaVariant::Tower`] alone.
    pub default_rtt: Span,
}

impl PeakEwmaConfig {
    /// tower, with the values of linkerd2-proxy.
    pub const DEFAULT: Self = Self {
        variant: PeakEwmaVariant::Tower,
        decay: Span::from_secs(10),
        default_rtt: Span::from_millis(30),
    };
}

/// Finagle's load of a peer of unknown latency with a request under way, in nanoseconds.
const PENALTY: f64 = (i64::MAX >> 16) as f64;

/// What is known of one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeakEwma {
    variant: PeakEwmaVariant,
    /// In nanoseconds, as is the cost.
    decay: f64,
    cost: f64,
    stamp: Nanos,
    pending: u32,
}

impl PeakEwma {
    /// A peer that is new at `now`.
    #[must_use]
    pub fn new(config: PeakEwmaConfig, now: Nanos) -> Self {
        let cost = match config.variant {
            PeakEwmaVariant::Finagle => 0.0,
            PeakEwmaVariant::Tower => config.default_rtt.0 as f64,
        };
        let decay = config.decay.0.max(1) as f64;
        Self { variant: config.variant, decay, cost, stamp: now, pending: 0 }
    }

    /// A request starts.
    pub const fn start(&mut self) {
        self.pending = self.pending.saturating_add(1);
    }

    /// A request ends at `now` that took `rtt`.
    pub fn end(&mut self, now: Nanos, rtt: Span) {
        self.observe(now, rtt.0 as f64);
        self.pending = self.pending.saturating_sub(1);
    }

    /// The load at `now`: latency times requests, in nanoseconds. Reading it is an observation of
    /// no latency at all, which is what makes it decay.
    #[must_use]
    pub fn load(&mut self, now: Nanos) -> f64 {
        self.observe(now, 0.0);
        let unknown = self.cost == 0.0 && self.variant == PeakEwmaVariant::Finagle;
        if unknown && self.pending > 0 {
            return PENALTY + f64::from(self.pending);
        }
        self.cost * (f64::from(self.pending) + 1.0)
    }

    fn observe(&mut self, now: Nanos, rtt: f64) {
        let age = now.since(self.stamp).0;
        self.stamp = self.stamp.max(now);
        if rtt > self.cost {
            self.cost = rtt;
        } else if age > 0 || rtt > 0.0 {
            let kept = libm::exp(-(age as f64) / self.decay);
            self.cost = self.cost * kept + rtt * (1.0 - kept);
        }
    }
}

/// State of the policy.
pub(in crate::policy) struct PeakEwmaTwo {
    config: PeakEwmaConfig,
    /// By the number of the peer.
    known: Vec<PeakEwma>,
}

impl PeakEwmaTwo {
    pub(super) const fn new(config: PeakEwmaConfig) -> Self {
        Self { config, known: Vec::new() }
    }

    pub(super) fn peers_changed(&mut self, peers: &Peers, now: Nanos) {
        self.known.resize_with(peers.count(), || PeakEwma::new(self.config, now));
    }

    /// `peer` is new, but for `active` requests that have yet to end.
    pub(super) fn forget(&mut self, peer: PeerId, active: u32, now: Nanos) {
        if let Some(known) = self.known.get_mut(peer.index()) {
            *known = PeakEwma { pending: active, ..PeakEwma::new(self.config, now) };
        }
    }

    pub(super) fn started(&mut self, peer: PeerId) {
        if let Some(known) = self.known.get_mut(peer.index()) {
            known.start();
        }
    }

    pub(super) fn finished(&mut self, peer: PeerId, now: Nanos, took: Span) {
        if let Some(known) = self.known.get_mut(peer.index()) {
            known.end(now, took);
        }
    }

    pub(super) fn pick(&mut self, peers: &Peers, ask: Ask<'_>, mut draw: Draw) -> Option<PeerId> {
        let first = uniform::one(peers, ask, None, &mut draw)?;
        let Some(second) = uniform::one(peers, ask, Some(first), &mut draw) else {
            return Some(first);
        };
        let mut load = |id: PeerId| {
            let weight = peers.get(id).map_or(1, |peer| peer.weight());
            self.known[id.index()].load(ask.now) / f64::from(weight)
        };
        Some(if load(second) < load(first) { second } else { first })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Nanos {
        Nanos(millis * 1_000_000)
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_slowly() {
        let mut peer = PeakEwma::new(PeakEwmaConfig::DEFAULT, at(0));
        peer.start();
        peer.end(at(0), Span::from_millis(900));
        assert_eq!(peer.load(at(0)), 900e6);
        peer.start();
        peer.end(at(5), Span::from_millis(5));
        let after = peer.load(at(5));
        assert!((895e6..900e6).contains(&after), "one fast answer does not excuse it: {after}");
        let later = peer.load(at(30_005));
        assert!(later < 0.06 * after, "e^-3 of it after three time constants: {later}");
    }

    #[test]
    fn reading_twice_is_reading_once() {
        let known = PeakEwma::new(PeakEwmaConfig::DEFAULT, at(0));
        let (mut one, mut other) = (known.clone(), known);
        for millis in (100..2_000).step_by(100) {
            let _ = one.load(at(millis));
        }
        assert!((one.load(at(2_000)) / other.load(at(2_000)) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn with_finagle_a_new_peer_gets_one_request() {
        let config =
            PeakEwmaConfig { variant: PeakEwmaVariant::Finagle, ..PeakEwmaConfig::DEFAULT };
        let mut peer = PeakEwma::new(config, at(0));
        assert_eq!(peer.load(at(1)), 0.0);
        peer.start();
        assert!(peer.load(at(2)) > 1e14);
        peer.end(at(12), Span::from_millis(10));
        assert_eq!(peer.load(at(12)), 10e6);
    }
}
