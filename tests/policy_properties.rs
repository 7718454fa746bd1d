//! What must hold of the policy whatever happens: random groups under random operations, and the
//! laws of sharing.

use std::collections::{BTreeMap, BTreeSet};

use lab::policy::{
    ActiveHealthConfig, Admission, Algorithm, Attempt, Balance, Candidates, ConsistentHashConfig,
    Event, Head, LeastRequestConfig, LoadFactor, LoadReport, MaglevConfig, Next, Outcome,
    PeakEwmaConfig, PeakEwmaVariant, PeerChange, PeerConfig, PeerId, PeerList, PeerState,
    PrequalConfig, QueueConfig, RequestFacts, ResilienceConfig, RetryConditions, RetryConfig, Ring,
    Rules, Ticket, Upstream, UpstreamConfig,
};
use lab::units::{Draw, Nanos, Seed, Span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// An algorithm of one's own that does not care whether its choice is eligible.
struct Careless;

impl Balance for Careless {
    fn pick(&mut self, _: &Candidates<'_>, _: &RequestFacts, draw: &mut Draw) -> Option<PeerId> {
        Some(PeerId(draw.below(9) as u32))
    }
}

const FULL_SCAN: LeastRequestConfig =
    LeastRequestConfig { full_scan: true, ..LeastRequestConfig::DEFAULT };
const FINAGLE: PeakEwmaConfig =
    PeakEwmaConfig { variant: PeakEwmaVariant::Finagle, ..PeakEwmaConfig::DEFAULT };

/// `None` stands for [`Careless`].
fn build(config: &UpstreamConfig, algorithm: Option<Algorithm>) -> Upstream {
    match algorithm {
        Some(algorithm) => {
            Upstream::new(&UpstreamConfig { algorithm, ..config.clone() }, Seed::new(3, 0))
        }
        None => Upstream::with_policy(config, Seed::new(3, 0), Box::new(Careless)),
    }
}

#[derive(Clone, Debug)]
enum Op {
    Admit { idempotent: bool },
    Head(Index, u16),
    Finish(Index, Outcome),
    Abandon(Index),
    Advance(Span),
    Wake,
    Probe(Index, bool),
    Add(PeerConfig),
    Change(Index, Change),
    LoadAnswer(Index, LoadReport),
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Remove,
    Drain,
    Resume,
    Weight(u32),
}

fn algorithms() -> impl Strategy<Value = Option<Algorithm>> {
    select(vec![
        Some(Algorithm::RoundRobin),
        Some(Algorithm::LeastConn),
        Some(Algorithm::Random),
        Some(Algorithm::RandomTwo),
        Some(Algorithm::RoundRobinEdf),
        Some(Algorithm::LeastRequest(LeastRequestConfig::DEFAULT)),
        Some(Algorithm::LeastRequest(FULL_SCAN)),
        Some(Algorithm::PeakEwma(PeakEwmaConfig::DEFAULT)),
        Some(Algorithm::PeakEwma(FINAGLE)),
        Some(Algorithm::Prequal(PrequalConfig::DEFAULT)),
        Some(Algorithm::IpHash),
        Some(Algorithm::Hash),
        Some(Algorithm::ConsistentHash(ConsistentHashConfig::default())),
        Some(Algorithm::ConsistentHash(ConsistentHashConfig {
            ring: Ring::Envoy { size: 64 },
            bounded_load: Some(LoadFactor(12_500)),
        })),
        Some(Algorithm::Maglev(MaglevConfig { table_size: 251 })),
        None,
    ])
}

prop_compose! {
    fn peers()(
        name in select(vec!["peer", "one", "other"]),
        weight in 1..8u32,
        backup in prop::bool::weighted(0.2),
        down in prop::bool::weighted(0.1),
        max_conns in 0..4u32,
        max_fails in 0..4u32,
        fail_timeout in 0..4u64,
        absent in prop::bool::weighted(0.2),
    ) -> PeerConfig {
        let fail_timeout = Span::from_secs(fail_timeout);
        PeerConfig {
            weight, backup, down, absent, max_conns, max_fails, fail_timeout,
            ..PeerConfig::new(name)
        }
    }
}

prop_compose! {
    fn retries()(
        (error, timeout, invalid_header, non_idempotent) in any::<(bool, bool, bool, bool)>(),
        statuses in select(vec![vec![], vec![503], vec![404, 500, 503]]),
        tries in 0..4u32,
        limit in select(vec![0, 500, 3000]),
    ) -> RetryConfig {
        let on = RetryConditions { error, timeout, invalid_header, statuses, non_idempotent };
        RetryConfig { on, tries, timeout: Span::from_millis(limit) }
    }
}

prop_compose! {
    fn checks()(interval in 200..2000u64, rise in 1..3u32, fall in 1..3u32) -> ActiveHealthConfig {
        let interval = Span::from_millis(interval);
        ActiveHealthConfig { path: "/".to_owned(), interval, timeout: interval, rise, fall }
    }
}

prop_compose! {
    fn groups()(
        peers in vec(peers(), 0..6),
        retry in retries(),
        health in option::of(checks()),
        length in select(vec![0, 0, 1, 4]),
        wait in select(vec![0, 700, 2500]),
    ) -> UpstreamConfig {
        let queue = QueueConfig { length, timeout: Span::from_millis(wait) };
        let resilience = ResilienceConfig::default();
        UpstreamConfig {
            algorithm: Algorithm::RoundRobin, peers, retry, health, queue, resilience,
            rules: Rules::default(),
        }
    }
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    select(vec![
        Outcome::Responded,
        Outcome::ConnectFailed,
        Outcome::ConnectTimedOut,
        Outcome::Closed { reused: false },
        Outcome::Closed { reused: true },
        Outcome::ReadTimedOut,
        Outcome::InvalidHead,
        Outcome::ClientGone,
    ])
}

fn changes() -> impl Strategy<Value = Change> {
    prop_oneof![
        Just(Change::Remove),
        Just(Change::Drain),
        Just(Change::Resume),
        (1..8u32).prop_map(Change::Weight)
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => any::<bool>().prop_map(|idempotent| Op::Admit { idempotent }),
        4 => (any::<Index>(), select(vec![200, 404, 500, 503])).prop_map(|(i, s)| Op::Head(i, s)),
        6 => (any::<Index>(), outcomes()).prop_map(|(i, outcome)| Op::Finish(i, outcome)),
        1 => any::<Index>().prop_map(Op::Abandon),
        4 => (0..2500u64).prop_map(|ms| Op::Advance(Span::from_millis(ms))),
        3 => Just(Op::Wake),
        2 => (any::<Index>(), any::<bool>()).prop_map(|(i, passed)| Op::Probe(i, passed)),
        1 => peers().prop_map(Op::Add),
        1 => (any::<Index>(), changes()).prop_map(|(i, change)| Op::Change(i, change)),
        4 => (any::<Index>(), 0..6u32, 0..90u64).prop_map(|(i, rif, millis)| {
            Op::LoadAnswer(i, LoadReport { rif, latency: Span::from_millis(millis) })
        }),
    ]
}

/// A driver that keeps its own books and compares them with the machine's after every step.
struct World {
    upstream: Upstream,
    algorithm: Option<Algorithm>,
    queue: QueueConfig,
    now: Nanos,
    next_id: u64,
    open: Vec<Attempt>,
    /// Those who wait, with what they tried before.
    waiting: BTreeMap<Ticket, Vec<PeerId>>,
    /// Load probes that were asked for and have no answer yet.
    asked: Vec<PeerId>,
    told: BTreeMap<PeerId, PeerState>,
    /// Came back, perhaps with a lower limit than what it had in flight.
    returned: BTreeSet<PeerId>,
    transcript: Vec<String>,
}

impl World {
    fn new(config: &UpstreamConfig, algorithm: Option<Algorithm>) -> Self {
        Self {
            upstream: build(config, algorithm),
            algorithm,
            queue: config.queue,
            now: Nanos::ZERO,
            next_id: 0,
            open: Vec::new(),
            waiting: BTreeMap::new(),
            asked: Vec::new(),
            told: BTreeMap::new(),
            returned: BTreeSet::new(),
            transcript: Vec::new(),
        }
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Admit { idempotent } => self.admit(*idempotent),
            Op::Head(which, status) => self.head(*which, *status),
            Op::Finish(which, outcome) => self.finish(*which, *outcome),
            Op::Abandon(which) => self.abandon(*which),
            Op::Advance(span) => self.now += *span,
            Op::Wake => self.wake(),
            Op::Probe(which, passed) => {
                if let Some(peer) = self.some_peer(*which) {
                    self.upstream.probe_result(self.now, peer, *passed);
                }
            }
            Op::Add(config) => {
                let (number, count) =
                    (self.upstream.number_of(&config.name), self.upstream.peer_count());
                let left =
                    |peer: &lab::policy::Peer| peer.is_removed() && peer.name() == config.name;
                let returns = self.upstream.peer(number).is_some_and(left);
                assert!(returns || number.index() == count);
                let added = self.upstream.apply(self.now, PeerChange::Add(config.clone()));
                assert_eq!(added, Some(number));
                if returns {
                    self.returned.insert(number);
                }
                assert_eq!(self.upstream.peer_count(), count + usize::from(!returns));
            }
            Op::Change(which, change) => self.change(*which, *change),
            Op::LoadAnswer(which, load) => self.answer_load(*which, *load),
        }
        self.take_events();
        self.compare_books();
    }

    fn some_peer(&self, which: Index) -> Option<PeerId> {
        let count = self.upstream.peer_count();
        (count > 0).then(|| PeerId(which.index(count) as u32))
    }

    /// The peers a new request may go to, found from what the peers show.
    fn expected(&self) -> Vec<PeerId> {
        let peers = self.upstream.peers();
        let open = |list| -> Vec<PeerId> {
            let up = |id: &PeerId| {
                let peer = peers.get(*id).unwrap();
                peer.state(self.now) == PeerState::Up && !peer.is_full()
            };
            peers.list(list).iter().copied().filter(up).collect()
        };
        let primaries = open(PeerList::Primaries);
        if primaries.is_empty() { open(PeerList::Backups) } else { primaries }
    }

    fn someone_is_only_full(&self) -> bool {
        let shown = |peer: &lab::policy::Peer| peer.state(self.now) == PeerState::Up;
        self.upstream.peers().iter().any(|peer| shown(peer) && peer.is_full())
    }

    fn admit(&mut self, idempotent: bool) {
        let alone_in_line = self.upstream.waiting() == 0;
        let expected = self.expected();
        let waits = self.queue.length > 0 && self.someone_is_only_full();
        let least = expected.iter().map(|id| self.load(*id)).min_by(f64::total_cmp);
        let loads: BTreeMap<PeerId, f64> =
            expected.iter().map(|id| (*id, self.load(*id))).collect();
        let bytes = self.next_id.to_string();
        let key = self.algorithm.map_or(0, |algorithm| algorithm.digest(bytes.as_bytes()));
        let facts = RequestFacts { id: self.next_id, key, idempotent };
        self.next_id += 1;
        let admission = self.upstream.admit(self.now, facts);
        self.transcript.push(format!("{admission:?}"));
        match admission {
            Admission::Go(attempt) => {
                if alone_in_line {
                    assert!(expected.contains(&attempt.peer), "{attempt:?} not in {expected:?}");
                    if self.algorithm == Some(Algorithm::LeastConn) {
                        assert_eq!(loads.get(&attempt.peer), least.as_ref());
                    }
                }
                assert_eq!(attempt.number, 1);
                self.open.push(attempt);
            }
            Admission::Wait(ticket) => {
                assert!(!alone_in_line || expected.is_empty() || self.algorithm.is_none());
                self.waiting.insert(ticket, Vec::new());
            }
            Admission::Refused(refusal) => {
                assert!([502, 504].contains(&refusal.status));
                if alone_in_line && self.algorithm.is_some() {
                    assert!(expected.is_empty() && !waits, "refused though {expected:?}");
                }
            }
        }
    }

    /// Requests in flight per weight.
    fn load(&self, id: PeerId) -> f64 {
        let peer = self.upstream.peer(id).unwrap();
        f64::from(peer.in_flight()) / f64::from(peer.weight())
    }

    fn some_attempt(&mut self, which: Index) -> Option<Attempt> {
        let count = self.open.len();
        (count > 0).then(|| self.open.swap_remove(which.index(count)))
    }

    /// What the request has tried once this attempt has ended.
    fn tried_after(&self, attempt: &Attempt) -> Vec<PeerId> {
        let mut tried = attempt.tried().to_vec();
        if !self.upstream.peers().is_single() {
            tried.push(attempt.peer);
        }
        tried
    }

    fn head(&mut self, which: Index, status: u16) {
        let Some(attempt) = self.some_attempt(which) else { return };
        let (number, tried) = (attempt.number, self.tried_after(&attempt));
        match self.upstream.head(self.now, attempt, status) {
            Head::Pass(attempt) => {
                let next = self.upstream.finished(self.now, attempt, Outcome::Responded);
                assert!(matches!(next, Next::Done));
            }
            Head::Next(next) => {
                assert_ne!(status, 200);
                self.go_on(next, number, tried);
            }
        }
    }

    fn finish(&mut self, which: Index, outcome: Outcome) {
        let Some(attempt) = self.some_attempt(which) else { return };
        let (number, tried) = (attempt.number, self.tried_after(&attempt));
        let next = self.upstream.finished(self.now, attempt, outcome);
        assert_eq!(matches!(next, Next::Done), !outcome.is_failure());
        self.go_on(next, number, tried);
    }

    fn go_on(&mut self, next: Next, number: u16, tried: Vec<PeerId>) {
        self.transcript.push(format!("{next:?}"));
        match next {
            Next::Done | Next::Refused(_) => {}
            Next::Retry(attempt) => {
                assert_eq!(attempt.number, number + 1);
                assert!(!tried.contains(&attempt.peer), "{attempt:?} after {tried:?}");
                self.open.push(attempt);
            }
            Next::Wait(ticket) => {
                self.waiting.insert(ticket, tried);
            }
        }
    }

    fn abandon(&mut self, which: Index) {
        let count = self.waiting.len();
        if count > 0 {
            let ticket = *self.waiting.keys().nth(which.index(count)).unwrap();
            self.waiting.remove(&ticket);
            self.upstream.abandon(self.now, ticket);
        }
        self.upstream.abandon(self.now, Ticket(u64::MAX));
    }

    /// Waking early changes nothing, waking twice neither, and waking leaves nothing due.
    fn wake(&mut self) {
        let early = self.upstream.next_timeout().is_none_or(|at| at > self.now);
        self.upstream.handle_timeout(self.now);
        let events = self.take_events();
        assert!(!(early && events > 0), "{events} events before the time asked for");
        self.upstream.handle_timeout(self.now);
        assert_eq!(self.take_events(), 0, "the second call found something");
        assert!(self.upstream.next_timeout().is_none_or(|at| at > self.now));
        let fresh_waits = self.waiting.values().any(Vec::is_empty);
        if fresh_waits && self.algorithm.is_some() {
            assert_eq!(self.expected(), [], "someone waits for a peer that is free");
        }
    }

    /// An answer to a load probe, or one that nobody asked for, of a peer that may have left.
    fn answer_load(&mut self, which: Index, load: LoadReport) {
        let peer = match self.asked.len() {
            0 => self.some_peer(which),
            count => Some(self.asked.swap_remove(which.index(count))),
        };
        if let Some(peer) = peer {
            self.upstream.load_probe_result(self.now, peer, load);
        }
    }

    fn change(&mut self, which: Index, change: Change) {
        let Some(id) = self.some_peer(which) else { return };
        let change = match change {
            Change::Remove => PeerChange::Remove(id),
            Change::Drain => PeerChange::Drain(id),
            Change::Resume => PeerChange::Resume(id),
            Change::Weight(weight) => PeerChange::Weight(id, weight),
        };
        assert_eq!(self.upstream.apply(self.now, change), None);
    }

    fn take_events(&mut self) -> usize {
        let mut count = 0;
        while let Some(event) = self.upstream.poll_event() {
            count += 1;
            self.transcript.push(format!("{event:?}"));
            match event {
                Event::Turn(ticket, attempt) => {
                    let tried = self.waiting.remove(&ticket).expect("a turn for one who waits");
                    assert!(!tried.contains(&attempt.peer));
                    self.open.push(attempt);
                }
                Event::Expired(ticket, refusal) => {
                    assert!(self.waiting.remove(&ticket).is_some());
                    assert_eq!(refusal.status, 502);
                }
                Event::ProbeDue(peer) => {
                    let state = self.upstream.peer(peer).unwrap().state(self.now);
                    assert!(!matches!(state, PeerState::Down | PeerState::Removed));
                }
                Event::LoadProbeDue(peer) => {
                    let state = self.upstream.peer(peer).unwrap().state(self.now);
                    assert_ne!(state, PeerState::Removed);
                    self.asked.push(peer);
                }
                Event::Changed { peer, state, .. } => {
                    assert_ne!(self.told.insert(peer, state), Some(state), "told twice");
                }
                Event::RetryWithheld { .. } | Event::Panic(_) => {
                    panic!("{event:?} in a group without budget and threshold")
                }
            }
        }
        count
    }

    fn compare_books(&self) {
        assert_eq!(self.upstream.waiting(), self.waiting.len());
        assert!(self.waiting.len() <= self.queue.length as usize);
        if self.queue.length == 0 {
            assert!(self.waiting.is_empty());
        }
        for peer in self.upstream.peers().iter() {
            let open = self.open.iter().filter(|attempt| attempt.peer == peer.id()).count();
            assert_eq!(peer.in_flight() as usize, open, "{peer:?}");
            let limit = peer.config.max_conns;
            let bounded = limit != 0 && !self.returned.contains(&peer.id());
            assert!(!bounded || peer.in_flight() <= limit, "{peer:?}");
            assert!(self.upstream.peers().effective_weight(peer.id()) <= peer.weight());
        }
    }

    fn end(mut self) -> Vec<String> {
        for ticket in std::mem::take(&mut self.waiting).into_keys() {
            self.upstream.abandon(self.now, ticket);
        }
        for attempt in std::mem::take(&mut self.open) {
            let next = self.upstream.finished(self.now, attempt, Outcome::ClientGone);
            assert!(matches!(next, Next::Done));
        }
        self.take_events();
        self.compare_books();
        self.transcript
    }
}

