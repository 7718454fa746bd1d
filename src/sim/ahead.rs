//! The next arrivals, some at a time: the steps that make one request wait for each other, while
//! those of different requests overlap in the processor, if nothing else comes between.

use crate::scenario::Scenario;
use crate::traffic::plan::Arrivals;
use crate::traffic::{ArrivalConfig, Law, Request, Source};
use crate::units::Span;

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
    /// Requests may say themselves what they take.
    recorded: bool,
    requests: Vec<Request>,
    words: Vec<u64>,
    /// Their demands; as long as the requests, and without meaning if there is no law of all.
    demands: Vec<Span>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(arrivals: Arrivals<'a>, scenario: &'a Scenario) -> Self {
        let mut laws = scenario.backends.iter().map(|backend| &backend.service);
        let law = laws.next().filter(|first| laws.all(|law| law == *first));
        let recorded = matches!(
            scenario.traffic.source,
            Source::Open { arrival: ArrivalConfig::Trace { .. }, .. }
        );
        let (requests, words, demands) = (Vec::new(), Vec::new(), Vec::new());
        Self { arrivals, law, recorded, requests, words, demands }
    }

    /// Goes on to the next arrivals; whether there are any.
    #[inline(never)]
    pub(super) fn go_on(&mut self) -> bool {
        self.requests.clear();
        self.arrivals.next_block(&mut self.requests);
        self.demands.resize(self.requests.len(), Span::ZERO);
        if let Some(law) = self.law {
            self.words.clear();
            self.words.extend(self.requests.iter().map(|request| request.demand_word));
            law.sample_all(&self.words, &mut self.demands);
        }
        if self.recorded {
            for (demand, request) in self.demands.iter_mut().zip(&self.requests) {
                *demand = request.demand.unwrap_or(*demand);
            }
        }
        !self.requests.is_empty()
    }

    /// The ids of these arrivals.
    pub(super) fn ids(&self) -> impl Iterator<Item = u64> {
        self.requests.iter().map(|request| request.id)
    }

    /// These arrivals.
    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = Planned<'_>> {
        let of_law = self.law.is_some();
        self.requests.iter().zip(&self.demands).map(move |(request, demand)| {
            let demand = if of_law { Some(*demand) } else { request.demand };
            Planned { request, demand }
        })
    }
}
