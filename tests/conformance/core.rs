//! The decision core as an arm.

use std::collections::BTreeMap;

use lab::policy::{
    Admission, Algorithm, Attempt, Event, Forced, Head, Next, Outcome, PeerChange, PeerId,
    RequestFacts, Ticket, Upstream, UpstreamConfig,
};
use lab::units::{Nanos, Seed, Span};

use super::play::{Arm, Saw};
use super::waiting::what_follows;
use crate::engines::stage::Behaviour;

pub(crate) struct Core {
    upstream: Upstream,
    algorithm: Algorithm,
    now: Nanos,
    open: BTreeMap<u64, Attempt>,
    waiting: BTreeMap<Ticket, u64>,
    /// Servers that refuse a connection are among those tried.
    shows_refusals: bool,
}

impl Core {
    pub(crate) fn new(config: &UpstreamConfig, seed: u64) -> Self {
        let mut upstream = Upstream::new(config, Seed::new(seed, 0));
        upstream.handle_timeout(Nanos::ZERO);
        Self {
            upstream,
            algorithm: config.algorithm,
            now: Nanos::ZERO,
            open: BTreeMap::new(),
            waiting: BTreeMap::new(),
            shows_refusals: true,
        }
    }

    /// As an engine that does not tell whom it could not connect to.
    pub(crate) fn without_refusals(self) -> Self {
        Self { shows_refusals: false, ..self }
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

    /// Who waited and has a server by now.
    fn freed(&mut self) -> Vec<(u64, usize)> {
        let mut freed = Vec::new();
        while let Some(event) = self.upstream.poll_event() {
            if let Event::Turn(ticket, attempt) = event {
                let id = self.waiting.remove(&ticket).expect("it waits");
                freed.push((id, attempt.peer.index()));
                self.open.insert(id, attempt);
            }
        }
        freed
    }
}

impl Arm for Core {
    fn start(&mut self, id: u64, key: Option<&str>) -> Saw {
        // Requests are so far apart that no two of a queue came in the same millisecond.
        self.now += Span::from_millis(2);
        match self.admit(id, key, true) {
            Admission::Go(attempt) => {
                let place = attempt.peer.index();
                self.open.insert(id, attempt);
                Saw::At(place)
            }
            Admission::Refused(refusal) => Saw::Refused(refusal.status),
            Admission::Wait(ticket) => {
                self.waiting.insert(ticket, id);
                Saw::Queued
            }
        }
    }

    fn finish(&mut self, id: u64) -> Vec<(u64, usize)> {
        let attempt = self.open.remove(&id).expect("a request in flight");
        let mut status = 0;
        let next = self.answer(attempt, 200, &mut status);
        assert!(matches!(next, Next::Done) && status == 200);
        self.freed()
    }

    fn ask(&mut self, id: u64, method: &str, behaviours: &[Behaviour]) -> Saw {
        let mut tried = Vec::new();
        let mut status = 0;
        let mut next = match self.admit(id, None, method != "POST") {
            Admission::Go(attempt) => Next::Retry(attempt),
            Admission::Refused(refusal) => Next::Refused(refusal),
            Admission::Wait(ticket) => Next::Wait(ticket),
        };
        loop {
            next = match next {
                Next::Done => return Saw::Answered { status, tried },
                Next::Refused(refusal) => return Saw::Answered { status: refusal.status, tried },
                Next::Wait(ticket) => what_follows(&mut self.upstream, &mut self.now, ticket),
                Next::Retry(attempt) => {
                    let behaviour = behaviours[attempt.peer.index()];
                    if behaviour != Behaviour::Refuse || self.shows_refusals {
                        tried.push(attempt.peer.index());
                    }
                    let outcome = match behaviour {
                        Behaviour::Answer(code) => {
                            next = self.answer(attempt, code, &mut status);
                            continue;
                        }
                        Behaviour::Close => Outcome::Closed { reused: false },
                        Behaviour::BrokenHead => Outcome::InvalidHead,
                        Behaviour::Refuse => Outcome::ConnectFailed,
                        other => panic!("no script has {other:?}"),
                    };
                    self.upstream.finished(self.now, attempt, outcome)
                }
            };
        }
    }

    fn order(&mut self, server: usize, up: bool) -> Vec<(u64, usize)> {
        let word = if up { None } else { Some(Forced::Down) };
        self.upstream.apply(self.now, PeerChange::Force(PeerId(server as u32), word));
        self.freed()
    }

    fn pause(&mut self, milliseconds: u64) {
        self.now += Span::from_millis(milliseconds);
    }

    fn second(&mut self, told: Option<u64>) -> u64 {
        let Some(second) = told else { return 0 };
        self.now = self.now.max(Nanos::ZERO + Span::from_secs(second));
        second
    }
}