fn run(config: &UpstreamConfig, algorithm: Option<Algorithm>, ops: &[Op]) -> Vec<String> {
    let mut world = World::new(config, algorithm);
    ops.iter().for_each(|op| world.step(op));
    world.end()
}

proptest! {
    #[test]
    fn the_books_balance_whatever_happens_and_repeat_exactly(
        config in groups(),
        algorithm in algorithms(),
        ops in vec(ops(), 1..150),
    ) {
        prop_assert_eq!(run(&config, algorithm, &ops), run(&config, algorithm, &ops));
    }
}

fn plain(algorithm: Algorithm, weights: &[u32]) -> Upstream {
    let peers = weights.iter().map(|&weight| PeerConfig { weight, ..PeerConfig::new("peer") });
    Upstream::new(&UpstreamConfig::new(algorithm, peers.collect()), Seed::new(11, 0))
}

/// Picks of `count` requests; each ends before the next starts unless they are `held`.
fn picks(upstream: &mut Upstream, count: u64, held: bool) -> Vec<PeerId> {
    let mut open = Vec::new();
    let picked = (0..count).map(|id| {
        let facts = RequestFacts { id, key: 0, idempotent: true };
        let Admission::Go(attempt) = upstream.admit(Nanos(id), facts) else {
            panic!("an unlimited group takes every request")
        };
        let peer = attempt.peer;
        if held {
            open.push(attempt);
        } else {
            let _ = upstream.finished(Nanos(id), attempt, Outcome::Responded);
        }
        peer
    });
    picked.collect()
}

