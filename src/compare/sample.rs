//! The requests of a group, gathered from the cells of a digest.

use super::digest::{Cell, Digest, PeerTally};
use super::interval::{self, Batch};
use super::summary::{Estimate, Latency};
use crate::record::histogram::Histogram;
use crate::units::{Nanos, World};

/// Which requests are meant; the default is all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    /// Index of a class.
    pub(super) class: Option<usize>,
    /// Due in this time, whose ends are ends of stages or faults.
    pub(super) time: Option<(Nanos, Nanos)>,
}

/// A group of requests.
pub(super) struct Sample<'a> {
    pub(super) requests: u64,
    pub(super) failed: u64,
    pub(super) retried: u64,
    pub(super) due: Histogram,
    pub(super) sent: Histogram,
    pub(super) peers: Vec<PeerTally>,
    /// Measured time of all replications together, seconds.
    pub(super) seconds: f64,
    pub(super) pieces: Vec<PieceCells<'a>>,
}

/// The cells of one piece of time.
pub(super) struct PieceCells<'a> {
    pub(super) interval: usize,
    pub(super) cells: Vec<&'a Cell>,
}

/// Since which instant latency counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    Due,
    Sent,
}

impl Digest {
    /// The requests of `selection`.
    pub(super) fn sample(&self, selection: Selection) -> Sample<'_> {
        let layout = self.layout();
        let (from, until) = selection.time.unwrap_or((layout.warm_up, layout.end));
        let pieces = layout.pieces();
        let first = pieces.partition_point(|piece| piece.from < from);
        let last = pieces.partition_point(|piece| piece.until <= until.max(from)).max(first);
        let classes: Vec<&[Cell]> = match selection.class {
            None => self.cells.chunks(pieces.len()).collect(),
            Some(class) => self.cells.chunks(pieces.len()).skip(class).take(1).collect(),
        };
        let measured = |i: usize| self.end.min(pieces[i].until).since(pieces[i].from).as_secs_f64();
        let mut sample = Sample {
            requests: 0,
            failed: 0,
            retried: 0,
            due: Histogram::default(),
            sent: Histogram::default(),
            peers: vec![PeerTally::default(); layout.peers.len()],
            seconds: (first..last).map(measured).sum::<f64>() * f64::from(self.replications),
            pieces: Vec::new(),
        };
        for i in first..last {
            let cells: Vec<&Cell> = classes.iter().map(|class| &class[i]).collect();
            cells.iter().for_each(|cell| sample.add(cell));
            // Pieces after the end of a run that was cut short are no batches.
            if pieces[i].from < self.end {
                sample.pieces.push(PieceCells { interval: pieces[i].interval, cells });
            }
        }
        sample
    }
}

