//! The ranking and the scan side by side: whatever happens to a group, both pick the same peers and
//! leave the same scores.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::policy::attempt::SoFar;
use crate::policy::balance::Balancer;
use crate::policy::group::Group;
use crate::policy::slow_start::SlowStart;
use crate::policy::{Algorithm, Forced, PeerConfig, PeerId, Peers, RequestFacts, Rules};
use crate::units::{Nanos, Ratio, Seed, Span};

#[derive(Clone, Debug)]
enum Step {
    /// Without those `tried`; a pick that is not `begun` changes no load.
    Pick {
        tried: Vec<Index>,
        begun: bool,
    },
    End {
        which: Index,
        failed: bool,
    },
    Advance(Span),
    Add(PeerConfig),
    Configure(Index, PeerConfig),
    Weight(Index, u32),
    Remove(Index),
    Drain(Index, bool),
    Force(Index, Option<Forced>),
    Eject(Index, bool),
    Check(Index, bool),
    SlowStart(Index),
}

/// The last three have no common multiple of 32 bits with each other.
const WEIGHTS: [u32; 9] = [1, 1, 1, 2, 3, 6, 65_519, 65_521, 65_537];

prop_compose! {
    fn peers(heaviest: usize)(
        weight in select(WEIGHTS[..heaviest].to_vec()),
        backup in prop::bool::weighted(0.15),
        absent in prop::bool::weighted(0.05),
        max_conns in select(vec![0, 0, 0, 1, 2, 5]),
        max_fails in 0..4u32,
        fail_timeout in 0..4u64,
        slow_start in select(vec![0, 0, 3]),
        name in 0..60u32,
    ) -> PeerConfig {
        let (fail_timeout, slow_start) = (Span::from_secs(fail_timeout), Span::from_secs(slow_start));
        PeerConfig {
            weight, backup, absent, max_conns, max_fails, fail_timeout, slow_start,
            ..PeerConfig::new(name.to_string())
        }
    }
}

fn steps(heaviest: usize) -> impl Strategy<Value = Step> {
    let which = any::<Index>;
    prop_oneof![
        60 => Just(Step::Pick { tried: Vec::new(), begun: true }),
        6 => (vec(which(), 1..4), any::<bool>())
            .prop_map(|(tried, begun)| Step::Pick { tried, begun }),
        2 => Just(Step::Pick { tried: Vec::new(), begun: false }),
        40 => which().prop_map(|which| Step::End { which, failed: false }),
        3 => which().prop_map(|which| Step::End { which, failed: true }),
        6 => (0..1500u64).prop_map(|ms| Step::Advance(Span::from_millis(ms))),
        1 => peers(heaviest).prop_map(Step::Add),
        1 => (which(), peers(heaviest)).prop_map(|(which, config)| Step::Configure(which, config)),
        1 => (which(), select(WEIGHTS[..heaviest].to_vec()))
            .prop_map(|(which, weight)| Step::Weight(which, weight)),
        1 => which().prop_map(Step::Remove),
        1 => (which(), any::<bool>()).prop_map(|(which, drains)| Step::Drain(which, drains)),
        1 => (which(), select(vec![None, Some(Forced::Up), Some(Forced::Down)]))
            .prop_map(|(which, forced)| Step::Force(which, forced)),
        1 => (which(), any::<bool>()).prop_map(|(which, ejected)| Step::Eject(which, ejected)),
        1 => (which(), any::<bool>()).prop_map(|(which, passed)| Step::Check(which, passed)),
        1 => which().prop_map(Step::SlowStart),
    ]
}

type Scenario = (Vec<PeerConfig>, Vec<Step>);

fn scenarios() -> impl Strategy<Value = Scenario> {
    select(vec![1, 4, 6, WEIGHTS.len()])
        .prop_flat_map(|heaviest| (vec(peers(heaviest), 1..40), vec(steps(heaviest), 1..400)))
}

fn group(configs: &[PeerConfig], algorithm: Algorithm, scanned_max: usize, panic: f64) -> Group {
    let peers = Peers::new(configs)
        .with_rules(SlowStart::default(), Ratio(panic))
        .scanned_up_to(scanned_max);
    Group::new(peers, Balancer::new(algorithm, &Rules::default()), Seed::new(1, 0))
}

/// Two groups to which the same happens.
struct Pair {
    scanned: Group,
    ranked: Group,
    now: Nanos,
    in_flight: Vec<PeerId>,
    picks: u64,
}