fn counts(picks: &[PeerId], peers: usize) -> Vec<u64> {
    let mut counts = vec![0; peers];
    picks.iter().for_each(|peer| counts[peer.index()] += 1);
    counts
}

fn scaled(weights: &[u32], factor: u64) -> Vec<u64> {
    weights.iter().map(|&weight| u64::from(weight) * factor).collect()
}

fn total(weights: &[u32]) -> u64 {
    weights.iter().map(|&weight| u64::from(weight)).sum()
}

proptest! {
    /// Smooth weighted round robin is periodic in the sum of the weights, so that every window of
    /// that length holds each peer exactly by its weight: nobody starves.
    #[test]
    fn any_window_of_a_round_shares_exactly_by_weight(
        weights in vec(1..20u32, 1..8),
        algorithm in select(vec![Algorithm::RoundRobin, Algorithm::LeastConn]),
        start in any::<Index>(),
    ) {
        let round = total(&weights);
        let picks = picks(&mut plain(algorithm, &weights), 2 * round, false);
        let start = start.index(round as usize);
        let window = &picks[start..start + round as usize];
        prop_assert_eq!(counts(window, weights.len()), scaled(&weights, 1));
    }

    #[test]
    fn least_conn_holds_requests_exactly_by_weight(weights in vec(1..20u32, 1..8), rounds in 1..4u64) {
        let count = total(&weights) * rounds;
        let picks = picks(&mut plain(Algorithm::LeastConn, &weights), count, true);
        prop_assert_eq!(counts(&picks, weights.len()), scaled(&weights, rounds));
    }

    #[test]
    fn more_weight_gives_more_requests(
        weights in vec(1..12u32, 2..6),
        which in any::<Index>(),
        algorithm in select(vec![Algorithm::RoundRobin, Algorithm::LeastConn]),
        held in any::<bool>(),
    ) {
        let which = which.index(weights.len());
        let mut heavier = weights.clone();
        heavier[which] += 1;
        let count = total(&weights) * total(&heavier);
        let share = |weights: &[u32]| {
            counts(&picks(&mut plain(algorithm, weights), count, held), weights.len())[which]
        };
        prop_assert!(share(&heavier) > share(&weights));
    }

    /// Within six standard deviations of the binomial law: about one false alarm in 10^9 peers.
    #[test]
    fn random_shares_by_weight(weights in vec(1..10u32, 2..6)) {
        const COUNT: u64 = 4000;
        let picks = picks(&mut plain(Algorithm::Random, &weights), COUNT, false);
        for (count, &weight) in counts(&picks, weights.len()).into_iter().zip(&weights) {
            let p = f64::from(weight) / total(&weights) as f64;
            let n = COUNT as f64;
            let distance = (count as f64 - n * p).abs();
            prop_assert!(distance <= 6.0 * (n * p * (1.0 - p)).sqrt(), "{count} of {n} at {p}");
        }
    }

    /// While nothing is out, the most loaded of at least three equal peers is never picked unless
    /// all are equally loaded: one of two different peers is always at most as loaded.
    #[test]
    fn random_two_never_takes_the_most_loaded(count in 2..8usize, requests in 1..200u64) {
        let mut upstream = plain(Algorithm::RandomTwo, &vec![1; count]);
        let mut open = Vec::new();
        for id in 0..requests {
            let loads: Vec<u32> = upstream.peers().iter().map(|peer| peer.in_flight()).collect();
            let most = *loads.iter().max().unwrap();
            let unique = loads.iter().filter(|load| **load == most).count() == 1;
            let facts = RequestFacts { id, key: 0, idempotent: true };
            let Admission::Go(attempt) = upstream.admit(Nanos(id), facts) else { unreachable!() };
            prop_assert!(!(unique && loads[attempt.peer.index()] == most));
            open.push(attempt);
        }
    }
}

#[test]
fn a_tried_peer_is_not_eligible() {
    let upstream = plain(Algorithm::RoundRobin, &[1, 1]);
    assert!(upstream.peers().eligible(PeerId(0), &[PeerId(1)], Nanos::ZERO));
    assert!(!upstream.peers().eligible(PeerId(1), &[PeerId(1)], Nanos::ZERO));
    assert!(!upstream.peers().eligible(PeerId(2), &[], Nanos::ZERO));
}
