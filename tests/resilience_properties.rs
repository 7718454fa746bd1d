//! What must hold of retry budgets, pauses, hedging, outlier detection, panic and affinity whatever
//! happens: random groups under random operations, against books kept outside.

use std::collections::BTreeSet;

use lab::policy::affinity::{AffinityConfig, SameSite};
use lab::policy::backoff::BackoffConfig;
use lab::policy::budget::{BudgetConfig, ConcurrencyConfig, TokensConfig};
use lab::policy::health::outlier::OutlierConfig;
use lab::policy::hedge::{HedgeConfig, HedgeDelay};
use lab::policy::{
    Admission, Algorithm, Attempt, Event, Head, Next, Outcome, PeerChange, PeerConfig, PeerId,
    PeerState, PeerToken, QueueConfig, RequestFacts, ResilienceConfig, RetryConditions,
    RetryConfig, Rules, Ticket, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Ratio, Seed, Span};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};

#[derive(Clone, Debug)]
enum Op {
    Admit,
    Head(Index, u16),
    Finish(Index, Outcome),
    Hedge(Index),
    Abandon(Index),
    Advance(u64),
    Wake,
    Change(Index, u8),
}

const MIN_CONCURRENCY: u32 = 2;
const PERCENT: f64 = 0.25;

prop_compose! {
    fn configs()(
        weights in vec(1..5u32, 1..6),
        (max_fails, max_conns, slow_start) in (0..3u32, select(vec![0, 0, 3]), select(vec![0, 900])),
        algorithm in select(vec![Algorithm::RoundRobin, Algorithm::LeastConn]),
        panic in select(vec![0.0, 0.5, 1.0]),
        (outlier, budget, backoff, hedge) in any::<(bool, bool, bool, bool)>(),
        tokens in option::of(select(vec![0.0, 0.3])),
        length in select(vec![0, 3]),
        max_ejection in select(vec![0.3, 0.5, 1.0]),
    ) -> UpstreamConfig {
        let peer = |(place, weight): (usize, u32)| PeerConfig {
            weight, max_fails, max_conns,
            fail_timeout: Span::from_secs(1),
            slow_start: Span::from_millis(slow_start),
            ..PeerConfig::new(place.to_string())
        };
        let statuses = vec![503];
        let on = RetryConditions { statuses, ..RetryConditions::default() };
        let concurrency =
            ConcurrencyConfig { percent: Ratio(PERCENT), min_concurrency: MIN_CONCURRENCY };
        let tokens = tokens.map(|ratio| TokensConfig {
            min_per_second: 1.0, ..TokensConfig::new(Ratio(ratio))
        });
        let resilience = ResilienceConfig {
            panic: Ratio(panic),
            outlier: outlier.then(|| OutlierConfig {
                interval: Span::from_millis(500),
                base_ejection_time: Span::from_secs(1),
                max_ejection_percent: Ratio(max_ejection),
                ..OutlierConfig::default()
            }),
            retry_budget: budget
                .then_some(BudgetConfig { concurrency: Some(concurrency), tokens }),
            backoff: backoff.then_some(BackoffConfig {
                base: Span::from_millis(100),
                max: Span::from_secs(1),
            }),
            hedge: hedge.then_some(HedgeConfig {
                delay: HedgeDelay::Fixed(Span::from_millis(5)),
                budget: Ratio(0.5),
                max_in_flight: 2,
            }),
            affinity: Some(AffinityConfig {
                cookie: "c".to_owned(), ttl: None, secret: "s".to_owned(), path: "/".to_owned(),
                http_only: true, secure: false, same_site: SameSite::Lax,
            }),
            ..ResilienceConfig::default()
        };
        UpstreamConfig {
            algorithm,
            peers: weights.into_iter().enumerate().map(peer).collect(),
            retry: RetryConfig { on, ..RetryConfig::default() },
            health: None,
            queue: QueueConfig { length, timeout: Span::from_secs(2) },
            rules: Rules::default(),
            resilience,
        }
    }
}

fn ops() -> impl Strategy<Value = Op> {
    let outcomes = select(vec![
        Outcome::Responded,
        Outcome::ConnectFailed,
        Outcome::ReadTimedOut,
        Outcome::Closed { reused: true },
        Outcome::ClientGone,
    ]);
    let statuses = select(vec![200, 200, 500, 503, 503]);
    prop_oneof![
        10 => Just(Op::Admit),
        8 => (any::<Index>(), statuses).prop_map(|(which, status)| Op::Head(which, status)),
        6 => (any::<Index>(), outcomes).prop_map(|(which, outcome)| Op::Finish(which, outcome)),
        4 => any::<Index>().prop_map(Op::Hedge),
        1 => any::<Index>().prop_map(Op::Abandon),
        4 => (0..800u64).prop_map(Op::Advance),
        4 => Just(Op::Wake),
        1 => (any::<Index>(), 0..4u8).prop_map(|(which, change)| Op::Change(which, change)),
    ]
}

/// A request under way: one attempt, or two.
type Flight = (Attempt, Option<Attempt>);

