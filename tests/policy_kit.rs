//! Every built-in algorithm under the test kit that policies of one's own are held to.

use lab::policy::kit::Kit;
use lab::policy::{
    Algorithm, ConsistentHashConfig, LeastRequestConfig, LoadFactor, MaglevConfig, PeakEwmaConfig,
    PrequalConfig, Ring,
};

fn consistent(ring: Ring, bounded_load: Option<u32>) -> Algorithm {
    let bounded_load = bounded_load.map(LoadFactor);
    Algorithm::ConsistentHash(ConsistentHashConfig { ring, bounded_load })
}

fn passes(kit: Kit) {
    kit.check().unwrap_or_else(|broken| panic!("{broken}"));
}

#[test]
fn round_robin_and_least_conn_share_exactly() {
    passes(Kit::new(Algorithm::RoundRobin));
    passes(Kit::new(Algorithm::LeastConn));
}

/// Exact over its rounds but for the random beginning and what is cut off at the end.
#[test]
fn round_robin_by_deadlines_shares_by_weight() {
    passes(Kit::new(Algorithm::RoundRobinEdf).shares_within(0.01));
}

/// They look at loads, times or probes, not at weights alone.
#[test]
fn adaptive_policies_share_their_own_way() {
    passes(Kit::new(Algorithm::LeastRequest(LeastRequestConfig::DEFAULT)).shares_its_own_way());
    passes(Kit::new(Algorithm::PeakEwma(PeakEwmaConfig::DEFAULT)).shares_its_own_way());
    passes(Kit::new(Algorithm::Prequal(PrequalConfig::DEFAULT)).shares_its_own_way());
}

#[test]
fn random_shares_within_chance() {
    passes(Kit::new(Algorithm::Random).shares_within(0.001));
}

/// It turns the weights of idle peers round, as NGINX does.
#[test]
fn random_two_shares_its_own_way() {
    passes(Kit::new(Algorithm::RandomTwo).shares_its_own_way());
}

#[test]
fn hashes_share_within_what_their_values_allow() {
    passes(Kit::new(Algorithm::IpHash).shares_within(0.02));
    passes(Kit::new(Algorithm::Hash).shares_within(0.02));
    passes(Kit::new(Algorithm::Maglev(MaglevConfig { table_size: 4099 })).shares_within(0.02));
}

/// With 160 points a peer's part of a ring differs by about 8 % from the mean.
#[test]
fn rings_share_within_what_their_points_allow() {
    passes(Kit::new(consistent(Ring::Ketama, None)).shares_within(0.4));
    passes(Kit::new(consistent(Ring::Envoy { size: 1024 }, None)).shares_within(0.4));
}

/// With a single request in flight the bound is a whole request, so it is the ring that shares.
#[test]
fn bounded_loads_share_within_the_bound() {
    passes(Kit::new(consistent(Ring::Ketama, Some(12_500))).shares_within(0.4));
    passes(Kit::new(consistent(Ring::Envoy { size: 1024 }, Some(12_500))).shares_within(0.4));
}
