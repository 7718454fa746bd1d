//! The key's CRC-32 modulo the sum of the weights (`ngx_http_upstream_get_hash_peer` in
//! `src/http/modules/ngx_http_upstream_hash_module.c`, compatible with `Cache::Memcached`).
//!
//! Round r hashes the decimal number r (nothing for 0) and the key, and adds 15 bits of that to
//! what the rounds before gave; the sum modulo the weights falls on a peer. One that may not be
//! picked leads to the next round; a retry goes on with the round after the last. Weights of
//! peers that are out count, so that a failure moves its own keys alone; a change of the list
//! moves nearly all.

use crc32fast::Hasher;

use super::ranges::Ranges;
use super::{Ask, rounds, smooth_weighted};
use crate::policy::peer::PeerId;
use crate::policy::peers::Peers;

/// CRC-32 in the low half, length in the high half: enough to prefix the key by combination.
pub(super) fn digest(key: &[u8]) -> u64 {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    u64::from(crc32fast::hash(key)) | u64::from(length) << 32
}

/// After 20 rounds in vain, counted over all attempts of the request, or without a key, smooth
/// weighted round robin decides.
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
    // The rounds that failed, and the one that each earlier attempt succeeded with.
    let mut round = u32::from(*in_vain) + ask.tried.len() as u32;
    let mut sum: u64 = (0..round).map(|round| part(key, round)).sum();
    rounds::first_allowed(peers, ask, in_vain, |peers| {
        sum += part(key, round);
        round += 1;
        ranges.at(peers, ask.list, sum % total)
    })
}

/// What round `round` adds.
fn part(key: u64, round: u32) -> u64 {
    let (crc, length) = (key as u32, key >> 32);
    let crc = if round == 0 { crc } else { prefixed(round, crc, length) };
    u64::from((crc >> 16) & 0x7fff)
}

/// CRC-32 of the decimal `round` followed by the key.
fn prefixed(round: u32, crc: u32, length: u64) -> u32 {
    let mut digits = [0; 10];
    let mut from = digits.len();
    let mut rest = round;
    while rest > 0 {
        from -= 1;
        digits[from] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut hasher = Hasher::new();
    hasher.update(&digits[from..]);
    hasher.combine(&Hasher::new_with_initial_len(crc, length));
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_combined_as_if_it_had_been_hashed() {
        for key in ["a", "/index.html", "user:1000"] {
            let digest = digest(key.as_bytes());
            for round in [1, 9, 10, 20, 255] {
                let whole = crc32fast::hash(format!("{round}{key}").as_bytes());
                assert_eq!(prefixed(round, digest as u32, digest >> 32), whole, "{round} {key}");
            }
        }
    }
}
