//! The plan: every request of one replication, addressed by its id, none of them stored.

mod block;

use super::arrival::clock::Clock;
use super::arrival::mmpp::Modulation;
use super::arrival::{ArrivalConfig, TraceEntry};
use super::key::{Shares, Zipf};
use super::request::Request;
use super::{Source, TrafficConfig};
use crate::units::{Nanos, Purpose, Seed, Span};
use block::{Block, Timing};

/// The requests of one replication.
///
/// Nothing is stored per request, so 100 million requests need no more memory than one. All but
/// the arrival time is a function of (seed, id) alone; an arrival is the running sum of the gaps
/// before it, so the requests of an open loop are an iterator, and a clone of the iterator is a
/// checkpoint.
#[derive(Clone, Debug)]
pub struct Plan {
    source: Source,
    shares: Shares,
    keys: Option<Zipf>,
    seed: Seed,
    end: Nanos,
}

impl Plan {
    /// The plan of `traffic` up to `end`, where arrivals stop.
    #[must_use]
    pub fn new(traffic: &TrafficConfig, seed: Seed, end: Nanos) -> Self {
        Self {
            source: traffic.source.clone(),
            shares: Shares::new(&traffic.classes),
            keys: traffic.keys.map(Zipf::new),
            seed,
            end,
        }
    }

    /// The requests of an open loop in order of arrival; empty for a closed loop.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals<'_> {
        Arrivals::new(self)
    }

    /// Turn `turn` (from 0) of user `user` of a closed loop; `at` is its think time. The first
    /// turn of a user comes after a think time too, so that users do not start as one burst.
    #[must_use]
    pub fn turn(&self, user: u32, turn: u32) -> Request {
        let id = super::closed::id(user, turn);
        let at = match &self.source {
            Source::Closed { think, .. } => super::closed::think(think, self.seed, id),
            Source::Open { .. } => Span::ZERO,
        };
        self.request(id, Nanos::ZERO + at, self.seed.words(Purpose::Request, id)[1])
    }

    /// Request `id` once more, as [`Self::arrivals`] or [`Self::turn`] gave it; `at` is when it was
    /// due, which a request of a closed loop does not say.
    #[must_use]
    pub fn again(&self, id: u64, at: Nanos) -> Request {
        let Source::Open { arrival, .. } = &self.source else {
            let (user, turn) = super::closed::user_and_turn(id);
            return self.turn(user, turn);
        };
        let request = self.request(id, at, self.seed.words(Purpose::Request, id)[1]);
        match arrival {
            ArrivalConfig::Trace { entries, .. } => recorded(request, entries.get(id as usize)),
            _ => request,
        }
    }

    /// The key of all draws of this replication.
    #[must_use]
    pub const fn seed(&self) -> Seed {
        self.seed
    }

    /// Where arrivals stop.
    #[must_use]
    pub const fn end(&self) -> Nanos {
        self.end
    }

    /// Request `id` with what does not depend on other requests.
    #[inline]
    fn request(&self, id: u64, at: Nanos, demand_word: u64) -> Request {
        let class = if self.shares.is_choice() {
            self.shares.class(self.seed.words(Purpose::Class, id)[0])
        } else {
            0
        };
        let key = match &self.keys {
            Some(zipf) => zipf.sample(&mut self.seed.draw(Purpose::Key, id, 0)),
            None => 0,
        };
        Request { id, at, class, key, demand_word, demand: None }
    }
}

/// Iterator over the arrivals of an open loop, in constant memory. A clone goes on from the same
/// request, whatever becomes of the original.
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    plan: &'a Plan,
    /// `None` for a closed loop, and once the plan has ended.
    process: Option<Process<'a>>,
    id: u64,
    last: Nanos,
    block: Block,
}

#[derive(Clone, Debug)]
enum Process<'a> {
    /// The clock and the operational time of the last request in the block.
    Timed {
        clock: Clock<'a>,
        operational: f64,
    },
    Trace {
        entries: &'a [TraceEntry],
        speed: f64,
    },
}

impl<'a> Arrivals<'a> {
    fn new(plan: &'a Plan) -> Self {
        let process = match &plan.source {
            Source::Closed { .. } => None,
            Source::Open { arrival: ArrivalConfig::Trace { entries, speed }, .. } => {
                Some(Process::Trace { entries, speed: *speed })
            }
            Source::Open { arrival, stages } => {
                let modulation = match *arrival {
                    ArrivalConfig::Mmpp { burst_ratio, burst, quiet } => {
                        Modulation::new(burst_ratio, burst, quiet, plan.seed)
                    }
                    _ => None,
                };
                let clock = Clock::new(stages, modulation);
                Some(Process::Timed { clock, operational: 0.0 })
            }
        };
        Self { plan, process, id: 0, last: Nanos::ZERO, block: Block::new() }
    }

    /// Adds the next requests, as [`Self::next`] gives them, up to the end of the block in which they
    /// are made; none once the plan has ended.
    pub(crate) fn next_block(&mut self, requests: &mut Vec<Request>) {
        let place = self.id as usize % block::LENGTH;
        let is_timed = matches!(self.process, Some(Process::Timed { .. }));
        if !is_timed || self.plan.shares.is_choice() || self.plan.keys.is_some() {
            return requests.extend(self.by_ref().take(block::LENGTH - place));
        }
        // All there is to these requests is in the block.
        if place == 0 {
            self.fill_block();
        }
        let rest = self.block.rest(place);
        let (first, count) = (self.id, rest.len());
        requests.extend(rest.zip(first..).map(|((at, demand_word), id)| {
            self.last = at;
            Request { id, at, class: 0, key: 0, demand_word, demand: None }
        }));
        self.id += count as u64;
        if place + count < block::LENGTH {
            self.process = None;
        }
    }

    #[cold]
    fn fill_block(&mut self) {
        let Source::Open { arrival, .. } = &self.plan.source else { return };
        let (last, end) = (self.last, self.plan.end);
        let timing = match &mut self.process {
            Some(Process::Timed { clock, operational }) => {
                Some(Timing { clock, operational, last, end })
            }
            _ => None,
        };
        self.block.fill(self.plan.seed, arrival, self.id, timing);
    }

    #[inline]
    fn advance(&mut self) -> Option<Request> {
        let id = self.id;
        let place = id as usize % block::LENGTH;
        if place == 0 {
            self.fill_block();
        }
        let mut entry = None;
        self.last = match self.process.as_ref()? {
            Process::Timed { .. } => self.block.instant(place)?,
            Process::Trace { entries, speed } => {
                let next = entries.get(usize::try_from(id).ok()?)?;
                entry = Some(next);
                let at = Nanos::ZERO + Span(next.at.0).scaled(1.0 / *speed);
                Some(self.last.max(at)).filter(|at| *at < self.plan.end)?
            }
        };
        self.id += 1;
        let request = self.plan.request(id, self.last, self.block.demand_word(place));
        Some(recorded(request, entry))
    }
}

/// A request with what its trace says of it, if there is one.
#[inline]
fn recorded(request: Request, entry: Option<&TraceEntry>) -> Request {
    let Some(entry) = entry else { return request };
    let class = entry.class.unwrap_or(request.class);
    Request { demand: entry.demand, class, ..request }
}

impl Iterator for Arrivals<'_> {
    type Item = Request;

    #[inline]
    fn next(&mut self) -> Option<Request> {
        let request = self.advance();
        if request.is_none() {
            self.process = None;
        }
        request
    }
}

impl std::iter::FusedIterator for Arrivals<'_> {}
#[cfg(test)]
mod tests;
