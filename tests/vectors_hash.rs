//! Choices of the hashing algorithms recorded from real NGINX 1.22.1 and Envoy 1.40.0
//! (`tests/vectors/*.json`), replayed on the policy.
//!
//! Servers are a, b, c, … in configuration order. Every request ends before the next begins.

#[path = "vectors/recorded.rs"]
mod recorded;

use std::collections::BTreeMap;
use std::net::IpAddr;

use lab::policy::{
    Admission, Algorithm, ConsistentHashConfig, MaglevConfig, Outcome, PeerConfig, RequestFacts,
    Ring, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed};
use recorded::recorded;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    weights: Vec<u32>,
    #[serde(default)]
    options: Vec<String>,
    /// What the ring or the table hashes; the address does not matter otherwise.
    #[serde(default)]
    servers: Vec<String>,
    choice: BTreeMap<String, String>,
    #[serde(default)]
    table_size: u32,
    #[serde(default)]
    table: Option<String>,
    #[serde(default)]
    table_counts: Option<BTreeMap<String, u64>>,
    #[serde(default)]
    table_first_100: Option<String>,
    #[serde(default)]
    minimum_ring_size: u32,
}

fn upstream(case: &Case, algorithm: Algorithm) -> Upstream {
    let peers = case.weights.iter().enumerate().map(|(place, &weight)| {
        let name = case.servers.get(place).cloned().unwrap_or_else(|| place.to_string());
        let down = match case.options.get(place).map(String::as_str) {
            None | Some("") => false,
            Some("down") => true,
            Some(other) => panic!("the recording has an option this test does not know: {other}"),
        };
        PeerConfig { weight, down, ..PeerConfig::new(name) }
    });
    Upstream::new(&UpstreamConfig::new(algorithm, peers.collect()), Seed::new(1, 0))
}

fn pick(upstream: &mut Upstream, key: u64) -> char {
    let facts = RequestFacts { id: 0, key, idempotent: true };
    let Admission::Go(attempt) = upstream.admit(Nanos::ZERO, facts) else {
        panic!("no server for a request")
    };
    let letter = char::from(b'a' + u8::try_from(attempt.peer.0).unwrap());
    let _done = upstream.finished(Nanos::ZERO, attempt, Outcome::Responded);
    letter
}

fn replay(case: &Case, algorithm: Algorithm, digest: impl Fn(&str) -> u64) {
    assert!(!case.choice.is_empty());
    let mut upstream = upstream(case, algorithm);
    for (key, server) in &case.choice {
        let picked = pick(&mut upstream, digest(key)).to_string();
        assert_eq!(&picked, server, "{algorithm}, weights {:?}, key {key}", case.weights);
    }
}

#[test]
fn ip_hash_chooses_as_nginx() {
    for case in recorded::<Case>("nginx_ip_hash.json") {
        let digest = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            Algorithm::IpHash.digest_address(address)
        };
        replay(&case, Algorithm::IpHash, digest);
    }
}

#[test]
fn hash_chooses_as_nginx() {
    for case in recorded::<Case>("nginx_hash.json") {
        replay(&case, Algorithm::Hash, |key| Algorithm::Hash.digest(key.as_bytes()));
    }
}

#[test]
fn the_ketama_ring_chooses_as_nginx() {
    let algorithm = Algorithm::ConsistentHash(ConsistentHashConfig::default());
    for case in recorded::<Case>("nginx_hash_consistent.json") {
        assert_eq!(case.servers.len(), case.weights.len());
        replay(&case, algorithm, |key| algorithm.digest(key.as_bytes()));
    }
}

#[test]
fn the_envoy_ring_chooses_as_envoy() {
    for case in recorded::<Case>("envoy_ring_hash.json") {
        let ring = Ring::Envoy { size: case.minimum_ring_size };
        let config = ConsistentHashConfig { ring, bounded_load: None };
        let algorithm = Algorithm::ConsistentHash(config);
        replay(&case, algorithm, |key| algorithm.digest(key.as_bytes()));
    }
}

#[test]
fn maglev_chooses_as_envoy_in_every_entry_of_the_table() {
    for case in recorded::<Case>("envoy_maglev.json") {
        let algorithm = Algorithm::Maglev(MaglevConfig { table_size: case.table_size });
        replay(&case, algorithm, |key| algorithm.digest(key.as_bytes()));
        let mut upstream = upstream(&case, algorithm);
        // A digest of a multiple of the size falls on entry 0; 0 itself stands for no key.
        let mut entry =
            |entry: u32| pick(&mut upstream, u64::from(case.table_size) + u64::from(entry));
        let table: String = (0..case.table_size).map(&mut entry).collect();
        assert!(case.table.is_some() || case.table_first_100.is_some());
        if let Some(recorded) = &case.table {
            assert_eq!(&table, recorded, "weights {:?}", case.weights);
        }
        if let Some(first) = &case.table_first_100 {
            assert_eq!(&table[..100], first);
        }
        if let Some(counts) = &case.table_counts {
            let ours = table.chars().fold(BTreeMap::new(), |mut ours, letter| {
                *ours.entry(letter.to_string()).or_insert(0) += 1;
                ours
            });
            assert_eq!(&ours, counts);
        }
    }
}