impl Pair {
    fn peer(&self, which: Index) -> PeerId {
        PeerId(which.index(self.scanned.peers.count()) as u32)
    }

    fn both(&mut self, mut change: impl FnMut(&mut Peers)) {
        change(&mut self.scanned.peers);
        change(&mut self.ranked.peers);
    }

    fn step(&mut self, step: Step) {
        let now = self.now;
        match step {
            Step::Pick { tried, begun } => {
                let tried: Vec<PeerId> = tried.into_iter().map(|which| self.peer(which)).collect();
                self.pick(&tried, begun);
            }
            Step::End { which, failed } => {
                if self.in_flight.is_empty() {
                    return;
                }
                let id = self.in_flight.swap_remove(which.index(self.in_flight.len()));
                let effects = [&mut self.scanned, &mut self.ranked]
                    .map(|group| group.end_at(now, id, now, failed));
                assert_eq!(effects[0], effects[1]);
                self.both(|peers| _ = peers.reassess_panic());
            }
            Step::Advance(span) => self.now += span,
            Step::Add(config) => self.both(|peers| _ = peers.add(config.clone())),
            Step::Configure(which, config) => {
                let id = self.peer(which);
                self.both(|peers| peers.configure(id, config.clone()));
            }
            Step::Weight(which, weight) => {
                let id = self.peer(which);
                self.both(|peers| peers.change(id, |peer| peer.set_weight(weight)));
            }
            Step::Remove(which) => {
                let id = self.peer(which);
                self.both(|peers| peers.remove(id));
            }
            Step::Drain(which, drains) => {
                let id = self.peer(which);
                self.both(|peers| peers.change(id, |peer| peer.drain(drains)));
            }
            Step::Force(which, forced) => {
                let id = self.peer(which);
                self.both(|peers| peers.change(id, |peer| peer.force(forced)));
            }
            Step::Eject(which, ejected) => {
                let id = self.peer(which);
                self.both(|peers| peers.eject(id, ejected));
            }
            Step::Check(which, passed) => {
                let id = self.peer(which);
                self.both(|peers| _ = peers.checked(id, passed, 1, 1));
            }
            Step::SlowStart(which) => {
                let id = self.peer(which);
                self.both(|peers| peers.begin_slow_start(id, now));
            }
        }
    }

    fn pick(&mut self, tried: &[PeerId], begun: bool) {
        self.picks += 1;
        let facts = RequestFacts { id: self.picks, key: 0, idempotent: true };
        let so_far = SoFar { tried, draws: 0, on_backups: false };
        let now = self.now;
        let picks = [&mut self.scanned, &mut self.ranked].map(|group| {
            let at_sight = if tried.is_empty() { group.pick_at_sight(now) } else { None };
            at_sight.or_else(|| group.pick(now, &facts, 1, so_far).map(|pick| pick.peer))
        });
        assert_eq!(picks[0], picks[1]);
        let Some(id) = picks[0].filter(|_| begun) else { return };
        self.both(|peers| peers.assign(id, now));
        self.in_flight.push(id);
    }

    fn compare(&self) {
        let state = |peers: &Peers| -> Vec<(i64, u32)> {
            let ids = (0..peers.count() as u32).map(PeerId);
            ids.map(|id| (peers.score(id), peers.effective_weight(id))).collect()
        };
        assert_eq!(state(&self.scanned.peers), state(&self.ranked.peers));
    }
}

fn both_agree((configs, steps): Scenario, algorithm: Algorithm, panic: f64) {
    let mut pair = Pair {
        scanned: group(&configs, algorithm, usize::MAX, panic),
        ranked: group(&configs, algorithm, 0, panic),
        now: Nanos::ZERO,
        in_flight: Vec::new(),
        picks: 0,
    };
    for step in steps {
        pair.step(step);
        pair.compare();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn by_load_the_ranking_picks_as_the_scan(
        scenario in scenarios(),
        panic in select(vec![0.0, 0.5]),
    ) {
        both_agree(scenario, Algorithm::LeastConn, panic);
    }

    #[test]
    fn in_turn_the_ranking_picks_as_the_scan(
        scenario in scenarios(),
        panic in select(vec![0.0, 0.5]),
    ) {
        both_agree(scenario, Algorithm::RoundRobin, panic);
    }
}
