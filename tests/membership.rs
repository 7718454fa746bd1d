//! Peers that come, drain, go and come back under their number, for every algorithm and under the
//! rules of every engine.

use std::collections::BTreeMap;

use lab::policy::rules::{EnvoyRules, HaproxyRules};
use lab::policy::{
    ActiveHealthConfig, Admission, Algorithm, Attempt, ConsistentHashConfig, Event,
    HaproxyAlgorithm, HaproxyHash, Head, LeastRequestConfig, LoadFactor, LoadReport, MaglevConfig,
    Next, Outcome, OutlierConfig, PeakEwmaConfig, PeakEwmaVariant, PeerChange, PeerConfig, PeerId,
    PeerState, PrequalConfig, QueueConfig, RequestFacts, ResilienceConfig, Ring, Rules, Ticket,
    Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed, Span};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Those whose picks follow names or numbers: a peer of another name gets other requests.
fn by_name() -> Vec<Algorithm> {
    let bounded = ConsistentHashConfig {
        ring: Ring::Envoy { size: 64 },
        bounded_load: Some(LoadFactor(12_500)),
    };
    let hash = |hash| Algorithm::Haproxy(HaproxyAlgorithm::Hash(hash));
    vec![
        Algorithm::ConsistentHash(ConsistentHashConfig::default()),
        Algorithm::ConsistentHash(bounded),
        Algorithm::Maglev(MaglevConfig { table_size: 251 }),
        hash(HaproxyHash::Consistent { balance_factor: 150 }),
        Algorithm::Haproxy(HaproxyAlgorithm::Random { draws: 2 }),
    ]
}

fn by_place() -> Vec<Algorithm> {
    let finagle = PeakEwmaConfig { variant: PeakEwmaVariant::Finagle, ..PeakEwmaConfig::DEFAULT };
    vec![
        Algorithm::RoundRobin,
        Algorithm::LeastConn,
        Algorithm::Random,
        Algorithm::RandomTwo,
        Algorithm::IpHash,
        Algorithm::Hash,
        Algorithm::RoundRobinEdf,
        Algorithm::LeastRequest(LeastRequestConfig::DEFAULT),
        Algorithm::PeakEwma(PeakEwmaConfig::DEFAULT),
        Algorithm::PeakEwma(finagle),
        Algorithm::Prequal(PrequalConfig::DEFAULT),
        Algorithm::Haproxy(HaproxyAlgorithm::RoundRobin),
        Algorithm::Haproxy(HaproxyAlgorithm::LeastConn),
        Algorithm::Haproxy(HaproxyAlgorithm::First),
        Algorithm::Haproxy(HaproxyAlgorithm::StaticRr),
        Algorithm::Haproxy(HaproxyAlgorithm::Hash(HaproxyHash::MapBased)),
    ]
}

/// Every rule that keeps something of a peer, at once.
fn config(algorithm: Algorithm, rules: u8, peers: Vec<PeerConfig>) -> UpstreamConfig {
    let second = Span::from_secs(1);
    let health = ActiveHealthConfig {
        path: "/".to_owned(),
        interval: second,
        timeout: second,
        rise: 2,
        fall: 2,
    };
    UpstreamConfig {
        health: Some(health),
        queue: QueueConfig { length: 3, timeout: second * 3 },
        resilience: ResilienceConfig {
            outlier: Some(OutlierConfig { interval: second, ..OutlierConfig::default() }),
            ..ResilienceConfig::default()
        },
        rules: match (algorithm, rules) {
            (Algorithm::Haproxy(_), _) | (_, 1) => Rules::Haproxy(HaproxyRules::default()),
            (_, 2) => Rules::Envoy(EnvoyRules::default()),
            _ => Rules::default(),
        },
        ..UpstreamConfig::new(algorithm, peers)
    }
}

fn peer(name: &str) -> PeerConfig {
    PeerConfig { max_conns: 3, slow_start: Span::from_secs(4), ..PeerConfig::new(name) }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Admit,
    Answer(Index, u16),
    Break(Index),
    Advance(u64),
    /// Every health check that is due passes, but that of this place fails.
    Checks(u8),
    Load(u32),
}

fn ops(most: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => Just(Op::Admit),
        6 => (any::<Index>(), select(vec![200, 200, 503])).prop_map(|(i, s)| Op::Answer(i, s)),
        2 => any::<Index>().prop_map(Op::Break),
        5 => (0..1200u64).prop_map(Op::Advance),
        2 => (0..6u8).prop_map(Op::Checks),
        2 => (0..9u32).prop_map(Op::Load),
    ];
    vec(op, 0..most)
}

/// Plays a script and writes down what happened, with peers by name.
struct Play {
    upstream: Upstream,
    now: Nanos,
    id: u64,
    open: BTreeMap<u64, Attempt>,
    waiting: BTreeMap<Ticket, u64>,
    checks: Vec<PeerId>,
    loads: Vec<PeerId>,
    log: Vec<String>,
    /// By HAProxy's rules.
    pauses: bool,
    /// By neither's.
    own_rules: bool,
    algorithm: Algorithm,
}

