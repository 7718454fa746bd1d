//! What hashing is for: a key stays with its peer, a change of the peers moves few keys, and a
//! bound on the load holds.

use std::collections::BTreeMap;

use lab::policy::{
    Admission, Algorithm, Attempt, ConsistentHashConfig, LoadFactor, MaglevConfig, Next, Outcome,
    PeerChange, PeerConfig, PeerId, PeerList, RequestFacts, Ring, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed, Span};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

const KEYS: u64 = 2000;

const fn ring(ring: Ring) -> Algorithm {
    Algorithm::ConsistentHash(ConsistentHashConfig { ring, bounded_load: None })
}

const KETAMA: Algorithm = ring(Ring::Ketama);
const ENVOY: Algorithm = ring(Ring::Envoy { size: 1024 });
const MAGLEV: Algorithm = Algorithm::Maglev(MaglevConfig { table_size: 65_537 });

fn upstream(algorithm: Algorithm, weights: &[u32], max_fails: u32) -> Upstream {
    let peers = weights.iter().enumerate().map(|(place, &weight)| PeerConfig {
        weight,
        max_fails,
        ..PeerConfig::new(format!("10.0.0.{place}:80"))
    });
    Upstream::new(&UpstreamConfig::new(algorithm, peers.collect()), Seed::new(1, 0))
}

fn begin(upstream: &mut Upstream, now: Nanos, id: u64, key: u64) -> Attempt {
    let facts = RequestFacts { id, key, idempotent: true };
    match upstream.admit(now, facts) {
        Admission::Go(attempt) => attempt,
        other => panic!("an unlimited group takes every request, but: {other:?}"),
    }
}

fn digest(algorithm: Algorithm, number: u64) -> u64 {
    match algorithm {
        Algorithm::IpHash => algorithm.digest_address(
            std::net::Ipv4Addr::from((number as u32).wrapping_mul(0x9E37_79B1)).into(),
        ),
        _ => algorithm.digest(format!("user:{number}").as_bytes()),
    }
}

/// Where each key goes while nothing else is in flight.
fn owners(upstream: &mut Upstream, algorithm: Algorithm) -> Vec<PeerId> {
    let owner = |number| {
        let attempt = begin(upstream, Nanos::ZERO, number, digest(algorithm, number));
        let peer = attempt.peer;
        assert!(matches!(upstream.finished(Nanos::ZERO, attempt, Outcome::Responded), Next::Done));
        peer
    };
    (0..KEYS).map(owner).collect()
}

fn moved(before: &[PeerId], after: &[PeerId]) -> usize {
    before.iter().zip(after).filter(|(before, after)| before != after).count()
}

fn hashes() -> impl Strategy<Value = Algorithm> {
    select(vec![Algorithm::IpHash, Algorithm::Hash, KETAMA, ENVOY, MAGLEV])
}

