//! Shares by weight, more weight for more requests, and something for everybody.

use super::rules::SOMEBODY;
use super::{Broken, Kit};
use crate::policy::{Admission, Attempt, Outcome, PeerConfig, RetryConfig};
use crate::units::{Nanos, Span};

/// Requests per unit of weight. A multiple of whole rounds, so that exact policies are exact.
const REQUESTS: u64 = 3000;
/// The same where a doubled weight is looked for.
const FEWER_REQUESTS: u64 = 400;
/// Standard deviations that chance may explain: about one false alarm in 10^9.
const DEVIATIONS: f64 = 6.0;

pub(super) const BY_WEIGHT: &str = "shares requests by weight";
pub(super) const MONOTONE: &str = "gives more weight more requests";
pub(super) const NOBODY_STARVES: &str = "leaves nobody without requests";

const WEIGHTS: [&[u32]; 5] =
    [&[1, 1], &[5, 5, 3], &[1, 2, 3, 4], &[7, 1, 1], &[1, 1, 1, 1, 1, 1, 1, 1, 1, 1]];

/// Each peer's share of many requests is its share of the weights, one at a time and several.
pub(super) fn by_weight(kit: &Kit, tolerance: f64) -> Result<(), Broken> {
    for weights in WEIGHTS {
        for held in [0, 2 * total(weights) as usize] {
            let counts = counts(kit, weights, held, REQUESTS)?;
            let n = counts.iter().sum::<u64>() as f64;
            for (place, (count, weight)) in counts.iter().zip(weights).enumerate() {
                let p = f64::from(*weight) / total(weights) as f64;
                let chance = if tolerance == 0.0 { 1.0 } else { chance(n, p) };
                if (*count as f64 - n * p).abs() > tolerance * n * p + chance {
                    let what = format!(
                        "with weights {weights:?} and {held} in flight peer {place} got {count} \
                         of {n} requests, not about {:.0}",
                        n * p
                    );
                    return Err(kit.broken(BY_WEIGHT, what));
                }
            }
        }
    }
    Ok(())
}

/// A peer of twice the weight gets more than before, with so many in flight that weights matter to
/// policies that look at loads.
pub(super) fn monotone(kit: &Kit) -> Result<(), Broken> {
    for weights in WEIGHTS {
        for place in 0..weights.len() {
            let mut heavier = weights.to_vec();
            heavier[place] *= 2;
            let share = |weights: &[u32]| {
                let counts = counts(kit, weights, 2 * total(weights) as usize, FEWER_REQUESTS)?;
                Ok(counts[place] as f64 / counts.iter().sum::<u64>() as f64)
            };
            let (before, after) = (share(weights)?, share(&heavier)?);
            if after <= before {
                let what = format!(
                    "peer {place} of {weights:?} had {:.1}% of the requests, and {:.1}% with \
                     twice the weight",
                    100.0 * before,
                    100.0 * after
                );
                return Err(kit.broken(MONOTONE, what));
            }
        }
    }
    Ok(())
}

/// Every peer gets something within many requests.
pub(super) fn nobody_starves(kit: &Kit) -> Result<(), Broken> {
    for (weights, held) in [(&[1; 8][..], 0), (&[1; 8], 16), (&[1, 20], 8)] {
        let counts = counts(kit, weights, held, REQUESTS)?;
        if let Some(place) = counts.iter().position(|count| *count == 0) {
            let what = format!(
                "with weights {weights:?} and {held} in flight peer {place} got none of {} \
                 requests",
                counts.iter().sum::<u64>()
            );
            return Err(kit.broken(NOBODY_STARVES, what));
        }
    }
    Ok(())
}

/// Requests that each peer got, with `held` in flight throughout: each is begun as the oldest
/// ends.
fn counts(kit: &Kit, weights: &[u32], held: usize, requests: u64) -> Result<Vec<u64>, Broken> {
    let peer = |(place, weight): (usize, &u32)| PeerConfig {
        weight: *weight,
        ..PeerConfig::new(format!("peer-{place}"))
    };
    let peers = weights.iter().enumerate().map(peer).collect();
    let (mut upstream, witness) = kit.group(peers, RetryConfig::default(), 5);
    let mut counts = vec![0; weights.len()];
    let mut open: std::collections::VecDeque<Attempt> = std::collections::VecDeque::new();
    let mut now = Nanos::ZERO;
    for id in 0..requests * total(weights) {
        now += Span::from_millis(1);
        if open.len() > held.saturating_sub(1)
            && let Some(oldest) = open.pop_front()
        {
            let _nothing_follows = upstream.finished(now, oldest, Outcome::Responded);
        }
        match upstream.admit(now, kit.request(id)) {
            Admission::Go(attempt) => {
                counts[attempt.peer.index()] += 1;
                open.push_back(attempt);
            }
            _ => {
                let what = witness
                    .complaint()
                    .unwrap_or_else(|| format!("request {id} got none of {weights:?}"));
                return Err(kit.broken(SOMEBODY, what));
            }
        }
    }
    Ok(counts)
}

fn total(weights: &[u32]) -> u64 {
    weights.iter().map(|weight| u64::from(*weight)).sum()
}

fn chance(n: f64, p: f64) -> f64 {
    DEVIATIONS * (n * p * (1.0 - p)).sqrt()
}
