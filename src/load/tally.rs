//! What the generator counts while it runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::report::LittlesLaw;
use crate::record::histogram::Histogram;
use crate::record::{RequestError, RequestRow};
use crate::traffic::TrafficConfig;
use crate::units::{Nanos, Span};

/// Statistics of every request that was due behind the warm-up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Requests that were due.
    pub requests: u64,
    /// Requests that were due in the warm-up and are in no other number.
    pub warm_up: u64,
    /// Those without a complete response below 500.
    pub failed: u64,
    /// By [`RequestError`], in order of its number.
    pub errors: [u64; RequestError::ALL.len()],
    /// Complete responses by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests by the server tried last, in order of its index.
    pub servers: Vec<u64>,
    /// Requests with more than one attempt.
    pub retried: u64,
    /// Response body bytes.
    pub bytes: u64,
    /// From the instant each was due; nanoseconds. Interrupted requests are left out.
    pub latency: Histogram,
    /// From the instant each was sent; only those that were.
    pub latency_sent: Histogram,
    /// From the instant each was due to the instant the generator acted on it.
    pub schedule_error: Histogram,
    /// Most requests in flight at once.
    pub max_in_flight: u64,
    /// By class, if there are several.
    pub classes: Vec<Group>,
    /// By the stage in which they were due, if there are several.
    pub stages: Vec<Group>,
    /// Ends of the stages, nanoseconds since zero, if there are several.
    stage_ends: Vec<u64>,
    /// End of the warm-up, nanoseconds since zero.
    measured_from: u64,
    /// When the first request began.
    began: Option<Nanos>,
    /// When the last request ended.
    ended: Nanos,
    in_flight: InFlight,
    residence_ns: u128,
    completed: u64,
}

/// Requests that have a class or a stage in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Requests that ended.
    pub requests: u64,
    /// Of them failed.
    pub failed: u64,
    /// Of them with more than one attempt.
    pub retried: u64,
    /// As [`Tally::latency`].
    pub latency: Histogram,
}

impl Group {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    fn outcome(&mut self, row: &RequestRow) {
        self.requests += 1;
        self.failed += u64::from(row.failed());
        self.retried += u64::from(row.attempts > 1);
        if row.error != RequestError::Interrupted {
            self.latency.record(row.latency_ns());
        }
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.failed += other.failed;
        self.retried += other.retried;
        self.latency.merge(&other.latency);
    }
}

/// Requests in flight, and their integral over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct InFlight {
    now: u64,
    changed: Nanos,
    integral_ns: u128,
}

impl InFlight {
    fn change(&mut self, at: Nanos, to: u64) {
        self.integral_ns += u128::from(at.since(self.changed).0) * u128::from(self.now);
        self.changed = self.changed.max(at);
        self.now = to;
    }
}

impl Tally {
    /// An empty one for `traffic`, whose first requests, due before `warm_up`, are left out.
    #[must_use]
    pub fn new(traffic: &TrafficConfig, warm_up: Nanos) -> Self {
        let (classes, stages) = (&traffic.classes, traffic.stages());
        let several = |count: usize| count > 1;
        let classes = classes.iter().filter(|_| several(classes.len()));
        let stages = || stages.iter().filter(|_| several(stages.len()));
        Self {
            classes: classes.map(|class| Group::named(&class.name)).collect(),
            stages: stages().map(|stage| Group::named(&stage.name)).collect(),
            stage_ends: stages().map(|stage| stage.until.0).collect(),
            measured_from: warm_up.0,
            ..Self::default()
        }
    }