fn weights(most: usize) -> impl Strategy<Value = Vec<u32>> {
    vec(1..4u32, 3..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// A key's peer depends on the key alone, whatever was asked before, and each of its rounds
    /// too: so a retry goes to a peer that was not tried.
    #[test]
    fn a_key_stays_with_its_peer(algorithm in hashes(), weights in weights(8), key in any::<u32>()) {
        let mut upstream = upstream(algorithm, &weights, 0);
        let key = digest(algorithm, u64::from(key));
        let mut sequences = Vec::new();
        for id in [1, 2] {
            let mut attempt = begin(&mut upstream, Nanos::ZERO, id, key);
            let mut sequence = vec![attempt.peer];
            while let Next::Retry(next) =
                upstream.finished(Nanos::ZERO, attempt, Outcome::ConnectFailed)
            {
                prop_assert!(!sequence.contains(&next.peer));
                sequence.push(next.peer);
                attempt = next;
            }
            // After 20 rounds in vain round robin decides, which remembers.
            sequence.truncate(2);
            sequences.push(sequence);
        }
        prop_assert_eq!(sequences[0][0], sequences[1][0]);
        let _ = owners(&mut upstream, algorithm);
        prop_assert_eq!(begin(&mut upstream, Nanos::ZERO, 9, key).peer, sequences[0][0]);
    }

    /// On the ketama ring, which grows peer by peer, a peer that leaves moves its keys alone; in
    /// Envoy's ring and in Maglev's table, which are scaled to their peers, few others.
    #[test]
    fn a_peer_that_leaves_moves_few_keys_of_others(
        algorithm in select(vec![KETAMA, ENVOY, MAGLEV]),
        weights in weights(9),
        which in any::<Index>(),
    ) {
        let mut upstream = upstream(algorithm, &weights, 0);
        let gone = PeerId(which.index(weights.len()) as u32);
        let before = owners(&mut upstream, algorithm);
        upstream.apply(Nanos::ZERO, PeerChange::Remove(gone));
        let after = owners(&mut upstream, algorithm);
        let kept = |keys: &[PeerId]| -> Vec<PeerId> {
            keys.iter().zip(&before).filter(|(_, b)| **b != gone).map(|(k, _)| *k).collect()
        };
        let others = moved(&kept(&before), &kept(&after));
        // Not in the paper's terms: measured at 5 % to 15 % for Maglev, since turns shift.
        let most = match algorithm {
            KETAMA => 0,
            _ => KEYS as usize / 4,
        };
        prop_assert!(others <= most, "{others} of {KEYS} keys of others moved");
        prop_assert!(!after.contains(&gone));
    }

    /// The same when one joins: on the ketama ring keys move to it alone.
    #[test]
    fn a_peer_that_joins_takes_keys_for_itself(weights in weights(9)) {
        let mut upstream = upstream(KETAMA, &weights, 0);
        let before = owners(&mut upstream, KETAMA);
        let added = upstream.apply(Nanos::ZERO, PeerChange::Add(PeerConfig::new("10.0.1.1:80")));
        let after = owners(&mut upstream, KETAMA);
        for (before, after) in before.iter().zip(&after) {
            prop_assert!(before == after || Some(*after) == added);
        }
        prop_assert!(after.iter().any(|peer| Some(*peer) == added));
    }

    /// A peer out after failures moves its own keys alone, and gets them back.
    #[test]
    fn a_failure_moves_the_keys_of_its_peer_alone(
        algorithm in select(vec![Algorithm::IpHash, Algorithm::Hash, KETAMA, ENVOY, MAGLEV]),
        weights in weights(7),
        key in 0..KEYS,
    ) {
        let mut upstream = upstream(algorithm, &weights, 1);
        let before = owners(&mut upstream, algorithm);
        let attempt = begin(&mut upstream, Nanos::ZERO, 0, digest(algorithm, key));
        let out = attempt.peer;
        let Next::Retry(retry) = upstream.finished(Nanos::ZERO, attempt, Outcome::ConnectFailed)
        else { panic!("there are others to try") };
        let _ = upstream.finished(Nanos::ZERO, retry, Outcome::Responded);
        let during = owners(&mut upstream, algorithm);
        for (before, during) in before.iter().zip(&during) {
            prop_assert!(*before == *during || *before == out);
            prop_assert!(*during != out);
        }
        // One request tests it after the pause, and its success brings every key back.
        let later = Nanos::ZERO + Span::from_secs(12);
        let test = begin(&mut upstream, later, 0, digest(algorithm, key));
        prop_assert_eq!(test.peer, out);
        let _ = upstream.finished(later, test, Outcome::Responded);
        prop_assert_eq!(owners(&mut upstream, algorithm), before);
    }

    /// No peer ever holds more than c times its share, rounded up; with keys as skewed as can be.
    #[test]
    fn a_bound_holds_whatever_the_keys(
        ring in select(vec![Ring::Ketama, Ring::Envoy { size: 256 }]),
        weights in weights(9),
        factor in select(vec![10_100, 12_500, 20_000u32]),
        keys in vec((0..3u64, any::<Index>(), any::<bool>()), 1..300),
    ) {
        let bounded_load = Some(LoadFactor(factor));
        let algorithm = Algorithm::ConsistentHash(ConsistentHashConfig { ring, bounded_load });
        let mut upstream = upstream(algorithm, &weights, 0);
        let sum: u64 = weights.iter().map(|w| u64::from(*w)).sum();
        let mut open: Vec<Attempt> = Vec::new();
        for (id, (key, which, ends)) in (0..).zip(keys) {
            if ends && !open.is_empty() {
                let ended = open.swap_remove(which.index(open.len()));
                let _ = upstream.finished(Nanos::ZERO, ended, Outcome::Responded);
            }
            let attempt = begin(&mut upstream, Nanos::ZERO, id, digest(algorithm, key));
            let peer = upstream.peer(attempt.peer).unwrap();
            open.push(attempt);
            let share = u64::from(factor) * open.len() as u64 * u64::from(peer.weight());
            prop_assert!(u64::from(peer.in_flight()) <= share.div_ceil(10_000 * sum));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever came and went, the ring is the one that its peers would have from the start.
    #[test]
    fn a_ring_does_not_remember_its_history(
        weights in weights(7),
        changes in vec((any::<Index>(), 0..3u8, 1..5u32), 1..12),
    ) {
        let mut changed = upstream(KETAMA, &weights, 0);
        for (number, (which, kind, weight)) in changes.into_iter().enumerate() {
            let id = PeerId(which.index(changed.peer_count()) as u32);
            let change = match kind {
                0 => PeerChange::Remove(id),
                1 => PeerChange::Weight(id, weight),
                _ => PeerChange::Add(PeerConfig {
                    weight,
                    max_fails: 0,
                    ..PeerConfig::new(format!("10.0.2.{number}:80"))
                }),
            };
            changed.apply(Nanos::ZERO, change);
        }
        let members: Vec<PeerConfig> = changed
            .peers()
            .list(PeerList::Primaries)
            .iter()
            .map(|id| changed.peer(*id).unwrap().config.clone())
            .collect();
        prop_assume!(!members.is_empty());
        let mut fresh = Upstream::new(&UpstreamConfig::new(KETAMA, members), Seed::new(1, 0));
        let name = |upstream: &Upstream, id: PeerId| upstream.peer(id).unwrap().name().to_owned();
        let (ours, theirs) = (owners(&mut changed, KETAMA), owners(&mut fresh, KETAMA));
        for (ours, theirs) in ours.into_iter().zip(theirs) {
            prop_assert_eq!(name(&changed, ours), name(&fresh, theirs));
        }
    }
}

/// Without a key requests go round.
#[test]
fn without_a_key_requests_take_turns() {
    for algorithm in [Algorithm::Hash, KETAMA, ENVOY, MAGLEV] {
        assert_eq!(algorithm.digest(b""), 0);
        let mut upstream = upstream(algorithm, &[1, 1, 1], 0);
        let mut counts = BTreeMap::new();
        for id in 0..30 {
            let attempt = begin(&mut upstream, Nanos::ZERO, id, 0);
            *counts.entry(attempt.peer).or_insert(0) += 1;
            let _ = upstream.finished(Nanos::ZERO, attempt, Outcome::Responded);
        }
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [10, 10, 10], "{algorithm}");
    }
}

/// The share of keys that move when one of ten peers leaves: the ideal is a tenth.
#[test]
fn maglev_moves_few_more_keys_than_it_must() {
    for (algorithm, most) in [(KETAMA, 0.14), (MAGLEV, 0.14), (ENVOY, 0.20)] {
        let mut upstream = upstream(algorithm, &[1; 10], 0);
        let before = owners(&mut upstream, algorithm);
        upstream.apply(Nanos::ZERO, PeerChange::Remove(PeerId(4)));
        let share = moved(&before, &owners(&mut upstream, algorithm)) as f64 / KEYS as f64;
        assert!((0.06..most).contains(&share), "{algorithm}: {share}");
    }
}
