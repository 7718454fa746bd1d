//! `balance`: which of HAProxy's algorithms stands for one of a scenario.

use super::settings::fetch;
use crate::policy::{Algorithm, HaproxyAlgorithm, HaproxyHash, LoadFactor};
use crate::scenario::HashKey;

/// `balance`, with `hash-type` and `hash-balance-factor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Balance {
    pub(super) algorithm: HaproxyAlgorithm,
    /// What is hashed, if anything.
    pub(super) key: HashKey,
}

impl Balance {
    /// The nearest to `algorithm`, which hashes `key` if it hashes.
    pub(super) fn new(algorithm: Algorithm, key: Option<&HashKey>) -> Self {
        let key = key.cloned().unwrap_or(HashKey::Client);
        let hash = |kind| match key {
            HashKey::Client => HaproxyAlgorithm::Source(kind),
            _ => HaproxyAlgorithm::Hash(kind),
        };
        let algorithm = match algorithm {
            Algorithm::Haproxy(algorithm) => algorithm,
            Algorithm::LeastConn | Algorithm::PeakEwma(_) | Algorithm::Prequal(_) => {
                HaproxyAlgorithm::LeastConn
            }
            Algorithm::LeastRequest(config) if config.full_scan => HaproxyAlgorithm::LeastConn,
            Algorithm::LeastRequest(config) => {
                HaproxyAlgorithm::Random { draws: config.choices.max(1) }
            }
            Algorithm::Random => HaproxyAlgorithm::Random { draws: 1 },
            Algorithm::RandomTwo => HaproxyAlgorithm::Random { draws: 2 },
            Algorithm::IpHash | Algorithm::Hash => hash(HaproxyHash::MapBased),
            Algorithm::ConsistentHash(config) => {
                let balance_factor = config.bounded_load.map_or(0, percent);
                hash(HaproxyHash::Consistent { balance_factor })
            }
            Algorithm::Maglev(_) => hash(HaproxyHash::CONSISTENT),
            _ => HaproxyAlgorithm::RoundRobin,
        };
        Self { algorithm, key }
    }

    /// The argument of `balance`.
    pub(super) fn words(&self) -> String {
        match self.algorithm {
            HaproxyAlgorithm::RoundRobin => "roundrobin".to_owned(),
            HaproxyAlgorithm::StaticRr => "static-rr".to_owned(),
            HaproxyAlgorithm::LeastConn => "leastconn".to_owned(),
            HaproxyAlgorithm::First => "first".to_owned(),
            HaproxyAlgorithm::Random { draws } => format!("random({draws})"),
            HaproxyAlgorithm::Source(_) => "source".to_owned(),
            HaproxyAlgorithm::Hash(_) => format!("hash {}", fetch(&self.key)),
        }
    }

    /// The lines beside it.
    pub(super) fn hash_lines(&self) -> Vec<String> {
        match self.algorithm {
            HaproxyAlgorithm::Source(kind) | HaproxyAlgorithm::Hash(kind) => match kind {
                HaproxyHash::MapBased => vec!["hash-type map-based".to_owned()],
                HaproxyHash::Consistent { balance_factor: 0 } => {
                    vec!["hash-type consistent".to_owned()]
                }
                HaproxyHash::Consistent { balance_factor } => vec![
                    "hash-type consistent".to_owned(),
                    format!("hash-balance-factor {balance_factor}"),
                ],
            },
            _ => Vec::new(),
        }
    }
}

/// Whole percent, upwards: 101 is the least that HAProxy takes.
fn percent(factor: LoadFactor) -> u32 {
    factor.0.div_ceil(100).max(101)
}
