//! A balancing policy of one's own, and lab with it.
//!
//! ```sh
//! cargo test --no-default-features --example quickest_of_two   # seconds: the pure half alone
//! cargo run --release --example quickest_of_two -- run examples/quickest_of_two.toml
//! ```
//!
//! What its choice costs: add it to `OWN` in `benches/pick.rs`, then
//! `cargo bench --no-default-features --bench pick`.
//!
//! The program is the whole `lab` command line with one more algorithm, which any scenario may
//! name: `algorithm = "quickest_of_two"`. The model calls it directly, and the live world starts
//! this very program as its proxy, so the same code decides in both. `lab check`, `trace`,
//! `compare` and the rest work as ever, and so does `proxy` in front of real traffic.
//!
//! What a policy may rely on is told at [`lab::policy::Balance`]. In short: it is called under a
//! lock and must not wait; whom it may choose, it is told; health, retries, limits and backups are
//! not its business; for runs that repeat, time comes from the calls and chance from `draw`.

use lab::policy::{Balance, Candidates, Peer, PeerId, Peers, Policy, RequestFacts};
use lab::units::{Draw, Nanos, Span};

/// The word for `balancer.algorithm`, and how each group of peers gets a policy of its own.
pub const POLICY: Policy =
    Policy { name: "quickest_of_two", make: || Box::new(QuickestOfTwo::default()) };

#[cfg(feature = "cli")]
fn main() -> std::process::ExitCode {
    lab::cli::main_with(&[POLICY])
}

/// The pure half, which is all that the tests below need, has no command line.
#[cfg(not(feature = "cli"))]
fn main() {}

/// Of two peers drawn at random, the one where a request should be done sooner: its recent answers
/// took so long on average, and so many are before it by weight.
#[derive(Debug, Default)]
struct QuickestOfTwo {
    /// Mean time of recent answers in nanoseconds, by number of the peer; 0 before the first, so
    /// that a new peer is tried.
    means: Vec<f64>,
}

/// How much the newest answer counts for in the mean.
const NEWEST: f64 = 0.2;

impl QuickestOfTwo {
    /// Expected time to an answer, by what is known.
    fn expected(&self, peer: &Peer) -> f64 {
        let mean = self.means.get(peer.id().index()).copied().unwrap_or(0.0);
        mean * f64::from(peer.in_flight() + 1) / f64::from(peer.weight())
    }
}

impl Balance for QuickestOfTwo {
    fn pick(
        &mut self,
        candidates: &Candidates<'_>,
        _request: &RequestFacts,
        draw: &mut Draw,
    ) -> Option<PeerId> {
        let count = candidates.iter().count() as u64;
        let (first, second) = (draw.below(count), draw.below(count));
        let first = candidates.iter().nth(first as usize)?;
        let second = candidates.iter().nth(second as usize)?;
        let sooner = self.expected(second) < self.expected(first);
        Some(if sooner { second.id() } else { first.id() })
    }

    fn finished(&mut self, _: &Peers, peer: PeerId, _: Nanos, took: Span, failed: bool) {
        // A refused connection is quick, and no reason to come again.
        if !failed && let Some(mean) = self.means.get_mut(peer.index()) {
            let newest = took.0 as f64;
            *mean = if *mean == 0.0 { newest } else { *mean + NEWEST * (newest - *mean) };
        }
    }

    fn peers_changed(&mut self, peers: &Peers, _: Nanos) {
        // Numbers are never reused, so what is known of the others stays.
        self.means.resize(peers.count(), 0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lab::policy::kit::Kit;
    use lab::policy::{Admission, Algorithm, Outcome, PeerConfig, Upstream, UpstreamConfig};
    use lab::units::Seed;

    /// Only who may be chosen, somebody whenever somebody may be, the same for the same seed, and
    /// a part for everybody. It looks at times, so its shares are not those of the weights; one
    /// that shares by weight says so with `shares_within`.
    #[test]
    fn it_keeps_what_every_policy_promises() {
        Kit::new(Algorithm::Own(POLICY)).shares_its_own_way().check().unwrap();
    }

    /// Two peers, one request at a time: `slow` takes 30 ms, `quick` 10 ms.
    #[test]
    fn the_quicker_peer_gets_more() {
        let peers = ["slow", "quick"].map(PeerConfig::new).to_vec();
        let config = UpstreamConfig::new(Algorithm::Own(POLICY), peers);
        let mut upstream = Upstream::new(&config, Seed::new(1, 0));
        let mut counts = [0, 0];
        let mut now = Nanos::ZERO;
        for id in 0..1000 {
            let request = RequestFacts { id, key: 0, idempotent: true };
            let Admission::Go(attempt) = upstream.admit(now, request) else {
                panic!("both peers are up")
            };
            let peer = attempt.peer.index();
            counts[peer] += 1;
            now += Span::from_millis([30, 10][peer]);
            let _done = upstream.finished(now, attempt, Outcome::Responded);
        }
        // Only both draws falling on the slow one lead there: a quarter.
        assert!((200..300).contains(&counts[0]), "{counts:?}");
    }
}