struct World {
    upstream: Upstream,
    config: UpstreamConfig,
    now: Nanos,
    next_id: u64,
    open: Vec<Flight>,
    waiting: BTreeSet<Ticket>,
    token: Option<PeerToken>,
    withheld: u64,
    transcript: Vec<String>,
}

impl World {
    fn new(config: &UpstreamConfig) -> Self {
        Self {
            upstream: Upstream::new(config, Seed::new(9, 0)),
            config: config.clone(),
            now: Nanos::ZERO,
            next_id: 0,
            open: Vec::new(),
            waiting: BTreeSet::new(),
            token: None,
            withheld: 0,
            transcript: Vec::new(),
        }
    }

    fn take(&mut self, which: Index) -> Option<Flight> {
        let count = self.open.len();
        (count > 0).then(|| self.open.swap_remove(which.index(count)))
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Admit => self.admit(),
            Op::Head(which, status) => self.head(*which, *status),
            Op::Finish(which, outcome) => self.finish(*which, *outcome),
            Op::Hedge(which) => self.hedge(*which),
            Op::Abandon(which) => {
                let tickets: Vec<Ticket> = self.waiting.iter().copied().collect();
                if !tickets.is_empty() {
                    let ticket = tickets[which.index(tickets.len())];
                    self.waiting.remove(&ticket);
                    self.upstream.abandon(self.now, ticket);
                }
            }
            Op::Advance(millis) => self.now += Span::from_millis(*millis),
            Op::Wake => self.upstream.handle_timeout(self.now),
            Op::Change(which, change) => {
                let id = PeerId(which.index(self.upstream.peer_count()) as u32);
                let change = match change {
                    0 => PeerChange::Drain(id),
                    1 => PeerChange::Resume(id),
                    2 if self.upstream.peer_count() < 9 => {
                        PeerChange::Add(self.config.peers[0].clone())
                    }
                    _ => PeerChange::Weight(id, 3),
                };
                self.upstream.apply(self.now, change);
            }
        }
        self.take_events();
        self.check();
    }

    fn admit(&mut self) {
        let facts = RequestFacts { id: self.next_id, key: 0, idempotent: true };
        self.next_id += 1;
        let admission = self.upstream.admit_session(self.now, facts, self.token);
        self.transcript.push(format!("{admission:?}"));
        match admission {
            Admission::Go(attempt) => {
                let set = self.upstream.token_to_set(attempt.peer, self.token);
                self.token = set.or(self.token).filter(|_| !self.next_id.is_multiple_of(3));
                self.open.push((attempt, None));
            }
            Admission::Wait(ticket) => assert!(self.waiting.insert(ticket), "a ticket is new"),
            Admission::Refused(refusal) => assert_eq!(refusal.status, 502),
        }
    }

    fn head(&mut self, which: Index, status: u16) {
        let Some((attempt, other)) = self.take(which) else { return };
        if let Some(mut other) = other {
            match self.upstream.head_beside(self.now, attempt, status, &mut other) {
                Some(winner) => {
                    assert_ne!(status, 503, "a listed status is thrown away");
                    self.upstream.superseded(self.now, other);
                    let next = self.upstream.finished(self.now, winner, Outcome::Responded);
                    assert!(matches!(next, Next::Done));
                }
                None => self.open.push((other, None)),
            }
            return;
        }
        let number = attempt.number;
        match self.upstream.head(self.now, attempt, status) {
            Head::Pass(attempt) => {
                let next = self.upstream.finished(self.now, attempt, Outcome::Responded);
                assert!(matches!(next, Next::Done));
            }
            Head::Next(next) => self.follow(number, next),
        }
    }

    fn finish(&mut self, which: Index, outcome: Outcome) {
        let Some((attempt, other)) = self.take(which) else { return };
        match other {
            Some(mut other) if outcome.is_failure() => {
                self.upstream.lost(self.now, attempt, outcome, &mut other);
                self.open.push((other, None));
            }
            other => {
                let number = attempt.number;
                let next = self.upstream.finished(self.now, attempt, outcome);
                if let Some(other) = other {
                    self.upstream.superseded(self.now, other);
                }
                self.follow(number, next);
            }
        }
    }

    fn hedge(&mut self, which: Index) {
        let Some((mut first, second)) = self.take(which) else { return };
        if let Some(second) = second {
            self.open.push((second, Some(first)));
            return;
        }
        let due = self.upstream.hedge_at(&first);
        let hedge = self.upstream.hedge(self.now, &mut first);
        if let Some(hedge) = &hedge {
            assert_ne!(hedge.peer, first.peer);
            assert!(due.is_some() && first.number == 1);
            assert!(hedge.is_hedge() && self.upstream.hedge_at(&first).is_none());
        }
        // Either may answer first.
        let pair = match (first, hedge) {
            (first, Some(hedge)) if which.index(2) == 0 => (hedge, Some(first)),
            pair => pair,
        };
        self.open.push(pair);
    }

    fn follow(&mut self, number: u16, next: Next) {
        self.transcript.push(format!("{next:?}"));
        match next {
            Next::Done | Next::Refused(_) => {}
            Next::Retry(attempt) => {
                assert!(attempt.number > number);
                self.open.push((attempt, None));
            }
            Next::Wait(ticket) => assert!(self.waiting.insert(ticket), "a ticket is new"),
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.upstream.poll_event() {
            self.transcript.push(format!("{event:?}"));
            match event {
                Event::Turn(ticket, attempt) => {
                    assert!(self.waiting.remove(&ticket));
                    self.open.push((attempt, None));
                }
                Event::Expired(ticket, _) => assert!(self.waiting.remove(&ticket)),
                Event::RetryWithheld { .. } => self.withheld += 1,
                _ => {}
            }
        }
    }

    fn check(&self) {
        let attempts = || self.open.iter().flat_map(|(one, other)| [Some(one), other.as_ref()]);
        let attempts: Vec<&Attempt> = attempts().flatten().collect();
        for peer in self.upstream.peers().iter() {
            let here = attempts.iter().filter(|attempt| attempt.peer == peer.id()).count();
            assert_eq!(peer.in_flight() as usize, here, "{peer:?}");
            assert!(peer.share() > 0.0 && peer.share() <= 1.0);
        }
        assert_eq!(self.upstream.resilience_counts().retries_withheld, self.withheld);
        let hedges = attempts.iter().filter(|attempt| attempt.is_hedge()).count();
        assert!(hedges <= 2, "at most two at once");
        if let Some(outlier) = &self.config.resilience.outlier {
            let out = |peer: &&lab::policy::Peer| peer.state(self.now) == PeerState::Ejected;
            let out = self.upstream.peers().iter().filter(out).count();
            let all = self.upstream.peer_count();
            assert!(out as f64 <= outlier.max_ejection_percent.0 * all as f64 + 1e-9);
        }
    }

    fn end(mut self) -> Vec<String> {
        for ticket in std::mem::take(&mut self.waiting) {
            self.upstream.abandon(self.now, ticket);
        }
        while let Some((attempt, other)) = self.open.pop() {
            for attempt in [Some(attempt), other].into_iter().flatten() {
                let next = self.upstream.finished(self.now, attempt, Outcome::ClientGone);
                assert!(matches!(next, Next::Done));
            }
            self.take_events();
        }
        self.check();
        assert_eq!(self.upstream.waiting(), 0);
        self.transcript
    }
}

