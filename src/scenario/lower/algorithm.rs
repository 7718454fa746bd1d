//! The algorithm with its settings, and what it hashes.

use super::{adaptive, or};
use crate::policy::{
    Algorithm, ConsistentHashConfig, HaproxyAlgorithm, HaproxyHash, LoadFactor, MaglevConfig, Ring,
};
use crate::scenario::HashKey;
use crate::scenario::diagnostic::{Place, Problems};
use crate::scenario::file::{AlgorithmWord, BalancerSection, HashTypeWord, RingWord};
use crate::scenario::reader::{Count, Written};
use crate::units::Ratio;

/// Envoy's default `minimum_ring_size`, and its default bound.
const RING_SIZE: u32 = 1024;
const RING_SIZE_MAX: u32 = 8 << 20;
/// HAProxy's default number of draws of `balance random`.
const RANDOM_DRAWS: u32 = 2;
/// Envoy's bound on the size of a Maglev table.
const TABLE_SIZE_MAX: u32 = 5_000_011;

/// The algorithm.
pub(super) fn algorithm(section: &BalancerSection, problems: &mut Problems) -> Algorithm {
    let word = word(section);
    let is_ring = word == AlgorithmWord::ConsistentHash;
    belongs(section.ring.as_ref(), is_ring, "consistent_hash", problems);
    let haproxy = matches!(word, AlgorithmWord::HaproxySource | AlgorithmWord::HaproxyHash);
    belongs(section.hash_type.as_ref(), haproxy, "haproxy_source and haproxy_hash", problems);
    let hash_type = or(section.hash_type.as_ref(), HashTypeWord::MapBased);
    let is_bounded = is_ring || (haproxy && hash_type == HashTypeWord::Consistent);
    belongs(section.bounded_load.as_ref(), is_bounded, "consistent hashes", problems);
    let is_envoy = section.ring.as_ref().is_some_and(|ring| ring.value == RingWord::Envoy);
    belongs(section.ring_size.as_ref(), is_ring && is_envoy, "ring = \"envoy\"", problems);
    belongs(section.table_size.as_ref(), word == AlgorithmWord::Maglev, "maglev", problems);
    // Checked also where they are not used: they name their algorithm, which `--set` may choose.
    let (least_request, peak_ewma, prequal) = adaptive::settings(section, problems);
    match word {
        AlgorithmWord::RoundRobin => Algorithm::RoundRobin,
        AlgorithmWord::LeastConn => Algorithm::LeastConn,
        AlgorithmWord::Random => Algorithm::Random,
        AlgorithmWord::RandomTwo => Algorithm::RandomTwo,
        AlgorithmWord::IpHash => Algorithm::IpHash,
        AlgorithmWord::Hash => Algorithm::Hash,
        AlgorithmWord::ConsistentHash => Algorithm::ConsistentHash(ConsistentHashConfig {
            ring: ring(section, problems),
            bounded_load: section.bounded_load.as_ref().map(|bound| factor(bound, problems)),
        }),
        AlgorithmWord::Maglev => Algorithm::Maglev(MaglevConfig {
            table_size: section
                .table_size
                .as_ref()
                .map_or(MaglevConfig::default().table_size, |size| table_size(size, problems)),
        }),
        AlgorithmWord::RoundRobinEdf => Algorithm::RoundRobinEdf,
        AlgorithmWord::LeastRequest => Algorithm::LeastRequest(least_request),
        AlgorithmWord::PeakEwma => Algorithm::PeakEwma(peak_ewma),
        AlgorithmWord::Prequal => Algorithm::Prequal(prequal),
        AlgorithmWord::HaproxyRoundRobin => Algorithm::Haproxy(HaproxyAlgorithm::RoundRobin),
        AlgorithmWord::HaproxyStaticRr => Algorithm::Haproxy(HaproxyAlgorithm::StaticRr),
        AlgorithmWord::HaproxyLeastConn => Algorithm::Haproxy(HaproxyAlgorithm::LeastConn),
        AlgorithmWord::HaproxyFirst => Algorithm::Haproxy(HaproxyAlgorithm::First),
        AlgorithmWord::HaproxyRandom => {
            Algorithm::Haproxy(HaproxyAlgorithm::Random { draws: RANDOM_DRAWS })
        }
        AlgorithmWord::HaproxySource => {
            Algorithm::Haproxy(HaproxyAlgorithm::Source(haproxy_hash(section, problems)))
        }
        AlgorithmWord::HaproxyHash => {
            Algorithm::Haproxy(HaproxyAlgorithm::Hash(haproxy_hash(section, problems)))
        }
        AlgorithmWord::Own(policy) => Algorithm::Own(policy),
    }
}

