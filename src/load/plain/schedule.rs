//! The part of the plan that one thread sends: what is due next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::super::config::Share;
use crate::traffic::{Arrivals, Plan, Request, Source, closed};
use crate::units::{Nanos, Span};

/// What is due, in order.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a thread has one")]
pub(super) enum Schedule<'a> {
    /// The arrivals of an open loop.
    Open(Open<'a>),
    /// The turns of users.
    Closed(Closed<'a>),
}

/// A request and the instant it is due.
pub(super) type Due = (Request, Nanos);

#[derive(Debug)]
pub(super) struct Open<'a> {
    arrivals: Arrivals<'a>,
    part: Part,
    zero: Nanos,
    next: Option<Due>,
}

#[derive(Debug)]
pub(super) struct Closed<'a> {
    plan: &'a Plan,
    turns: BinaryHeap<Reverse<(Nanos, u32, u32)>>,
    end: Nanos,
    /// How many more may be sent.
    left: u64,
}

/// Of the plan, what is this generator's, and of that, what is this thread's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) generator: Share,
    pub(super) thread: Share,
    /// Requests that all generators together send at most.
    pub(super) most: u64,
}

impl Part {
    /// Number `number` among those of its generator counts for the threads, so that each has some.
    const fn has(self, number: u64) -> bool {
        self.generator.has(number) && self.thread.has(number / self.generator.of as u64)
    }
}

impl<'a> Schedule<'a> {
    pub(super) fn new(plan: &'a Plan, source: &Source, zero: Nanos, part: Part) -> Self {
        match source {
            Source::Open { .. } => {
                let mut open = Open { arrivals: plan.arrivals(), part, zero, next: None };
                open.advance();
                Self::Open(open)
            }
            Source::Closed { users, .. } => {
                let (end, turns) = (zero + Span(plan.end().0), BinaryHeap::new());
                let left = part.thread.part_of(part.generator.part_of(part.most));
                let mut closed = Closed { plan, turns, end, left };
                let own = (0..*users).filter(|user| part.has(u64::from(*user)));
                own.for_each(|user| closed.think(zero, user, 0));
                Self::Closed(closed)
            }
        }
    }

    /// When the next request is due.
    pub(super) fn next(&self) -> Option<Nanos> {
        match self {
            Self::Open(open) => open.next.map(|(_, due)| due),
            Self::Closed(closed) => closed.next(),
        }
    }

    /// Takes it.
    pub(super) fn take(&mut self) -> Option<Due> {
        match self {
            Self::Open(open) => {
                let taken = open.next.take();
                open.advance();
                taken
            }
            Self::Closed(closed) => closed.take(),
        }
    }

    /// Request `id` ended at `at`: its user goes on.
    pub(super) fn ended(&mut self, id: u64, at: Nanos) {
        if let Self::Closed(closed) = self {
            let (user, turn) = closed::user_and_turn(id);
            closed.think(at, user, turn.saturating_add(1));
        }
    }

    /// Nothing more is due.
    pub(super) fn stop(&mut self) {
        match self {
            Self::Open(open) => (open.next, open.part.most) = (None, 0),
            Self::Closed(closed) => closed.left = 0,
        }
    }
}

impl Open<'_> {
    fn advance(&mut self) {
        let Part { most, .. } = self.part;
        let mut planned = self.arrivals.by_ref().take_while(|request| request.id < most);
        let next = planned.find(|request| self.part.has(request.id));
        self.next = next.map(|request| (request, self.zero + Span(request.at.0)));
    }
}

impl Closed<'_> {
    fn next(&self) -> Option<Nanos> {
        let first = self.turns.peek().filter(|_| self.left > 0)?;
        Some(first.0.0)
    }

    fn take(&mut self) -> Option<Due> {
        self.next()?;
        self.left -= 1;
        let Reverse((due, user, turn)) = self.turns.pop()?;
        Some((self.plan.turn(user, turn), due))
    }

    /// The user thinks from `since` on. A turn that would come behind the end is none.
    fn think(&mut self, since: Nanos, user: u32, turn: u32) {
        let due = since + Span(self.plan.turn(user, turn).at.0);
        if due < self.end {
            self.turns.push(Reverse((due, user, turn)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::{ArrivalConfig, ClientConfig, Law, Stage, TrafficConfig};
    use crate::units::{Rate, Seed};

    fn plan(source: Source) -> Plan {
        let client = ClientConfig {
            connections: 0,
            requests_per_connection: 0,
            timeout: Span::from_secs(1),
            in_flight_cap: 0,
        };
        let traffic = TrafficConfig { source, classes: Vec::new(), keys: None, client };
        Plan::new(&traffic, Seed::new(1, 0), Nanos(1_000_000_000))
    }

    fn open() -> Source {
        let until = Nanos(1_000_000_000);
        let stage = Stage {
            name: "all".to_owned(),
            from: Nanos::ZERO,
            until,
            rate_from: Rate(1000.0),
            rate_until: Rate(1000.0),
        };
        Source::Open { arrival: ArrivalConfig::Poisson, stages: vec![stage] }
    }

    fn parts(most: u64) -> impl Iterator<Item = Part> {
        (0..6).map(move |number| Part {
            generator: Share { index: number / 3, of: 2 },
            thread: Share { index: number % 3, of: 3 },
            most,
        })
    }

    #[test]
    fn threads_and_generators_together_send_exactly_the_plan() {
        for most in [u64::MAX, 100] {
            let source = open();
            let plan = plan(source.clone());
            let whole: Vec<u64> =
                plan.arrivals().map(|request| request.id).take_while(|id| *id < most).collect();
            let mut sent = Vec::new();
            for part in parts(most) {
                let mut schedule = Schedule::new(&plan, &source, Nanos(5), part);
                let mut last = Nanos::ZERO;
                while let Some(due) = schedule.next() {
                    assert!(due >= last && due >= Nanos(5));
                    last = due;
                    sent.push(schedule.take().unwrap().0.id);
                }
            }
            sent.sort_unstable();
            assert_eq!(sent, whole);
        }
    }

    #[test]
    fn users_take_turns_until_the_end_or_the_count() {
        let think = Law::Constant(Span::from_millis(300));
        let source = Source::Closed { users: 12, think };
        let plan = plan(source.clone());
        let mut sent = Vec::new();
        for part in parts(u64::MAX) {
            let mut schedule = Schedule::new(&plan, &source, Nanos::ZERO, part);
            while let Some((request, due)) = schedule.take() {
                sent.push(request.id);
                schedule.ended(request.id, due);
            }
        }
        // At 300, 600 and 900 ms.
        assert_eq!(sent.len(), 36);
        sent.sort_unstable();
        sent.dedup();
        assert_eq!(sent.len(), 36);
        let mut counted = 0;
        for part in parts(20) {
            let mut schedule = Schedule::new(&plan, &source, Nanos::ZERO, part);
            while let Some((request, due)) = schedule.take() {
                counted += 1;
                schedule.ended(request.id, due);
            }
        }
        assert_eq!(counted, 20);
    }

    #[test]
    fn once_stopped_nothing_is_due() {
        for source in [open(), Source::Closed { users: 3, think: Law::Constant(Span(1)) }] {
            let plan = plan(source.clone());
            let part = parts(u64::MAX).next().unwrap();
            let mut schedule = Schedule::new(&plan, &source, Nanos::ZERO, part);
            let (request, due) = schedule.take().unwrap();
            schedule.stop();
            schedule.ended(request.id, due);
            assert_eq!((schedule.next(), schedule.take()), (None, None));
        }
    }
}
