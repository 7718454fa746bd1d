//! A test kit for balancing policies, built in or one's own.
//!
//! ```
//! use lab::policy::Algorithm;
//! use lab::policy::kit::Kit;
//!
//! Kit::new(Algorithm::LeastConn).check().unwrap();
//! // One that shares by chance, or by hashes, says how far from its weights it may be.
//! Kit::new(Algorithm::Random).shares_within(0.05).check().unwrap();
//! // One that does not share by weight at all is held to the rest.
//! Kit::new(Algorithm::RandomTwo).shares_its_own_way().check().unwrap();
//! ```
//!
//! Whatever a policy promises, it must choose only who may be chosen, choose somebody whenever
//! somebody may be, choose the same again for the same seed, and live through peers that fail,
//! drain, change their weight, come and go, all of them too.

mod rules;
mod shares;
mod witness;

use super::balance::Algorithm;
use super::peer::PeerConfig;
use super::upstream::{QueueConfig, Upstream, UpstreamConfig};
use super::{RequestFacts, ResilienceConfig, RetryConfig, Rules};
use crate::units::Seed;
use witness::Witness;

/// Checks a policy.
#[derive(Clone, Copy, Debug)]
pub struct Kit {
    algorithm: Algorithm,
    /// Relative difference of a share from what the weights promise, if they promise anything.
    tolerance: Option<f64>,
    starves_nobody: bool,
}

/// A promise that a policy broke, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{policy}: {promise}: {what}")]
pub struct Broken {
    /// Name of the policy.
    pub policy: &'static str,
    /// What it must do.
    pub promise: &'static str,
    /// What it did.
    pub what: String,
}

impl Kit {
    /// A kit for a policy that shares exactly by weight and starves nobody.
    #[must_use]
    pub const fn new(algorithm: Algorithm) -> Self {
        Self { algorithm, tolerance: Some(0.0), starves_nobody: true }
    }

    /// Each peer's share may differ from its weight's by so much of it (0.05 is 5 %), beside what
    /// chance explains: six standard deviations of independent picks.
    #[must_use]
    pub const fn shares_within(self, tolerance: f64) -> Self {
        Self { tolerance: Some(tolerance), ..self }
    }

    /// The policy looks at other things than weights: shares are not checked.
    #[must_use]
    pub const fn shares_its_own_way(self) -> Self {
        Self { tolerance: None, ..self }
    }

    /// The policy may leave peers without requests for ever.
    #[must_use]
    pub const fn may_starve(self) -> Self {
        Self { starves_nobody: false, ..self }
    }

    /// Runs every check; a second or less for a policy that decides in a microsecond.
    ///
    /// # Errors
    /// The first promise that was broken.
    pub fn check(&self) -> Result<(), Broken> {
        rules::check(self)?;
        if let Some(tolerance) = self.tolerance {
            shares::by_weight(self, tolerance)?;
            shares::monotone(self)?;
        }
        if self.starves_nobody {
            shares::nobody_starves(self)?;
        }
        Ok(())
    }

    fn broken(&self, promise: &'static str, what: String) -> Broken {
        Broken { policy: self.algorithm.name(), promise, what }
    }

    /// A fresh group of peers under the policy, and the witness of its choices.
    fn group(&self, peers: Vec<PeerConfig>, retry: RetryConfig, seed: u64) -> (Upstream, Witness) {
        let config = UpstreamConfig {
            algorithm: self.algorithm,
            peers,
            retry,
            health: None,
            queue: QueueConfig::default(),
            resilience: ResilienceConfig::default(),
            rules: Rules::default(),
        };
        let (seed, witness) = (Seed::new(seed, 0), Witness::default());
        let upstream = match self.algorithm {
            Algorithm::Own(policy) => {
                let watched = witness.watch((policy.make)());
                Upstream::with_policy(&config, seed, Box::new(watched))
            }
            _ => Upstream::new(&config, seed),
        };
        (upstream, witness)
    }

