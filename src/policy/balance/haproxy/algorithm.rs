//! The `balance` lines of HAProxy, with what can be set about each.

use std::net::IpAddr;

/// An algorithm of HAProxy 2.6. Effective weights are 16 times the configured ones, but for those
/// by a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaproxyAlgorithm {
    /// `roundrobin`: by trees of positions; not NGINX's sequence.
    RoundRobin,
    /// `static-rr`: in turn through a map of slots.
    StaticRr,
    /// `leastconn`: fewest requests in flight by weight, ties in the order in which they came
    /// about.
    LeastConn,
    /// `first`: the first server below its `maxconn`.
    First,
    /// `random(draws)`: as many points of the ring as this, the less loaded of their servers.
    Random {
        /// At least 1; HAProxy's default is 2.
        draws: u32,
    },
    /// `source`: by the client's address.
    Source(HaproxyHash),
    /// `hash`, `uri`, `hdr` and `url_param`: by the request's key.
    Hash(HaproxyHash),
}

/// `hash-type`, with the function sdbm, HAProxy's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HaproxyHash {
    /// `map-based`, HAProxy's default: a change of servers moves nearly every key.
    #[default]
    MapBased,
    /// `consistent`: the nearest point of a ring, after an avalanche of the hash.
    Consistent {
        /// `hash-balance-factor` in percent, above 100: no server gets more than this times its
        /// share of the requests in flight. 0 is no bound.
        balance_factor: u32,
    },
}

impl HaproxyHash {
    /// `consistent` without `hash-balance-factor`.
    pub const CONSISTENT: Self = Self::Consistent { balance_factor: 0 };

    fn finish(self, hash: u32) -> u64 {
        let hash = match self {
            Self::MapBased => hash,
            Self::Consistent { .. } => full_hash(hash),
        };
        PRESENT | u64::from(hash)
    }
}

/// Set in the digest of every key that is there: a hash may be 0, and a digest of 0 stands for a
/// request without a key.
const PRESENT: u64 = 1 << 32;

/// The hash in a digest; `None` without a key.
pub(super) fn hash_of(digest: u64) -> Option<u32> {
    (digest & PRESENT != 0).then_some(digest as u32)
}

impl HaproxyAlgorithm {
    /// Its name in scenarios and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "haproxy_roundrobin",
            Self::StaticRr => "haproxy_static_rr",
            Self::LeastConn => "haproxy_leastconn",
            Self::First => "haproxy_first",
            Self::Random { .. } => "haproxy_random",
            Self::Source(_) => "haproxy_source",
            Self::Hash(_) => "haproxy_hash",
        }
    }

    /// Whether it looks at the keys of requests.
    #[must_use]
    pub const fn hashes(self) -> bool {
        matches!(self, Self::Source(_) | Self::Hash(_))
    }

    /// Whether requests waiting for any server show that all are full, so that a new one need not
    /// ask (`assign_server` in `src/backend.c`).
    pub(in crate::policy) const fn stands_in_line(self) -> bool {
        matches!(self, Self::RoundRobin | Self::StaticRr | Self::First)
    }

    /// `BE_LB_PROP_DYN`: effective weights follow a slow start.
    pub(in crate::policy) const fn is_dynamic(self) -> bool {
        !matches!(
            self,
            Self::StaticRr
                | Self::Source(HaproxyHash::MapBased)
                | Self::Hash(HaproxyHash::MapBased)
        )
    }

    /// What it remembers of a key; 0 if there is none (`gen_hash`, `get_server_expr` in
    /// `src/backend.c`).
    pub(in crate::policy) fn digest(self, key: &[u8]) -> u64 {
        match self {
            Self::Hash(hash) | Self::Source(hash) if !key.is_empty() => hash.finish(sdbm(key)),
            _ => 0,
        }
    }

    /// The same of a client's address (`get_server_sh` in `src/backend.c`): `source` adds its words
    /// bit by bit, others hash its text.
    pub(in crate::policy) fn digest_address(self, address: IpAddr, text: &[u8]) -> u64 {
        match self {
            Self::Source(hash) => hash.finish(xor_words(address)),
            _ => self.digest(text),
        }
    }
}

fn xor_words(address: IpAddr) -> u32 {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_bits(),
        IpAddr::V6(address) => {
            address.octets().chunks_exact(4).fold(0, |hash, word| hash ^ big_endian(word))
        }
    }
}

fn big_endian(word: &[u8]) -> u32 {
    word.iter().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// `hash_sdbm` in `src/hash.c`.
fn sdbm(key: &[u8]) -> u32 {
    key.iter().fold(0u32, |hash, byte| {
        u32::from(*byte).wrapping_add(hash << 6).wrapping_add(hash << 16).wrapping_sub(hash)
    })
}

/// The avalanche (`__full_hash` in `include/haproxy/intops.h`): Jenkins' 6-step mix, then a
/// multiplication that brings the bits round.
pub(super) const fn full_hash(hash: u32) -> u32 {
    let mut a = hash;
    a = a.wrapping_add(0x7ed5_5d16).wrapping_add(a << 12);
    a = (a ^ 0xc761_c23c) ^ (a >> 19);
    a = a.wrapping_add(0x1656_67b1).wrapping_add(a << 5);
    a = a.wrapping_add(0xd3a2_646c) ^ (a << 9);
    a = a.wrapping_add(0xfd70_46c5).wrapping_add(a << 3);
    a = (a ^ 0xb55a_4f09) ^ (a >> 16);
    a.wrapping_mul(3_221_225_473)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the definition: h = byte + 65599 × h.
    #[test]
    fn sdbm_is_a_polynomial_in_65599() {
        let expected = b"user-17"
            .iter()
            .fold(0u32, |hash, byte| hash.wrapping_mul(65_599).wrapping_add(u32::from(*byte)));
        assert_eq!(sdbm(b"user-17"), expected);
    }

    #[test]
    fn a_key_whose_hash_is_zero_is_still_a_key() {
        let digest = HaproxyAlgorithm::Hash(HaproxyHash::MapBased).digest(&[0]);
        assert_eq!(hash_of(digest), Some(0));
        assert_eq!(hash_of(HaproxyAlgorithm::Hash(HaproxyHash::MapBased).digest(b"")), None);
    }

    #[test]
    fn words_of_an_address_are_added_bit_by_bit() {
        assert_eq!(xor_words("10.0.0.1".parse().unwrap()), 0x0a00_0001);
        assert_eq!(xor_words("2001:db8::1".parse().unwrap()), 0x2001_0db8 ^ 1);
        assert_eq!(xor_words("::ffff:10.0.0.1".parse().unwrap()), 0x0a00_0001);
    }
}