fn run(config: &UpstreamConfig, ops: &[Op]) -> Vec<String> {
    let mut world = World::new(config);
    ops.iter().for_each(|op| world.step(op));
    world.end()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn books_balance_and_bounds_hold(config in configs(), ops in vec(ops(), 1..150)) {
        run(&config, &ops);
    }

    #[test]
    fn the_same_operations_give_the_same_decisions(config in configs(), ops in vec(ops(), 1..100)) {
        prop_assert_eq!(run(&config, &ops), run(&config, &ops));
    }

    /// All requests fail at once and are tried again as long as there are peers: with a budget no
    /// more retries are under way than a quarter of the attempts, or two.
    #[test]
    fn retries_at_once_stay_within_their_share(count in 1..200usize, peers in 2..12usize) {
        let concurrency =
            ConcurrencyConfig { percent: Ratio(PERCENT), min_concurrency: MIN_CONCURRENCY };
        let budget = BudgetConfig { concurrency: Some(concurrency), tokens: None };
        let resilience =
            ResilienceConfig { retry_budget: Some(budget), ..ResilienceConfig::default() };
        let peer = |place: usize| PeerConfig { max_fails: 0, ..PeerConfig::new(place.to_string()) };
        let config = UpstreamConfig {
            algorithm: Algorithm::LeastConn,
            peers: (0..peers).map(peer).collect(),
            retry: RetryConfig::default(),
            health: None,
            queue: QueueConfig::default(),
            rules: Rules::default(),
            resilience,
        };
        let mut upstream = Upstream::new(&config, Seed::new(1, 0));
        let mut firsts: Vec<Attempt> = (0..count as u64)
            .filter_map(|id| {
                let facts = RequestFacts { id, key: 0, idempotent: true };
                match upstream.admit(Nanos::ZERO, facts) {
                    Admission::Go(attempt) => Some(attempt),
                    _ => None,
                }
            })
            .collect();
        let mut retries = Vec::new();
        while let Some(attempt) = firsts.pop() {
            let present = firsts.len() + retries.len();
            match upstream.finished(Nanos::ZERO, attempt, Outcome::ReadTimedOut) {
                Next::Retry(attempt) => retries.push(attempt),
                Next::Refused(_) => {}
                next => panic!("{next:?}"),
            }
            let bound = ((present as f64 * PERCENT) as usize).max(MIN_CONCURRENCY as usize);
            // What was allowed earlier, when more were present, goes on.
            prop_assert!(retries.len() <= bound.max((count as f64 * PERCENT) as usize));
        }
        prop_assert!(retries.len() >= count.min(MIN_CONCURRENCY as usize));
        for attempt in retries {
            let _ = upstream.finished(Nanos::ZERO, attempt, Outcome::Responded);
        }
    }
}