    /// Request `id`, with a key of its own.
    fn request(&self, id: u64) -> RequestFacts {
        let key = match self.algorithm {
            Algorithm::IpHash => {
                // Spread over all networks of IPv4.
                let address = (id as u32).wrapping_mul(0x9E37_79B1);
                self.algorithm.digest_address(std::net::IpAddr::from(address.to_be_bytes()))
            }
            _ => self.algorithm.digest(format!("key-{id}").as_bytes()),
        };
        RequestFacts { id, key, idempotent: true }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering::Relaxed;

    use super::super::{Balance, Candidates, PeerId, Policy};
    use super::*;
    use crate::units::Draw;

    type Pick = fn(&Candidates<'_>, &RequestFacts, &mut Draw) -> Option<PeerId>;

    struct By(Pick);

    impl Balance for By {
        fn pick(
            &mut self,
            candidates: &Candidates<'_>,
            request: &RequestFacts,
            draw: &mut Draw,
        ) -> Option<PeerId> {
            (self.0)(candidates, request, draw)
        }
    }

    fn kit(name: &'static str, make: fn() -> Box<dyn Balance>) -> Kit {
        Kit::new(Algorithm::Own(Policy { name, make })).shares_within(0.05)
    }

    /// The promise that the policy breaks.
    fn caught(make: fn() -> Box<dyn Balance>) -> &'static str {
        kit("wrong", make).check().unwrap_err().promise
    }

    fn weighted(candidates: &Candidates<'_>, mut number: u64) -> Option<PeerId> {
        let total: u64 = candidates.iter().map(|peer| u64::from(peer.weight())).sum();
        number %= total.max(1);
        let mut peers = candidates.iter().map(|peer| (peer.id(), u64::from(peer.weight())));
        peers
            .find(|(_, weight)| {
                let found = number < *weight;
                number = number.saturating_sub(*weight);
                found
            })
            .map(|(id, _)| id)
    }

    #[test]
    fn a_good_policy_passes() {
        kit("good", || Box::new(By(|candidates, _, draw| weighted(candidates, draw.word()))))
            .check()
            .unwrap();
    }

    #[test]
    fn each_broken_promise_is_found() {
        assert_eq!(caught(|| Box::new(By(|_, _, _| Some(PeerId(0))))), rules::ONLY_ELIGIBLE);
        let picky: fn() -> Box<dyn Balance> = || {
            Box::new(By(|candidates, request, _| {
                let first = candidates.iter().next().filter(|_| request.id % 50 != 7);
                first.map(|peer| peer.id())
            }))
        };
        assert_eq!(caught(picky), rules::SOMEBODY);
        let forgetful: fn() -> Box<dyn Balance> = || {
            static CALLS: AtomicU64 = AtomicU64::new(0);
            Box::new(By(|candidates, _, _| {
                weighted(candidates, CALLS.fetch_add(1, Relaxed).wrapping_mul(0x9E37_79B9) >> 7)
            }))
        };
        assert_eq!(caught(forgetful), rules::REPEATABLE);
        let unweighted: fn() -> Box<dyn Balance> = || {
            Box::new(By(|candidates, _, draw| {
                let count = candidates.iter().count() as u64;
                candidates.iter().nth(draw.below(count) as usize).map(|peer| peer.id())
            }))
        };
        assert_eq!(caught(unweighted), shares::BY_WEIGHT);
        let unmoved = kit("wrong", unweighted);
        assert_eq!(shares::monotone(&unmoved).unwrap_err().promise, shares::MONOTONE);
    }

    #[test]
    fn starvation_is_found() {
        let first: fn() -> Box<dyn Balance> =
            || Box::new(By(|candidates, _, _| candidates.iter().next().map(|peer| peer.id())));
        let kit = kit("first", first).shares_its_own_way();
        assert_eq!(kit.check().unwrap_err().promise, shares::NOBODY_STARVES);
        kit.may_starve().check().unwrap();
    }
}
