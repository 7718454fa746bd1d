//! The network of the client's address (`ngx_http_upstream_get_ip_hash_peer` in
//! `src/http/modules/ngx_http_upstream_ip_hash_module.c`).
//!
//! From 89 on, each byte b takes h to (113 h + b) mod 6271; h modulo the sum of the weights falls
//! on a peer. One that may not be picked leads to another round over the same bytes from the
//! present h, and so does a retry. IPv4 gives its first three octets, so that a whole network
//! stays together; IPv6 gives all 16 bytes; anything else three zeros.
//!
//! A round is an affine map of h, so its factor and its constant are all there is to remember.

use std::net::IpAddr;

use super::ranges::Ranges;
use super::{Ask, rounds, smooth_weighted};
use crate::policy::peer::PeerId;
use crate::policy::peers::Peers;

const START: u32 = 89;
const FACTOR: u32 = 113;
const MODULUS: u32 = 6271;

/// The digest of a client's address.
pub(super) fn digest_address(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => digest(&address.octets()[..3]),
        IpAddr::V6(address) => digest(&address.octets()),
    }
}

/// Factor and constant of the round over `bytes`; no bytes stand for an address that is unknown.
pub(super) fn digest(bytes: &[u8]) -> u64 {
    let bytes = if bytes.is_empty() { &[0; 3] } else { bytes };
    let (factor, constant) = bytes.iter().fold((1, 0), |(factor, constant), byte| {
        (factor * FACTOR % MODULUS, (constant * FACTOR + u32::from(*byte)) % MODULUS)
    });
    u64::from(factor) | u64::from(constant) << 32
}

/// After 20 rounds in vain, counted over all attempts of the request, smooth weighted round robin
/// decides.
pub(super) fn pick(
    peers: &mut Peers,
    ask: Ask<'_>,
    ranges: &Ranges,
    key: u64,
    in_vain: &mut u8,
) -> Option<PeerId> {
    if rounds::are_used_up(*in_vain) || key == 0 {
        return smooth_weighted::scan(peers, ask);
    }
    let total = ranges.total(ask.list)?;
    let (factor, constant) = (key as u32, (key >> 32) as u32);
    let round = |hash: u32| (hash * factor + constant) % MODULUS;
    // The rounds that failed, and the one that each earlier attempt succeeded with.
    let earlier = usize::from(*in_vain) + ask.tried.len();
    let mut hash = (0..earlier).fold(START, |hash, _| round(hash));
    rounds::first_allowed(peers, ask, in_vain, |peers| {
        hash = round(hash);
        ranges.at(peers, ask.list, u64::from(hash) % total)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_is_the_walk_over_the_bytes() {
        for bytes in [&[10, 0, 0][..], &[255; 16], &[1, 2, 3]] {
            let digest = digest(bytes);
            let (factor, constant) = (digest as u32, (digest >> 32) as u32);
            for start in [START, 0, 6270] {
                let walked =
                    bytes.iter().fold(start, |h, b| (h * FACTOR + u32::from(*b)) % MODULUS);
                assert_eq!((start * factor + constant) % MODULUS, walked, "{bytes:?}");
            }
        }
    }

    #[test]
    fn a_network_stays_together_and_a_mapped_address_is_its_ipv4() {
        let digest = |text: &str| digest_address(text.parse().unwrap());
        assert_eq!(digest("10.0.0.1"), digest("10.0.0.200"));
        assert_ne!(digest("10.0.0.1"), digest("10.0.1.1"));
        assert_eq!(digest("::ffff:10.0.0.1"), digest("10.0.0.1"));
        assert_eq!(super::digest(&[]), super::digest(&[0, 0, 0]));
    }
}
