//! The decision core as an arm.

use std::collections::BTreeMap;

use lab::policy::{
    Admission, Algorithm, Attempt, Head, Next, Outcome, RequestFacts, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed, Span};

use super::script::{Arm, Saw};
use crate::engines::stage::Behaviour;

pub(crate) struct Core {
    upstream: Upstream,
    algorithm: Algorithm,
    now: Nanos,
    open: BTreeMap<u64, Attempt>,
}

impl Core {
    pub(crate) fn new(config: &UpstreamConfig, seed: u64) -> Self {
        let upstream = Upstream::new(config, Seed::new(seed, 0));
        Self { upstream, algorithm: config.algorithm, now: Nanos::ZERO, open: BTreeMap::new() }
    }

    fn admit(&mut self, id: u64, key: Option<&str>, idempotent: bool) -> Admission {
        let key = match (self.algorithm, key) {
            (_, None) => 0,
            (Algorithm::IpHash | Algorithm::Haproxy(_), Some(address)) => {
                self.algorithm.digest_address(address.parse().expect("an address"))
            }
            (algorithm, Some(key)) => algorithm.digest(key.as_bytes()),
        };
        self.upstream.admit(self.now, RequestFacts { id, key, idempotent })
    }

    fn answer(&mut self, attempt: Attempt, status: u16, passed: &mut u16) -> Next {
        match self.upstream.head(self.now, attempt, status) {
            Head::Next(next) => next,
            Head::Pass(attempt) => {
                *passed = status;
                self.upstream.finished(self.now, attempt, Outcome::Responded)
            }
        }
    }
}

impl Arm for Core {
    fn start(&mut self, id: u64, key: Option<&str>) -> Saw {
        match self.admit(id, key, true) {
            Admission::Go(attempt) => {
                let place = attempt.peer.index();
                self.open.insert(id, attempt);
                Saw::At(place)
            }
            Admission::Refused(refusal) => Saw::Refused(refusal.status),
            Admission::Wait(ticket) => panic!("{ticket:?} waits where there is no line"),
        }
    }

    fn finish(&mut self, id: u64) {
        let attempt = self.open.remove(&id).expect("a request in flight");
        let mut status = 0;
        let next = self.answer(attempt, 200, &mut status);
        assert!(matches!(next, Next::Done) && status == 200);
    }

    fn ask(&mut self, id: u64, method: &str, behaviours: &[Behaviour]) -> Saw {
        let mut tried = Vec::new();
        let mut status = 0;
        let mut next = match self.admit(id, None, method != "POST") {
            Admission::Go(attempt) => Next::Retry(attempt),
            Admission::Refused(refusal) => Next::Refused(refusal),
            Admission::Wait(ticket) => Next::Wait(ticket),
        };
        while let Next::Retry(attempt) = next {
            let place = attempt.peer.index();
            tried.push(place);
            let outcome = match behaviours[place] {
                Behaviour::Answer(code) => {
                    next = self.answer(attempt, code, &mut status);
                    continue;
                }
                Behaviour::Close => Outcome::Closed { reused: false },
                Behaviour::BrokenHead => Outcome::InvalidHead,
                Behaviour::Refuse => Outcome::ConnectFailed,
                other => panic!("no script has {other:?}"),
            };
            next = self.upstream.finished(self.now, attempt, outcome);
        }
        match next {
            Next::Refused(refusal) => Saw::Answered { status: refusal.status, tried },
            Next::Done => Saw::Answered { status, tried },
            other => panic!("{other:?} where there is no line"),
        }
    }

    fn pause(&mut self, milliseconds: u64) {
        self.now += Span::from_millis(milliseconds);
    }

    fn second(&mut self, told: Option<u64>) -> u64 {
        let second = told.unwrap_or_default();
        self.now = Nanos::ZERO + Span::from_secs(second);
        second
    }
}
