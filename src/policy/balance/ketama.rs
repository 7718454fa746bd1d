//! The points of NGINX's ring (`ngx_http_upstream_init_chash` in
//! `src/http/modules/ngx_http_upstream_hash_module.c`, after Cache::Memcached::Fast's ketama).
//!
//! Each peer has 160 points for each unit of its weight. A point is the CRC-32 of the host, a zero
//! byte, the port, and the point before it as four little-endian bytes, zeros for the first. Host
//! and port are the peer's name split at its last colon, if only digits follow.

use crc32fast::Hasher;

use super::consistent_hash::Point;
use crate::policy::peer::{Peer, PeerId};

/// Points for each unit of weight.
const POINTS: u64 = 160;
/// Most points on a ring, lest large weights take the memory: beyond it all have fewer, in
/// proportion.
const POINTS_MAX: u64 = 1 << 22;

/// The points of `peers`, not in order.
pub(super) fn points(peers: &[&Peer]) -> Vec<Point> {
    let wanted: u64 = peers.iter().map(|peer| POINTS * u64::from(peer.weight())).sum();
    let mut points = Vec::with_capacity(wanted.min(POINTS_MAX) as usize);
    for peer in peers {
        let count = POINTS * u64::from(peer.weight());
        let count = if wanted <= POINTS_MAX { count } else { scaled(count, wanted) };
        let base = base(peer.name());
        let mut last = 0u32;
        for _ in 0..count {
            let mut hasher = base.clone();
            hasher.update(&last.to_le_bytes());
            last = hasher.finalize();
            points.push(Point { value: u64::from(last), owner: peer.id() });
        }
    }
    points
}

/// Whether peers of these weights have fewer points than their weights ask for.
pub(super) fn is_scaled(weights: &[(PeerId, u32)]) -> bool {
    weights.iter().map(|(_, weight)| POINTS * u64::from(*weight)).sum::<u64>() > POINTS_MAX
}

fn scaled(count: u64, wanted: u64) -> u64 {
    let scaled = u128::from(count) * u128::from(POINTS_MAX) / u128::from(wanted);
    (scaled as u64).max(1)
}

/// What every point of a server begins with.
fn base(name: &str) -> Hasher {
    let name = name.strip_prefix("unix:").unwrap_or(name);
    let split = name.rsplit_once(':').filter(|(_, port)| is_number(port));
    let (host, port) = split.unwrap_or((name, ""));
    let mut hasher = Hasher::new();
    hasher.update(host.as_bytes());
    hasher.update(&[0]);
    hasher.update(port.as_bytes());
    hasher
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
