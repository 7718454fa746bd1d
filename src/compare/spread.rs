//! How evenly the work was spread over the peers.
//!
//! A peer that an autoscaler starts and stops is there for a part of the time. What it should have
//! got is counted piece by piece ([`super::layout::Piece`]): the requests due in a piece are spread
//! by weight over the primaries that were there in it, each for as long as it was ready. Over all
//! pieces that is its expected share; where nobody comes or goes it is the share by weight. A peer
//! that was never there is expected to get nothing, and is in no index.

use super::digest::Digest;
use super::layout::Layout;
use super::sample::{PieceCells, Sample};
use super::summary::PeerShare;
use crate::units::Nanos;

/// Per peer in configuration order, of the requests of `sample`, which is one of `digest`.
pub(super) fn shares(digest: &Digest, sample: &Sample<'_>) -> Vec<PeerShare> {
    let layout = digest.layout();
    let reached: u64 = sample.peers.iter().map(|tally| tally.requests).sum();
    let there = time_there(digest, sample);
    let fair = fair(layout, sample, there.as_deref());
    let peers = layout.peers.iter().zip(&sample.peers).zip(fair).enumerate();
    peers
        .map(|(place, ((peer, tally), expected))| {
            let seconds = there.as_ref().map_or(sample.seconds, |pieces| {
                pieces.iter().map(|seconds| seconds[place]).sum::<f64>()
            });
            let present =
                if there.is_some() { ratio(seconds, sample.seconds).min(1.0) } else { 1.0 };
            PeerShare {
                name: peer.name.clone(),
                weight: peer.weight,
                backup: peer.backup,
                present,
                expected,
                requests: tally.requests,
                share: ratio(tally.requests as f64, reached as f64),
                utilisation: ratio(
                    tally.service_ns as f64 / 1e9,
                    f64::from(peer.workers) * seconds,
                ),
            }
        })
        .collect()
}

/// For how long each peer was ready in each piece of the sample's time, seconds of all replications
/// together: `seconds[piece][peer]`; `None` where all are there all the time.
fn time_there(digest: &Digest, sample: &Sample<'_>) -> Option<Vec<Vec<f64>>> {
    let facts = digest.layout().scaling.as_ref()?;
    let replications = f64::from(digest.replications());
    let runs: Vec<_> = digest.scaling.iter().map(|tally| tally.serving(facts)).collect();
    let of = |piece: &PieceCells<'_>| {
        let (from, until) = piece.time;
        let mut seconds = vec![span(from, until) * replications; digest.layout().peers.len()];
        for (slot, place) in facts.slots.clone().enumerate() {
            if let Some(seconds) = seconds.get_mut(place) {
                *seconds = runs.iter().map(|run| ready(run, slot, from, until)).sum();
            }
        }
        seconds
    };
    Some(sample.pieces.iter().map(of).collect())
}

/// Seconds in which a slot serves between two instants.
fn ready(run: &[(Nanos, Vec<bool>)], slot: usize, from: Nanos, until: Nanos) -> f64 {
    let ends = run.iter().skip(1).map(|(at, _)| *at).chain([Nanos::MAX]);
    let parts = run.iter().zip(ends).filter(|((_, serves), _)| serves[slot]);
    // The sum of no parts is -0.0, which is nothing to show.
    0.0 + parts.map(|((begin, _), end)| span((*begin).max(from), end.min(until))).sum::<f64>()
}

fn span(from: Nanos, until: Nanos) -> f64 {
    if from < until { until.since(from).as_secs_f64() } else { 0.0 }
}

/// The share that each peer should have got; 0 for a backup.
fn fair(layout: &Layout, sample: &Sample<'_>, there: Option<&[Vec<f64>]>) -> Vec<f64> {
    let weight = |place: usize| {
        let peer = &layout.peers[place];
        if peer.backup { 0.0 } else { f64::from(peer.weight) }
    };
    let mut fair: Vec<f64> = (0..layout.peers.len()).map(weight).collect();
    if let Some(there) = there {
        fair.fill(0.0);
        let loads: Vec<u64> = sample.pieces.iter().map(PieceCells::reached).collect();
        let any = loads.iter().any(|load| *load > 0);
        for ((piece, seconds), load) in sample.pieces.iter().zip(there).zip(loads) {
            // Without a request, time stands in for them.
            let load = if any { load as f64 } else { span(piece.time.0, piece.time.1) };
            let weights: f64 = (0..seconds.len()).map(|place| weight(place) * seconds[place]).sum();
            for (place, fair) in fair.iter_mut().enumerate() {
                *fair += load * ratio(weight(place) * seconds[place], weights);
            }
        }
    }
    let whole: f64 = fair.iter().sum();
    fair.into_iter().map(|part| ratio(part, whole)).collect()
}

/// Jain's index of amounts: (Σx)² / (n Σx²), from 1/n (one has all) to 1 (even); `None` if nothing was
/// spread. Jain, Chiu, Hawe: "A quantitative measure of fairness", DEC TR-301, 1984.
#[must_use]
pub fn jain_of(amounts: &[f64]) -> Option<f64> {
    let sum: f64 = amounts.iter().sum();
    let squares: f64 = amounts.iter().map(|x| x * x).sum();
    (squares > 0.0).then(|| sum * sum / (amounts.len() as f64 * squares))
}

