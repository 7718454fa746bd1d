//! Envoy's bounded loads (`BoundedLoadHashingLoadBalancer` in `source/extensions/
//! load_balancing_policies/common/thread_aware_lb_impl.cc`).
//!
//! Of ceil(c × requests in flight, the new one included) slots each host has its share by weight,
//! rounded up and at least one. A key whose host has more in flight than slots goes to the first
//! host that has not, in an order shuffled by `std::mt19937` from the key's hash; if all have, to
//! the one with the least in flight per slot.

use super::algorithm::LoadFactor;
use crate::policy::peer::{Peer, PeerId};
use crate::policy::peers::{PeerList, Peers};

/// The host for a key whose place on the ring is that of `home`.
pub(super) fn pick(
    peers: &Peers,
    list: PeerList,
    home: PeerId,
    hash: u64,
    factor: LoadFactor,
) -> PeerId {
    let hosts: Vec<&Peer> = peers.placed(list).collect();
    let sum: f64 = hosts.iter().map(|host| f64::from(host.weight())).sum();
    // Whole percents, as there.
    let slots = ((peers.in_flight() + 1) * u64::from(factor.0 / 100)).div_ceil(100);
    let overload = |host: &Peer| {
        let share = (slots as f64 * (f64::from(host.weight()) / sum)).ceil().max(1.0);
        f64::from(host.in_flight()) / share
    };
    let load_at_home = peers.get(home).map_or(0.0, overload);
    if load_at_home <= 1.0 {
        return home;
    }
    let (mut least, mut chosen) = (load_at_home, home);
    let mut order: Vec<usize> = (0..hosts.len()).collect();
    let mut random = MersenneTwister::new(hash as u32);
    for place in 0..order.len() {
        let other = place + random.below((hosts.len() - place) as u32) as usize;
        order.swap(place, other);
        let host = hosts[order[place]];
        if host.id() == home {
            continue;
        }
        let load = overload(host);
        if load <= 1.0 {
            return host.id();
        }
        if load < least {
            (least, chosen) = (load, host.id());
        }
    }
    chosen
}

/// `std::mt19937` (M. Matsumoto, T. Nishimura: "Mersenne Twister", ACM TOMACS 1998).
struct MersenneTwister {
    state: [u32; Self::LENGTH],
    next: usize,
}

impl MersenneTwister {
    const LENGTH: usize = 624;
    const MIDDLE: usize = 397;

    fn new(seed: u32) -> Self {
        let mut state = [seed; Self::LENGTH];
        for place in 1..Self::LENGTH {
            let last = state[place - 1];
            state[place] =
                (last ^ (last >> 30)).wrapping_mul(1_812_433_253).wrapping_add(place as u32);
        }
        Self { state, next: Self::LENGTH }
    }

    fn twist(&mut self) {
        for place in 0..Self::LENGTH {
            let following = self.state[(place + 1) % Self::LENGTH];
            let word = (self.state[place] & 0x8000_0000) | (following & 0x7fff_ffff);
            let odd = if word & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[place] =
                self.state[(place + Self::MIDDLE) % Self::LENGTH] ^ (word >> 1) ^ odd;
        }
        self.next = 0;
    }

    fn word(&mut self) -> u32 {
        if self.next == Self::LENGTH {
            self.twist();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// Uniform in `0..bound`, by division and rejection as Envoy does it.
    fn below(&mut self, bound: u32) -> u32 {
        let width = (1u64 << 32) / u64::from(bound.max(1));
        loop {
            let drawn = u64::from(self.word()) / width;
            if drawn < u64::from(bound) {
                return drawn as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C++ standard demands this of the 10,000th word of the default seed
    /// ([rand.predef] of ISO/IEC 14882).
    #[test]
    fn the_generator_is_that_of_the_standard() {
        let mut random = MersenneTwister::new(5489);
        let words: Vec<u32> = (0..10_000).map(|_| random.word()).collect();
        assert_eq!(words[9_999], 4_123_659_995);
        assert_eq!(words[0], 3_499_211_612);
    }

    #[test]
    fn numbers_below_a_bound_reach_all_of_them() {
        let mut random = MersenneTwister::new(1);
        let mut seen = [0; 3];
        (0..3_000).for_each(|_| seen[random.below(3) as usize] += 1);
        assert!(seen.iter().all(|count| (900..1_100).contains(count)), "{seen:?}");
    }
}