    /// Adds what another generator counted, which sent another share of the same plan at the same
    /// time. `servers` are the places here of its servers. The result is exact but for the most
    /// requests in flight, which is at most the sum.
    pub fn merge(&mut self, other: &Self, servers: &[usize]) {
        self.requests += other.requests;
        self.warm_up += other.warm_up;
        self.failed += other.failed;
        for (mine, theirs) in self.errors.iter_mut().zip(other.errors) {
            *mine += theirs;
        }
        for (&status, count) in &other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (&place, count) in servers.iter().zip(&other.servers) {
            if self.servers.len() <= place {
                self.servers.resize(place + 1, 0);
            }
            self.servers[place] += count;
        }
        self.retried += other.retried;
        self.bytes += other.bytes;
        self.latency.merge(&other.latency);
        self.latency_sent.merge(&other.latency_sent);
        self.schedule_error.merge(&other.schedule_error);
        self.max_in_flight += other.max_in_flight;
        for (mine, theirs) in
            [(&mut self.classes, &other.classes), (&mut self.stages, &other.stages)]
        {
            mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| mine.merge(theirs));
        }
        self.began = [self.began, other.began].into_iter().flatten().min();
        self.ended = self.ended.max(other.ended);
        self.in_flight.now += other.in_flight.now;
        self.in_flight.integral_ns += other.in_flight.integral_ns;
        self.residence_ns += other.residence_ns;
        self.completed += other.completed;
    }

    /// What was counted up to `now`; counting goes on in `next`, which must be empty: with the
    /// requests that are in flight, and nothing else. Those are in both.
    pub(super) fn cut(&mut self, now: Nanos, next: Self) -> Self {
        self.in_flight.change(now, self.in_flight.now);
        let cut = std::mem::replace(self, next);
        self.in_flight = InFlight { integral_ns: 0, ..cut.in_flight };
        self.max_in_flight = cut.in_flight.now;
        cut
    }

    /// Adds what was counted later, or by another thread of the same generator. Of those who counted
    /// at the same time, the most in flight at once is that of one of them. How many are in flight
    /// now is left as it is.
    pub(super) fn add(&mut self, other: &Self) {
        let most = self.max_in_flight.max(other.max_in_flight);
        let now = self.in_flight.now;
        let places: Vec<usize> = (0..other.servers.len()).collect();
        self.merge(other, &places);
        (self.max_in_flight, self.in_flight.now) = (most, now);
    }

    /// So many are in flight now, in all that was added.
    pub(super) const fn shows_in_flight(&mut self, count: u64) {
        self.in_flight.now = count;
    }

    /// Empties it and keeps its memory, and what it is of.
    pub(super) fn clear(&mut self) {
        let Self { latency, latency_sent, schedule_error, classes, stages, .. } = self;
        for histogram in [&mut *latency, latency_sent, schedule_error] {
            histogram.clear();
        }
        for group in classes.iter_mut().chain(stages.iter_mut()) {
            group.latency.clear();
            (group.requests, group.failed, group.retried) = (0, 0, 0);
        }
        let take = std::mem::take::<Histogram>;
        *self = Self {
            latency: take(latency),
            latency_sent: take(latency_sent),
            schedule_error: take(schedule_error),
            classes: std::mem::take(classes),
            stages: std::mem::take(stages),
            stage_ends: std::mem::take(&mut self.stage_ends),
            measured_from: self.measured_from,
            ..Self::default()
        };
    }

    /// Requests due per second of the measured time.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        let seconds = self.measured().as_secs_f64();
        if seconds > 0.0 { self.requests as f64 / seconds } else { 0.0 }
    }

    /// Instants on a host's clock become instants since `zero`, so that those of several hosts can
    /// be put together.
    pub fn relative_to(&mut self, zero: Nanos) {
        self.began = self.began.map(|began| Nanos(began.since(zero).0));
        self.ended = Nanos(self.ended.since(zero).0);
        self.in_flight.changed = Nanos(self.in_flight.changed.since(zero).0);
    }

    /// Requests in flight now.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        self.in_flight.now
    }

    /// From the first request's beginning to the last one's end.
    #[must_use]
    pub fn wall(&self) -> Span {
        self.began.map_or(Span::ZERO, |began| self.ended.since(began))
    }

    /// The same without the warm-up: what rates are over.
    #[must_use]
    pub fn measured(&self) -> Span {
        Span(self.wall().0.saturating_sub(self.measured_from))
    }

    /// A request that was due at `due` is acted on at `now`; the run's zero is `zero`.
    pub(super) fn due(&mut self, zero: Nanos, due: Nanos, now: Nanos) {
        if due.since(zero).0 < self.measured_from {
            self.warm_up += 1;
            return;
        }
        self.requests += 1;
        self.schedule_error.record(now.since(due).0);
    }

    /// It is in flight.
    pub(super) fn began(&mut self, now: Nanos) {
        self.began.get_or_insert(now);
        self.in_flight.change(now, self.in_flight.now + 1);
        self.max_in_flight = self.max_in_flight.max(self.in_flight.now);
    }

    /// It is in flight no more, since `began`.
    pub(super) fn ended(&mut self, began: Nanos, now: Nanos) {
        self.ended = self.ended.max(now);
        self.in_flight.change(now, self.in_flight.now - 1);
        self.residence_ns += u128::from(now.since(began).0);
        self.completed += 1;
    }

    /// What became of it.
    pub(super) fn outcome(&mut self, row: &RequestRow) {
        if row.scheduled_ns < self.measured_from {
            return;
        }
        if let Some(class) = self.classes.get_mut(usize::from(row.class)) {
            class.outcome(row);
        }
        let stage = self.stage_ends.iter().position(|end| row.scheduled_ns < *end);
        if let Some(stage) = stage.and_then(|stage| self.stages.get_mut(stage)) {
            stage.outcome(row);
        }
        self.failed += u64::from(row.failed());
        self.errors[row.error as usize] += 1;
        if row.status > 0 {
            *self.statuses.entry(row.status).or_default() += 1;
        }
        if let Ok(server) = usize::try_from(row.upstream)
            && row.upstream != crate::record::NO_UPSTREAM
        {
            if self.servers.len() <= server {
                self.servers.resize(server + 1, 0);
            }
            self.servers[server] += 1;
        }
        self.retried += u64::from(row.attempts > 1);
        self.bytes += row.bytes;
        if row.error != RequestError::Interrupted {
            self.latency.record(row.latency_ns());
            // One that waited for a connection until it gave up was never sent.
            if row.sent_ns > 0 {
                self.latency_sent.record(row.latency_sent_ns());
            }
        }
    }

    /// Mean number in flight by the integral over time, and by N = X·R.
    pub(super) fn littles_law(&self) -> LittlesLaw {
        let wall = self.wall().as_secs_f64();
        if wall == 0.0 || self.completed == 0 {
            return LittlesLaw::default();
        }
        let throughput = self.completed as f64 / wall;
        let residence = self.residence_ns as f64 / 1e9 / self.completed as f64;
        LittlesLaw {
            mean_in_flight: self.in_flight.integral_ns as f64 / 1e9 / wall,
            throughput_per_second: throughput,
            mean_residence_ns: (residence * 1e9) as u64,
            product: throughput * residence,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_flight_is_integrated_over_time() {
        let mut tally = Tally::default();
        let second = |n: u64| Nanos(n * 1_000_000_000);
        tally.began(second(10));
        tally.began(second(12));
        tally.ended(second(10), second(13));
        tally.ended(second(12), second(14));
        // One for 2 s, two for 1 s, one for 1 s, over 4 s.
        let law = tally.littles_law();
        assert!((law.mean_in_flight - 1.25).abs() < 1e-9, "{law:?}");
        assert!((law.product - 1.25).abs() < 1e-9, "{law:?}");
        assert_eq!((tally.max_in_flight, tally.in_flight()), (2, 0));
    }

    #[test]
    fn what_was_cut_adds_up_to_the_whole() {
        let second = |n: u64| Nanos(n * 1_000_000_000);
        let count = |cuts: &[u64]| {
            let (mut tally, mut sum) = (Tally::default(), Tally::default());
            for at in 0..10 {
                tally.due(Nanos::ZERO, second(at), second(at) + Span(3));
                tally.began(second(at));
                if at >= 2 {
                    tally.ended(second(at - 2), second(at));
                    let row = RequestRow {
                        finished_ns: 7 * at,
                        status: 200,
                        upstream: (at % 3) as u32,
                        ..RequestRow::BLANK
                    };
                    tally.outcome(&row);
                }
                if cuts.contains(&at) {
                    let mut cut = tally.cut(second(at), Tally::default());
                    assert_eq!(
                        (tally.in_flight(), cut.in_flight()),
                        (2.min(at + 1), 2.min(at + 1))
                    );
                    sum.add(&cut);
                    cut.clear();
                    let left = (cut.requests, cut.servers.len(), cut.latency.count());
                    assert_eq!((left, cut.in_flight()), ((0, 0, 0), 0));
                }
            }
            sum.add(&tally);
            (sum, tally.in_flight())
        };
        let ((whole, left), (parts, also_left)) = (count(&[]), count(&[0, 1, 4, 5, 9]));
        assert_eq!(whole.littles_law(), parts.littles_law());
        assert_eq!((whole.requests, &whole.servers), (parts.requests, &parts.servers));
        assert_eq!((whole.max_in_flight, left, also_left), (parts.max_in_flight, 2, 2));
        assert_eq!((&whole.latency, whole.wall()), (&parts.latency, parts.wall()));
        assert_eq!((&whole.statuses, parts.in_flight()), (&parts.statuses, 0));
    }
}
