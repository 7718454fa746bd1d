//! The words of `[balancer]` that choose an algorithm and its settings.

use crate::policy::Policy;
use crate::policy::balance::registered;
use crate::scenario::diagnostic::{Problems, suggestion};
use crate::scenario::reader::Read;
use crate::scenario::section::choice;
use crate::scenario::tree::Node;

/// An algorithm without its settings, which stand under keys of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AlgorithmWord {
    RoundRobin,
    LeastConn,
    Random,
    RandomTwo,
    IpHash,
    Hash,
    ConsistentHash,
    Maglev,
    RoundRobinEdf,
    LeastRequest,
    PeakEwma,
    Prequal,
    HaproxyRoundRobin,
    HaproxyStaticRr,
    HaproxyLeastConn,
    HaproxyFirst,
    HaproxyRandom,
    HaproxySource,
    HaproxyHash,
    Own(Policy),
}

/// The built-in algorithms, by the names of [`crate::policy::Algorithm::NAMES`].
const BUILT_IN: &[(&str, AlgorithmWord)] = &[
    ("round_robin", AlgorithmWord::RoundRobin),
    ("least_conn", AlgorithmWord::LeastConn),
    ("random", AlgorithmWord::Random),
    ("random_two", AlgorithmWord::RandomTwo),
    ("ip_hash", AlgorithmWord::IpHash),
    ("hash", AlgorithmWord::Hash),
    ("consistent_hash", AlgorithmWord::ConsistentHash),
    ("maglev", AlgorithmWord::Maglev),
    ("round_robin_edf", AlgorithmWord::RoundRobinEdf),
    ("least_request", AlgorithmWord::LeastRequest),
    ("peak_ewma", AlgorithmWord::PeakEwma),
    ("prequal", AlgorithmWord::Prequal),
    ("haproxy_roundrobin", AlgorithmWord::HaproxyRoundRobin),
    ("haproxy_static_rr", AlgorithmWord::HaproxyStaticRr),
    ("haproxy_leastconn", AlgorithmWord::HaproxyLeastConn),
    ("haproxy_first", AlgorithmWord::HaproxyFirst),
    ("haproxy_random", AlgorithmWord::HaproxyRandom),
    ("haproxy_source", AlgorithmWord::HaproxySource),
    ("haproxy_hash", AlgorithmWord::HaproxyHash),
];

impl AlgorithmWord {
    /// The built-in names, then those of this program's own policies.
    fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name).chain(registered().iter().map(|own| own.name))
    }

    fn named(name: &str) -> Option<Self> {
        let built_in = BUILT_IN.iter().find(|(word, _)| *word == name).map(|(_, word)| *word);
        let own = || registered().iter().find(|own| own.name == name).map(|own| Self::Own(*own));
        built_in.or_else(own)
    }
}

impl Read for AlgorithmWord {
    fn read(node: &Node, problems: &mut Problems) -> Option<Self> {
        let name = String::read(node, problems)?;
        let word = Self::named(&name);
        if word.is_none() {
            let help = suggestion(&name, Self::names(), "one of");
            problems.report_with(&node.place, format!("`{name}` is no algorithm"), help);
        }
        word
    }
    fn schema() -> serde_json::Value {
        serde_json::json!({ "enum": Self::names().collect::<Vec<_>>() })
    }
}

/// Whose points are on the ring of `consistent_hash`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RingWord {
    Ketama,
    Envoy,
}

/// How `haproxy_source` and `haproxy_hash` look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashTypeWord {
    MapBased,
    Consistent,
}

choice! { HashTypeWord: "hash type",
    "map-based" => Self::MapBased,
    "consistent" => Self::Consistent,
}

choice! { RingWord: "ring", "ketama" => Self::Ketama, "envoy" => Self::Envoy }

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Algorithm;

    #[test]
    fn the_words_are_the_names_of_the_algorithms() {
        let words: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
        assert_eq!(words, Algorithm::NAMES);
    }
}