/// Jain's index over the primaries that were there, of what each got over what it should have got;
/// 1 if nothing was spread.
#[must_use]
pub fn jain(shares: &[PeerShare]) -> f64 {
    let of_fair: Vec<f64> = shares
        .iter()
        .filter(|share| share.expected > 0.0)
        .map(|share| share.requests as f64 / share.expected)
        .collect();
    jain_of(&of_fair).unwrap_or(1.0)
}

/// Largest utilisation of a primary that was there over their mean, and their 95th percentile (interpolated)
/// over it; 1 if nobody worked.
#[must_use]
pub fn utilisation_over_mean(shares: &[PeerShare]) -> (f64, f64) {
    let mut busy: Vec<f64> =
        shares.iter().filter(|share| share.expected > 0.0).map(|share| share.utilisation).collect();
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
    use super::super::digest::tests::row;
    use super::super::layout::tests::layout;
    use super::super::sample::Selection;
    use super::super::scaling::ScalingLayout;
    use super::*;
    use crate::record::{EventKind, EventRow, RequestRow, Sink};
    use crate::units::{Span, World};

    const SECOND: u64 = 1_000_000_000;

    /// So many requests of 10 ms at each peer, due evenly over the measured 50 s.
    fn digest(layout: &Layout, requests: [u64; 3]) -> Digest {
        let mut digest = Digest::new(layout, World::Sim);
        for (upstream, count) in (0..).zip(requests) {
            for i in 0..count {
                let due = 10 * SECOND + i * 50 * SECOND / count;
                digest.request(&RequestRow { upstream, ..row(i, due, 10_000_000) });
            }
        }
        digest
    }

    fn shares_of(requests: [u64; 3]) -> Vec<PeerShare> {
        let digest = digest(&layout(), requests);
        shares(&digest, &digest.sample(Selection::default()))
    }

    #[test]
    fn shares_stand_beside_what_the_weights_promise() {
        let shares = shares_of([500, 300, 200]);
        let found: Vec<(f64, f64)> = shares.iter().map(|s| (s.expected, s.share)).collect();
        assert_eq!(found, [(0.625, 0.5), (0.375, 0.3), (0.0, 0.2)]);
        // 500 requests of 10 ms on two workers in 50 s.
        assert!((shares[0].utilisation - 0.05).abs() < 1e-12);
        assert!((jain(&shares) - 1.0).abs() < 1e-12, "5:3 is even by weight");
    }

    #[test]
    fn jain_is_one_over_n_if_one_peer_has_all() {
        let shares = shares_of([100, 0, 0]);
        assert!((jain(&shares) - 0.5).abs() < 1e-12);
        let (max, p95) = utilisation_over_mean(&shares);
        assert!((max - 2.0).abs() < 1e-12 && (p95 - 1.9).abs() < 1e-12, "{max} {p95}");
    }

    #[test]
    fn nothing_at_all_is_even() {
        let shares = shares_of([0; 3]);
        assert_eq!((jain(&shares), utilisation_over_mean(&shares)), (1.0, (1.0, 1.0)));
    }

    /// Three slots of equal weight: one there all the time, one from 35 s on, one never.
    fn scaled(requests: &[(u32, u64, u64)]) -> Digest {
        let mut layout = layout();
        for peer in &mut layout.peers {
            (peer.weight, peer.backup, peer.workers) = (1, false, 1);
        }
        layout.scaling = Some(ScalingLayout {
            group: "api".to_owned(),
            slots: 0..3,
            workers: 1,
            initial: 1,
            poll: Span::from_secs(1),
            scrape_interval: Span::from_secs(1),
            rate_window: Span::from_secs(1),
            up: None,
            down: None,
            slo: None,
        });
        let mut digest = Digest::new(&layout, World::Live);
        digest.event(&EventRow {
            world: World::Live,
            replication: 0,
            at_ns: 35 * SECOND,
            kind: EventKind::Scaled,
            subject: "api-2".to_owned(),
            reason: "is ready and serves".to_owned(),
        });
        for (upstream, from, until) in requests {
            for i in from * 10..until * 10 {
                let request = row(i, i * SECOND / 10, 10_000_000);
                digest.request(&RequestRow { upstream: *upstream, ..request });
            }
        }
        digest
    }

    #[test]
    fn who_was_there_for_a_part_is_expected_to_have_its_part_of_that_time() {
        // From 35 s on twice the load, half of it for each.
        let digest = scaled(&[(0, 10, 60), (1, 35, 60)]);
        let shares = shares(&digest, &digest.sample(Selection::default()));
        let present: Vec<f64> = shares.iter().map(|share| share.present).collect();
        assert!((present[1] - 0.5).abs() < 1e-9, "{present:?}");
        assert_eq!((present[0], present[2]), (1.0, 0.0));
        for share in &shares {
            assert!((share.expected - share.share).abs() < 0.01, "{share:?}");
        }
        assert!(jain(&shares) > 0.999, "{}", jain(&shares));
        // Each is busy for 10 % of the time that it is there.
        assert!((shares[1].utilisation - 0.1).abs() < 1e-9, "{shares:?}");
        assert!((utilisation_over_mean(&shares).0 - 1.0).abs() < 1e-6, "{shares:?}");
        // Of two that are there one has all: the one that is not there does not count.
        let uneven = scaled(&[(1, 35, 60)]);
        let time = Some((Nanos(40 * SECOND), Nanos(60 * SECOND)));
        let shares = super::shares(&uneven, &uneven.sample(Selection { class: None, time }));
        assert!((jain(&shares) - 0.5).abs() < 1e-9, "{shares:?}");
    }
}
