//! The points of Envoy's ring (`source/extensions/load_balancing_policies/ring_hash/ring_hash_lb.cc`).
//!
//! With weights normalised to a sum of 1 the ring is scaled so that the lightest peer has a whole
//! number of points and there are at least as many as asked for. Peer by peer, while the number
//! of points is below the running sum of scaled weights, a point is added: xxHash64 of the name,
//! `_`, and the number of the peer's point.

use std::fmt::Write as _;

use twox_hash::XxHash64;

use super::consistent_hash::Point;
use crate::policy::peer::Peer;

/// Envoy's default `maximum_ring_size`.
const POINTS_MAX: f64 = (8 << 20) as f64;

/// The points of `peers`, not in order; at least `size` unless that is more than 8 Mi.
pub(super) fn points(peers: &[&Peer], size: u32) -> Vec<Point> {
    let sum: f64 = peers.iter().map(|peer| f64::from(peer.weight())).sum();
    let normalised = |peer: &Peer| f64::from(peer.weight()) / sum;
    let lightest = peers.iter().map(|peer| normalised(peer)).fold(1.0, f64::min);
    let scale = ((lightest * f64::from(size)).ceil() / lightest).min(POINTS_MAX);
    let mut points = Vec::with_capacity(scale.ceil() as usize);
    let (mut current, mut target) = (0.0, 0.0);
    let mut text = String::new();
    for peer in peers {
        target += scale * normalised(peer);
        let mut number = 0u64;
        while current < target {
            text.clear();
            // Writing to a string cannot fail.
            let _ = write!(text, "{}_{number}", peer.name());
            let value = XxHash64::oneshot(0, text.as_bytes());
            points.push(Point { value, owner: peer.id() });
            number += 1;
            current += 1.0;
        }
    }
    points
}