impl Sample<'_> {
    fn add(&mut self, cell: &Cell) {
        self.requests += cell.requests;
        self.failed += cell.failed;
        self.retried += cell.retried;
        self.due.merge(&cell.punctual);
        self.due.merge(&cell.late);
        self.sent.merge(&cell.punctual);
        self.sent.merge(&cell.late_sent);
        for (mine, theirs) in self.peers.iter_mut().zip(&cell.peers) {
            mine.requests += theirs.requests;
            mine.service_ns = mine.service_ns.saturating_add(theirs.service_ns);
        }
    }

    /// Successful requests per second.
    pub(super) fn goodput(&self) -> f64 {
        self.per_second(self.requests - self.failed)
    }

    /// `count` per second of measured time.
    pub(super) fn per_second(&self, count: u64) -> f64 {
        if self.seconds > 0.0 { count as f64 / self.seconds } else { 0.0 }
    }

    pub(super) fn distribution(&self, since: Since) -> &Histogram {
        match since {
            Since::Due => &self.due,
            Since::Sent => &self.sent,
        }
    }

    /// Batches whose sums are `sum` of their cells.
    fn batches(&self, since: Since, sum: impl Fn(&Histogram) -> f64) -> Vec<Batch> {
        let batch = |piece: &PieceCells<'_>| {
            let parts = piece.cells.iter().flat_map(|cell| cell.latencies(since));
            parts.fold(Batch { stratum: piece.interval, count: 0.0, sum: 0.0 }, |batch, part| {
                Batch {
                    count: batch.count + part.count() as f64,
                    sum: batch.sum + sum(part),
                    ..batch
                }
            })
        };
        self.pieces.iter().map(batch).collect()
    }

    /// The quantile of order `p` with the interval that batches of time give.
    pub(super) fn quantile(&self, since: Since, p: f64) -> Estimate {
        let distribution = self.distribution(since);
        let value = distribution.quantile(p);
        if distribution.count() == 0 || p >= 1.0 {
            return Estimate { value: value as f64, low: None, high: None };
        }
        let batches = self.batches(since, |part| part.count_at_or_below(value) as f64);
        let (low, high) = interval::quantile_orders(p, &batches);
        let end = |order: Option<f64>| order.map(|order| distribution.quantile(order) as f64);
        Estimate { value: value as f64, low: end(low), high: end(high) }
    }

    /// The mean with the interval that batches of time give.
    pub(super) fn mean(&self, since: Since) -> Estimate {
        let value = self.distribution(since).mean();
        let batches = self.batches(since, |part| part.sum() as f64);
        match interval::ratio_half_width(&batches) {
            Some(half_width) => interval::around(value, half_width),
            None => Estimate { value, low: None, high: None },
        }
    }

    /// The share of failed requests.
    pub(super) fn error_share(&self) -> f64 {
        self.failed as f64 / self.requests.max(1) as f64
    }

    /// The share of failed requests with the interval that batches of time give.
    pub(super) fn errors(&self) -> Estimate {
        let batch = |piece: &PieceCells<'_>| Batch {
            stratum: piece.interval,
            count: piece.cells.iter().map(|cell| cell.requests).sum::<u64>() as f64,
            sum: piece.cells.iter().map(|cell| cell.failed).sum::<u64>() as f64,
        };
        let batches: Vec<Batch> = self.pieces.iter().map(batch).collect();
        let value = self.error_share();
        match interval::ratio_half_width(&batches) {
            Some(half) if self.failed > 0 => {
                Estimate { low: Some((value - half).max(0.0)), ..interval::around(value, half) }
            }
            _ => Estimate { value, low: None, high: None },
        }
    }
}

impl Cell {
    pub(super) fn latencies(&self, since: Since) -> [&Histogram; 2] {
        [&self.punctual, if since == Since::Due { &self.late } else { &self.late_sent }]
    }
}

/// A group of requests in all replications of a world together, and in each if they are many
/// enough, and independent, to make intervals from.
pub(super) struct Replicated<'a> {
    pub(super) all: Sample<'a>,
    each: Vec<Sample<'a>>,
}

impl<'a> Replicated<'a> {
    /// `pooled` is `each` merged. Rounds of the live world replay one plan: they are not independent.
    pub(super) fn new(pooled: &'a Digest, each: &'a [Digest], selection: Selection) -> Self {
        let independent =
            pooled.world() == World::Sim && each.len() >= interval::REPLICATIONS_AT_LEAST;
        let each = if independent { each } else { &[] };
        Self {
            all: pooled.sample(selection),
            each: each.iter().map(|digest| digest.sample(selection)).collect(),
        }
    }

    /// A statistic with its interval: `value` of a sample, and `estimate` with the interval that
    /// batches of time give.
    pub(super) fn estimate(
        &self,
        value: impl Fn(&Sample<'a>) -> f64,
        estimate: impl Fn(&Sample<'a>) -> Estimate,
    ) -> Estimate {
        // A replication without requests in the group has no value.
        let each: Vec<f64> =
            self.each.iter().filter(|sample| sample.requests > 0).map(&value).collect();
        if each.len() < interval::REPLICATIONS_AT_LEAST {
            return estimate(&self.all);
        }
        interval::of_replications(value(&self.all), &each)
    }

    pub(super) fn quantile(&self, since: Since, p: f64) -> Estimate {
        self.estimate(
            |sample| sample.distribution(since).quantile(p) as f64,
            |sample| sample.quantile(since, p),
        )
    }

    pub(super) fn mean(&self, since: Since) -> Estimate {
        self.estimate(|sample| sample.distribution(since).mean(), |sample| sample.mean(since))
    }

    pub(super) fn latency(&self, since: Since) -> Latency {
        Latency {
            mean: self.mean(since),
            p50: self.quantile(since, 0.5),
            p90: self.quantile(since, 0.9),
            p99: self.quantile(since, 0.99),
            p999: self.quantile(since, 0.999),
            // The largest of several replications is no mean of theirs: it has no interval.
            max: self.all.quantile(since, 1.0),
        }
    }
}
