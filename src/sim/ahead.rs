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
pub(super) struct Planned<'r> {
    pub(super) request: &'r Request,
    /// `None` if it depends on the backend.
    pub(super) demand: Option<Span>,
}

/// The arrivals of an open loop.
pub(super) struct Ahead<'a> {
    arrivals: Arrivals<'a>,
    /// The law of all backends, if they have the same.
    law: Option<&'a Law>,
    requests: Vec<Request>,
    /// Their demands, if there is a law of all.
    demands: [Span; LENGTH],
    place: usize,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(arrivals: Arrivals<'a>, scenario: &'a Scenario) -> Self {
        let mut laws = scenario.backends.iter().map(|backend| &backend.service);
        let law = laws.next().filter(|first| laws.all(|law| law == *first));
        let (requests, demands) = (Vec::with_capacity(LENGTH), [Span::ZERO; LENGTH]);
        let mut ahead = Self { arrivals, law, requests, demands, place: 0 };
        ahead.fill();
        ahead
    }

    /// The next one.
    #[inline(always)]
    pub(super) fn next(&self) -> Option<Planned<'_>> {
        let request = self.requests.get(self.place)?;
        let demand = match self.law {
            Some(_) => Some(self.demands[self.place % LENGTH]),
            None => request.demand,
        };
        Some(Planned { request, demand })
    }

    /// Goes on to the one after it.
    #[inline]
    pub(super) fn step(&mut self) {
        self.place += 1;
        if self.place >= self.requests.len() {
            self.fill();
        }
    }

    #[inline(never)]
    fn fill(&mut self) {
        self.place = 0;
        self.requests.clear();
        self.requests.extend(self.arrivals.by_ref().take(LENGTH));
        let Some(law) = self.law else { return };
        let mut words = [0; LENGTH];
        for (word, request) in words.iter_mut().zip(&self.requests) {
            *word = request.demand_word;
        }
        law.sample_all(&words[..self.requests.len()], &mut self.demands);
        for (demand, request) in self.demands.iter_mut().zip(&self.requests) {
            *demand = request.demand.unwrap_or(*demand);
        }
    }
}
