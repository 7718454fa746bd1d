//! The algorithms by name, with what can be set about each.

use std::fmt;
use std::net::IpAddr;

use super::haproxy::HaproxyAlgorithm;
use super::least_request::LeastRequestConfig;
use super::own::Policy;
use super::peak_ewma::PeakEwmaConfig;
use super::prequal::PrequalConfig;
use super::{hash, ip_hash, key};
use crate::units::Span;

/// A balancing algorithm and its settings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// Smooth weighted round robin.
    RoundRobin,
    /// Fewest requests in flight by weight; ties by smooth weighted round robin.
    LeastConn,
    /// Weighted random.
    Random,
    /// Two weighted random peers, the one with fewer requests in flight.
    RandomTwo,
    /// By the network of the client's address.
    IpHash,
    /// By the request's key modulo the weights: a change of peers moves nearly every key.
    Hash,
    /// By the request's key on a ring of points: a change of peers moves few keys.
    ConsistentHash(ConsistentHashConfig),
    /// By the request's key in a table: even shares, few keys moved, one access to memory.
    Maglev(MaglevConfig),
    /// Envoy's weighted round robin: earliest deadline first.
    RoundRobinEdf,
    /// Envoy's choice of some random peers, the one with the fewest requests in flight.
    LeastRequest(LeastRequestConfig),
    /// Two random peers, the one with the lower latency times requests in flight.
    PeakEwma(PeakEwmaConfig),
    /// Load probes ahead of the requests, and the hot-cold choice among their answers.
    Prequal(PrequalConfig),
    /// One of HAProxy's.
    Haproxy(HaproxyAlgorithm),
    /// A policy of one's own.
    Own(Policy),
}

/// Settings of [`Algorithm::ConsistentHash`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConsistentHashConfig {
    /// Whose points are on the ring.
    pub ring: Ring,
    /// How far a peer's load may be above the mean; `None` is as far as its keys bring it.
    pub bounded_load: Option<LoadFactor>,
}

/// The points of a ring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ring {
    /// NGINX's `hash … consistent`: 160 points for each unit of weight, by CRC-32.
    #[default]
    Ketama,
    /// Envoy's `RING_HASH`: at least `size` points altogether (its `minimum_ring_size`), by
    /// xxHash64; at most 8 Mi.
    Envoy {
        /// Least number of points; Envoy's default is 1024.
        size: u32,
    },
}

/// A multiple of the mean load, in hundredths of a percent: 12 500 is 125 %. Above 10 000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadFactor(pub u32);

/// Settings of [`Algorithm::Maglev`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaglevConfig {
    /// Number of entries of the table: a prime, at best over 100 times the number of peers.
    pub table_size: u32,
}

impl Default for MaglevConfig {
    /// The size of the paper and of Envoy.
    fn default() -> Self {
        Self { table_size: 65_537 }
    }
}

impl Algorithm {
    /// The names of those built in.
    pub const NAMES: [&'static str; 19] = [
        "round_robin",
        "least_conn",
        "random",
        "random_two",
        "ip_hash",
        "hash",
        "consistent_hash",
        "maglev",
        "round_robin_edf",
        "least_request",
        "peak_ewma",
        "prequal",
        "haproxy_roundrobin",
        "haproxy_static_rr",
        "haproxy_leastconn",
        "haproxy_first",
        "haproxy_random",
        "haproxy_source",
        "haproxy_hash",
    ];

    /// Its name in scenarios and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round_robin",
            Self::LeastConn => "least_conn",
            Self::Random => "random",
            Self::RandomTwo => "random_two",
            Self::IpHash => "ip_hash",
            Self::Hash => "hash",
            Self::ConsistentHash(_) => "consistent_hash",
            Self::Maglev(_) => "maglev",
            Self::RoundRobinEdf => "round_robin_edf",
            Self::LeastRequest(_) => "least_request",
            Self::PeakEwma(_) => "peak_ewma",
            Self::Prequal(_) => "prequal",
            Self::Haproxy(algorithm) => algorithm.name(),
            Self::Own(policy) => policy.name,
        }
    }

    /// Whether it asks peers for their load ([`Event::LoadProbeDue`](super::super::Event)).
    #[must_use]
    pub const fn probes_load(&self) -> bool {
        matches!(self, Self::Prequal(_))
    }

    /// The time after which the answer to such a probe is lost.
    #[must_use]
    pub const fn load_probe_timeout(&self) -> Option<Span> {
        match self {
            Self::Prequal(config) => Some(config.timeout),
            _ => None,
        }
    }

    /// Whether it looks at the keys of requests; a policy of one's own may.
    #[must_use]
    pub const fn hashes(self) -> bool {
        match self {
            Self::IpHash
            | Self::Hash
            | Self::ConsistentHash(_)
            | Self::Maglev(_)
            | Self::Own(_) => true,
            Self::Haproxy(algorithm) => algorithm.hashes(),
            _ => false,
        }
    }

    /// Whether a peer that came back gets its share step by step; a policy of one's own may see to
    /// it. Where a draw or a hash decides it does not, as in NGINX.
    #[must_use]
    pub const fn starts_slowly(self) -> bool {
        matches!(
            self,
            Self::RoundRobin
                | Self::LeastConn
                | Self::RoundRobinEdf
                | Self::LeastRequest(_)
                | Self::Own(_)
        )
    }

    /// What it remembers of a key, for [`RequestFacts::key`](super::super::RequestFacts): the
    /// bytes are hashed once per request, and a request's facts stay small. An empty key gives 0,
    /// which stands for none: such a request goes by smooth weighted round robin.
    #[must_use]
    pub fn digest(self, key: &[u8]) -> u64 {
        match self {
            Self::IpHash => ip_hash::digest(key),
            Self::Hash | Self::ConsistentHash(ConsistentHashConfig { ring: Ring::Ketama, .. }) => {
                hash::digest(key)
            }
            Self::ConsistentHash(_) | Self::Maglev(_) | Self::Own(_) => key::digest(key),
            Self::Haproxy(algorithm) => algorithm.digest(key),
            _ => 0,
        }
    }

    /// [`Self::digest`] of a client's address: of its network for `ip_hash`, else of its text, as
    /// NGINX's `$remote_addr` and Envoy's `source_ip` have it.
    #[must_use]
    pub fn digest_address(self, address: IpAddr) -> u64 {
        match self {
            Self::IpHash => ip_hash::digest_address(address),
            Self::Haproxy(algorithm) => {
                algorithm.digest_address(address, key::address(address).as_bytes())
            }
            _ => self.digest(key::address(address).as_bytes()),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