fn haproxy_hash(section: &BalancerSection, problems: &mut Problems) -> HaproxyHash {
    if or(section.hash_type.as_ref(), HashTypeWord::MapBased) == HashTypeWord::MapBased {
        return HaproxyHash::MapBased;
    }
    let bound = section.bounded_load.as_ref().map(|bound| factor(bound, problems));
    HaproxyHash::Consistent { balance_factor: bound.map_or(0, |LoadFactor(factor)| factor / 100) }
}

/// What the algorithm hashes: always the client for `ip_hash` and `haproxy_source`, and for others what is written.
pub(super) fn hash_key(section: &BalancerSection, problems: &mut Problems) -> Option<HashKey> {
    let word = word(section);
    let written = section.hash_key.as_ref();
    match word {
        AlgorithmWord::IpHash | AlgorithmWord::HaproxySource => {
            if let Some(key) = written.filter(|key| key.value != HashKey::Client) {
                let name = if word == AlgorithmWord::IpHash { "ip_hash" } else { "haproxy_source" };
                let message = format!("{name} always hashes the client's address");
                problems.report(&key.place, message);
            }
            return Some(HashKey::Client);
        }
        AlgorithmWord::Hash
        | AlgorithmWord::ConsistentHash
        | AlgorithmWord::Maglev
        | AlgorithmWord::HaproxyHash
            if written.is_none() && !problems.mentions("balancer.hash_key") =>
        {
            let place = section.algorithm.as_ref().map_or(Place::default(), |a| a.place.clone());
            let help = "such as hash_key = \"header:x-user\", \"cookie:session\", \"client\", \
                        \"uri\", \"path\" or \"host\"";
            problems.report_with(&place, "this algorithm needs a `hash_key`", help);
        }
        _ => {}
    }
    written.map(|key| key.value.clone())
}

fn word(section: &BalancerSection) -> AlgorithmWord {
    or(section.algorithm.as_ref(), AlgorithmWord::RoundRobin)
}

/// Reports a setting of another algorithm: it would be ignored.
fn belongs<T>(field: Option<&Written<T>>, does: bool, to: &str, problems: &mut Problems) {
    if let Some(written) = field.filter(|_| !does) {
        problems.report(&written.place, format!("this belongs to {to} alone"));
    }
}

fn ring(section: &BalancerSection, problems: &mut Problems) -> Ring {
    match or(section.ring.as_ref(), RingWord::Ketama) {
        RingWord::Ketama => Ring::Ketama,
        RingWord::Envoy => Ring::Envoy {
            size: section.ring_size.as_ref().map_or(RING_SIZE, |size| {
                at_most(size, RING_SIZE_MAX, problems);
                size.value.0
            }),
        },
    }
}

fn at_most(count: &Written<Count>, most: u32, problems: &mut Problems) {
    if count.value.0 > most {
        let message = format!("{} is too large: at most {most}", count.value.0);
        problems.report(&count.place, message);
    }
}

/// From just above 100 % to 10000 %.
fn factor(bound: &Written<Ratio>, problems: &mut Problems) -> LoadFactor {
    let hundredths = (bound.value.0 * 10_000.0).round();
    if !(10_000.0 < hundredths && hundredths <= 1_000_000.0) {
        let message = format!("{} is not above 100% and at most 10000%", bound.value);
        problems.report_with(&bound.place, message, "125% is common");
        return LoadFactor(12_500);
    }
    LoadFactor(hundredths as u32)
}

fn table_size(size: &Written<Count>, problems: &mut Problems) -> u32 {
    let written = size.value.0;
    at_most(size, TABLE_SIZE_MAX, problems);
    if written <= TABLE_SIZE_MAX && !is_prime(written) {
        let next = (written..).find(|number| is_prime(*number)).unwrap_or(TABLE_SIZE_MAX);
        let message = format!("the size of the table must be a prime, and {written} is none");
        problems.report_with(&size.place, message, format!("the next prime is {next}"));
    }
    written
}

fn is_prime(number: u32) -> bool {
    number >= 2 && (2..).take_while(|n| n * n <= number).all(|n| !number.is_multiple_of(n))
}
