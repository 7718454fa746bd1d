//! How evenly the work was spread over the peers.

use super::digest::PeerTally;
use super::layout::Layout;
use super::summary::PeerShare;

/// Per peer in configuration order; `seconds` is the measured time of all replications together.
pub(super) fn shares(layout: &Layout, tallies: &[PeerTally], seconds: f64) -> Vec<PeerShare> {
    let reached: u64 = tallies.iter().map(|tally| tally.requests).sum();
    let weights: u64 = layout.primaries().map(|(_, peer)| u64::from(peer.weight)).sum();
    layout
        .peers
        .iter()
        .zip(tallies)
        .map(|(peer, tally)| PeerShare {
            name: peer.name.clone(),
            weight: peer.weight,
            backup: peer.backup,
            expected: if peer.backup { 0.0 } else { ratio(f64::from(peer.weight), weights as f64) },
            requests: tally.requests,
            share: ratio(tally.requests as f64, reached as f64),
            utilisation: ratio(tally.service_ns as f64 / 1e9, f64::from(peer.workers) * seconds),
        })
        .collect()
}

/// Jain's index of requests per weight over the primaries: (Σx)² / (n Σx²), from 1/n (one has
/// all) to 1 (even). Jain, Chiu, Hawe: "A quantitative measure of fairness", DEC TR-301, 1984.
/// 1 if nothing was spread.
#[must_use]
pub fn jain(shares: &[PeerShare]) -> f64 {
    let per_weight: Vec<f64> = shares
        .iter()
        .filter(|share| !share.backup && share.weight > 0)
        .map(|share| share.requests as f64 / f64::from(share.weight))
        .collect();
    let sum: f64 = per_weight.iter().sum();
    let squares: f64 = per_weight.iter().map(|x| x * x).sum();
    if squares == 0.0 { 1.0 } else { sum * sum / (per_weight.len() as f64 * squares) }
}

/// Largest utilisation of a primary over their mean, and their 95th percentile (interpolated)
/// over it; 1 if nobody worked.
#[must_use]
pub fn utilisation_over_mean(shares: &[PeerShare]) -> (f64, f64) {
    let mut busy: Vec<f64> = shares
        .iter()
        .filter(|share| !share.backup && share.weight > 0)
        .map(|share| share.utilisation)
        .collect();
    busy.sort_by(f64::total_cmp);
    let mean = super::interval::mean(&busy);
    if mean == 0.0 {
        return (1.0, 1.0);
    }
    (busy[busy.len() - 1] / mean, interpolated(&busy, 0.95) / mean)
}

/// Linear interpolation between the order statistics (Hyndman and Fan's definition 7).
fn interpolated(sorted: &[f64], q: f64) -> f64 {
    let place = q * (sorted.len() - 1) as f64;
    let low = place as usize;
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + (sorted[high] - sorted[low]) * (place - low as f64)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::layout::tests::layout;
    use super::*;

    fn tally(requests: u64) -> PeerTally {
        PeerTally { requests, service_ns: requests * 10_000_000 }
    }

    #[test]
    fn shares_stand_beside_what_the_weights_promise() {
        let shares = shares(&layout(), &[tally(500), tally(300), tally(200)], 10.0);
        let found: Vec<(f64, f64)> = shares.iter().map(|s| (s.expected, s.share)).collect();
        assert_eq!(found, [(0.625, 0.5), (0.375, 0.3), (0.0, 0.2)]);
        // 500 requests of 10 ms on two workers in 10 s.
        assert!((shares[0].utilisation - 0.25).abs() < 1e-12);
        assert!((jain(&shares) - 1.0).abs() < 1e-12, "5:3 is even by weight");
    }

    #[test]
    fn jain_is_one_over_n_if_one_peer_has_all() {
        let shares = shares(&layout(), &[tally(100), tally(0), tally(0)], 10.0);
        assert!((jain(&shares) - 0.5).abs() < 1e-12);
        let (max, p95) = utilisation_over_mean(&shares);
        assert!((max - 2.0).abs() < 1e-12 && (p95 - 1.9).abs() < 1e-12, "{max} {p95}");
    }

    #[test]
    fn nothing_at_all_is_even() {
        let shares = shares(&layout(), &[tally(0); 3], 0.0);
        assert_eq!((jain(&shares), utilisation_over_mean(&shares)), (1.0, (1.0, 1.0)));
    }
}