impl Play {
    fn new(config: &UpstreamConfig) -> Self {
        Self {
            upstream: Upstream::new(config, Seed::new(7, 0)),
            now: Nanos::ZERO,
            id: 0,
            open: BTreeMap::new(),
            waiting: BTreeMap::new(),
            checks: Vec::new(),
            loads: Vec::new(),
            log: Vec::new(),
            pauses: matches!(config.rules, Rules::Haproxy(_)),
            own_rules: matches!(config.rules, Rules::Nginx),
            algorithm: config.algorithm,
        }
    }

    fn name(&self, id: PeerId) -> &str {
        self.upstream.peer(id).unwrap().name()
    }

    fn play(&mut self, ops: &[Op]) {
        for op in ops {
            self.step(*op);
            self.take_events();
            self.count();
        }
    }

    fn step(&mut self, op: Op) {
        match op {
            Op::Admit => self.admit(),
            Op::Answer(which, status) => {
                if let Some(attempt) = self.some(which) {
                    self.answer(attempt, status);
                }
            }
            Op::Break(which) => {
                let Some(attempt) = self.some(which) else { return };
                let id = attempt.facts.id;
                let next = self.upstream.finished(self.now, attempt, Outcome::ConnectFailed);
                self.go_on(id, next);
            }
            Op::Advance(millis) => {
                self.now += Span::from_millis(millis);
                self.upstream.handle_timeout(self.now);
            }
            Op::Checks(fails) => {
                let mut due = std::mem::take(&mut self.checks);
                due.sort_by_key(|id| self.name(*id).to_owned());
                for (place, id) in due.into_iter().enumerate() {
                    let passed = place != usize::from(fails);
                    self.upstream.probe_result(self.now, id, passed);
                }
            }
            Op::Load(rif) => {
                let load = LoadReport { rif, latency: Span::from_millis(u64::from(rif) * 7) };
                if let Some(id) = self.loads.pop() {
                    self.upstream.load_probe_result(self.now, id, load);
                }
            }
        }
    }

    fn answer(&mut self, attempt: Attempt, status: u16) {
        let id = attempt.facts.id;
        let next = match self.upstream.head(self.now, attempt, status) {
            Head::Pass(attempt) => self.upstream.finished(self.now, attempt, Outcome::Responded),
            Head::Next(next) => next,
        };
        self.go_on(id, next);
    }

    fn some(&mut self, which: Index) -> Option<Attempt> {
        let count = self.open.len();
        let id = (count > 0).then(|| *self.open.keys().nth(which.index(count)).unwrap())?;
        self.open.remove(&id)
    }

    fn admit(&mut self) {
        self.id += 1;
        let key = self.algorithm.digest(self.id.to_string().as_bytes());
        let facts = RequestFacts { id: self.id, key, idempotent: true };
        match self.upstream.admit(self.now, facts) {
            Admission::Go(attempt) => self.began(attempt, true),
            Admission::Wait(ticket) => drop(self.waiting.insert(ticket, self.id)),
            Admission::Refused(refusal) => self.log.push(format!("{} {refusal:?}", self.id)),
        }
    }

    /// An attempt that was chosen now, or that has waited for its very peer.
    fn began(&mut self, attempt: Attempt, chosen: bool) {
        let peer = self.upstream.peer(attempt.peer).unwrap();
        assert!(!(chosen && peer.is_removed()), "{} is not there and was picked", peer.name());
        self.log.push(format!("{} at {} to {}", attempt.facts.id, self.now, peer.name()));
        self.open.insert(attempt.facts.id, attempt);
    }

