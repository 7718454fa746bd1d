//! The next arrivals, some at a time: the steps that make one request wait for each other, while
//! those of different requests overlap in the processor, if nothing else comes between.

use crate::scenario::Scenario;
use crate::traffic::plan::Arrivals;
use crate::traffic::{Law, Request};
use crate::units::Span;

/// Requests made at a time.
const LENGTH: usize = 32;

/// A request of the plan, and its demand at its first attempt if that is the same everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    pub(super) request: Request,
    /// `None` if it depends on the backend.
    pub(super) demand: Option<Span>,
}

/// The arrivals of an open loop.
pub(super) struct Ahead<'a> {
    arrivals: Arrivals<'a>,
    /// The law of all backends, if they have the same.
    law: Option<&'a Law>,
    block: Vec<Planned>,
    place: usize,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(arrivals: Arrivals<'a>, scenario: &'a Scenario) -> Self {
        let mut laws = scenario.backends.iter().map(|backend| &backend.service);
        let law = laws.next().filter(|first| laws.all(|law| law == *first));
        let mut ahead = Self { arrivals, law, block: Vec::with_capacity(LENGTH), place: 0 };
        ahead.fill();
        ahead
    }

    /// The next one.
    #[inline]
    pub(super) fn next(&self) -> Option<&Planned> {
        self.block.get(self.place)
    }

    /// Goes on to the one after it.
    #[inline]
    pub(super) fn step(&mut self) {
        self.place += 1;
        if self.place >= self.block.len() {
            self.fill();
        }
    }

    #[inline(never)]
    fn fill(&mut self) {
        self.place = 0;
        self.block.clear();
        let next = self.arrivals.by_ref().take(LENGTH);
        self.block.extend(next.map(|request| Planned { request, demand: request.demand }));
        if let Some(law) = self.law {
            for planned in &mut self.block {
                let drawn = || law.sample(planned.request.demand_word);
                planned.demand = Some(planned.demand.unwrap_or_else(drawn));
            }
        }
    }
}