    fn go_on(&mut self, id: u64, next: Next) {
        match next {
            Next::Done => self.log.push(format!("{id} done")),
            Next::Refused(refusal) => self.log.push(format!("{id} {refusal:?}")),
            Next::Retry(attempt) => self.began(attempt, true),
            Next::Wait(ticket) => drop(self.waiting.insert(ticket, id)),
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.upstream.poll_event() {
            match event {
                Event::Turn(ticket, attempt) => {
                    assert!(self.waiting.remove(&ticket).is_some());
                    // Under HAProxy's and Envoy's rules some wait for one peer alone.
                    self.began(attempt, self.own_rules);
                }
                Event::Expired(ticket, refusal) => {
                    let id = self.waiting.remove(&ticket).unwrap();
                    self.log.push(format!("{id} {refusal:?}"));
                }
                Event::ProbeDue(id) => {
                    let peer = self.upstream.peer(id).unwrap();
                    assert!(!peer.is_removed(), "{} is not there and was checked", peer.name());
                    self.checks.push(id);
                }
                Event::LoadProbeDue(id) => self.loads.push(id),
                Event::Changed { peer, state, .. } => {
                    self.log.push(format!("{} {state:?}", self.name(peer)));
                }
                Event::RetryWithheld { .. } | Event::Panic(_) => {}
            }
        }
    }

    /// Each peer has in flight what it was given and has not ended; under HAProxy's rules also what
    /// pauses before another attempt there.
    fn count(&self) {
        let mut pausing = self.waiting.len();
        for peer in self.upstream.peers().iter() {
            let mine = self.open.values().filter(|attempt| attempt.peer == peer.id()).count();
            let counted = peer.in_flight() as usize;
            assert!(counted >= mine && counted <= mine + pausing, "{}: {counted}", peer.name());
            pausing -= counted - mine;
        }
        assert!(self.pauses || pausing == self.waiting.len(), "counted without being under way");
    }

    fn apply(&mut self, change: PeerChange) -> Option<PeerId> {
        let added = self.upstream.apply(self.now, change);
        self.take_events();
        added
    }

    /// Lets everything that is under way end.
    fn settle(&mut self) {
        for _ in 0..100 {
            while let Some((_, attempt)) = self.open.pop_first() {
                self.answer(attempt, 200);
                self.take_events();
            }
            if self.waiting.is_empty() {
                return;
            }
            self.step(Op::Advance(100));
            self.take_events();
        }
        panic!("{} still wait", self.waiting.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// One that left and came back under its number does as one that is new: everything that
    /// happens is the same but for the name.
    #[test]
    fn a_revived_peer_is_as_a_new_one(
        algorithm in select(by_place()),
        rules in 0..3u8,
        before in ops(60),
        between in ops(20),
        after in ops(120),
    ) {
        let peers = ["a", "b", "c"].map(peer).to_vec();
        let config = config(algorithm, rules, peers);
        let run = |name: &str| {
            let mut play = Play::new(&config);
            play.play(&before);
            play.apply(PeerChange::Drain(PeerId(2)));
            play.settle();
            play.apply(PeerChange::Remove(PeerId(2)));
            play.play(&between);
            play.settle();
            (play.checks, play.loads) = (Vec::new(), Vec::new());
            play.log.clear();
            let number = play.apply(PeerChange::Add(peer(name)));
            play.play(&after);
            (number, play.log)
        };
        let (number, log) = run("c");
        let (other, new) = run("d");
        prop_assert_eq!((number, other), (Some(PeerId(2)), Some(PeerId(3))));
        let renamed: Vec<String> = new.iter().map(|line| renamed(line)).collect();
        prop_assert_eq!(log, renamed);
    }

    /// Peers come, drain, go and come back while requests are under way: what is in flight is
    /// counted right, who is absent is neither picked nor checked, and numbers stay with names.
    #[test]
    fn numbers_stay_with_names_and_counts_stay_right(
        algorithm in select([by_place(), by_name()].concat()),
        rules in 0..3u8,
        steps in vec((ops(12), 0..4usize, 0..4u8), 1..30),
    ) {
        let names = ["a", "b", "c", "d"];
        let absent = |name: &str| PeerConfig { absent: name > "b", ..peer(name) };
        let mut play = Play::new(&config(algorithm, rules, names.map(absent).to_vec()));
        for (ops, place, change) in steps {
            play.play(&ops);
            let id = PeerId(place as u32);
            let there = !play.upstream.peer(id).unwrap().is_removed();
            match change {
                0 if there => drop(play.apply(PeerChange::Remove(id))),
                1 if there => drop(play.apply(PeerChange::Drain(id))),
                2 if there => drop(play.apply(PeerChange::Resume(id))),
                _ if !there => {
                    prop_assert_eq!(play.apply(PeerChange::Add(peer(names[place]))), Some(id));
                    let revived = play.upstream.peer(id).unwrap();
                    prop_assert_eq!((revived.fails(), revived.is_draining()), (0, false));
                }
                _ => {}
            }
            play.count();
        }
        prop_assert_eq!(play.upstream.peer_count(), 4);
    }
}

fn renamed(line: &str) -> String {
    let words = line.split(' ').map(|word| if word == "d" { "c" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_slot_that_is_absent_gets_nothing_until_it_is_added() {
    let peers = vec![peer("a"), PeerConfig { absent: true, ..peer("b") }];
    let plain = UpstreamConfig::new(Algorithm::RoundRobin, peers);
    let mut upstream = Upstream::new(&plain, Seed::new(1, 0));
    let picks = |upstream: &mut Upstream, from: u64| -> Vec<u32> {
        let pick =
            |id| match upstream.admit(Nanos(id), RequestFacts { id, key: 0, idempotent: true }) {
                Admission::Go(attempt) => {
                    let peer = attempt.peer.0;
                    upstream.finished(Nanos(id), attempt, Outcome::Responded);
                    peer
                }
                other => panic!("{other:?}"),
            };
        (from..from + 6).map(pick).collect()
    };
    assert_eq!(upstream.peer(PeerId(1)).unwrap().state(Nanos(1)), PeerState::Removed);
    assert_eq!(picks(&mut upstream, 1), [0; 6]);
    let added = PeerConfig { slow_start: Span::ZERO, ..peer("b") };
    assert_eq!(upstream.apply(Nanos(7), PeerChange::Add(added)), Some(PeerId(1)));
    assert_eq!(picks(&mut upstream, 8).iter().sum::<u32>(), 3);
}
