//! Statistics of a group of requests, with their intervals.

use super::digest::{Cell, Digest};
use super::interval::{self, Batch};
use super::sample::{PieceCells, Sample, Selection, Since};
use super::summary::{Estimate, Latency};
use crate::record::Histogram;
use crate::scenario::Measure;
use crate::units::World;

/// A group of requests in all replications of a world together, and in each if they are many
/// enough, and independent, to be the batches of intervals.
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

    /// The quantile of order `p` with its interval.
    pub(super) fn quantile(&self, since: Since, p: f64) -> Estimate {
        interval::quantile(self.all.distribution(since), p, |bound| {
            self.latency_batches(since, |part| part.count_at_or_below(bound) as f64)
        })
    }

    /// The mean with its interval.
    pub(super) fn mean(&self, since: Since) -> Estimate {
        let half_width = interval::ratio_half_width(&self.sums(since));
        interval::around(self.all.distribution(since).mean(), half_width)
    }

    /// Latencies summed per batch.
    pub(super) fn sums(&self, since: Since) -> Vec<Batch> {
        self.latency_batches(since, |part| part.sum() as f64)
    }

    /// Latencies beyond `bound` counted per batch.
    pub(super) fn beyond(&self, since: Since, bound: u64) -> Vec<Batch> {
        self.latency_batches(since, |part| (part.count() - part.count_at_or_below(bound)) as f64)
    }

    /// The share of failed requests with its interval; none if no request failed.
    pub(super) fn errors(&self) -> Estimate {
        let value = self.all.failed as f64 / self.all.requests.max(1) as f64;
        let half_width = interval::ratio_half_width(&self.failures());
        let half_width = half_width.filter(|_| self.all.failed > 0);
        let estimate = interval::around(value, half_width);
        Estimate { low: estimate.low.map(|low| low.max(0.0)), ..estimate }
    }

    /// Failed requests counted per batch.
    pub(super) fn failures(&self) -> Vec<Batch> {
        self.batches(
            |cell| (cell.requests as f64, cell.failed as f64),
            |sample| (sample.requests as f64, sample.failed as f64),
        )
    }

    pub(super) fn latency(&self, since: Since) -> Latency {
        Latency {
            mean: self.mean(since),
            p50: self.quantile(since, 0.5),
            p90: self.quantile(since, 0.9),
            p99: self.quantile(since, 0.99),
            p999: self.quantile(since, 0.999),
            max: self.quantile(since, 1.0),
        }
    }

    /// Batches whose sums are sums of `of` the latencies in them.
    fn latency_batches(&self, since: Since, of: impl Fn(&Histogram) -> f64) -> Vec<Batch> {
        let tally = |part: &Histogram| (part.count() as f64, of(part));
        self.batches(
            |cell| {
                let [punctual, late] = cell.latencies(since).map(tally);
                (punctual.0 + late.0, punctual.1 + late.1)
            },
            |sample| tally(sample.distribution(since)),
        )
    }

    /// The replications if they are independent and many enough, else pieces of time; counts and
    /// sums from a cell, or from a whole sample.
    fn batches(
        &self,
        of_cell: impl Fn(&Cell) -> (f64, f64),
        of_sample: impl Fn(&Sample<'a>) -> (f64, f64),
    ) -> Vec<Batch> {
        let replication = |sample| {
            let (count, sum) = of_sample(sample);
            Batch { stratum: 0, count, sum }
        };
        let piece = |piece: &PieceCells<'a>| {
            let tallies = piece.cells.iter().map(|cell| of_cell(cell));
            let (count, sum) = tallies.fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
            Batch { stratum: piece.interval, count, sum }
        };
        if self.each.is_empty() {
            self.all.pieces.iter().map(piece).collect()
        } else {
            self.each.iter().map(replication).collect()
        }
    }
}

/// A latency, or the share of failed requests, of the replications of a world together, with its
/// interval; `None` without any, or for another measure.
#[must_use]
pub fn estimate_of(replications: &[Digest], measure: &Measure) -> Option<Estimate> {
    estimates_of(replications, std::slice::from_ref(measure)).pop()?
}

/// [`estimate_of`] several measures.
#[must_use]
pub fn estimates_of(replications: &[Digest], measures: &[Measure]) -> Vec<Option<Estimate>> {
    let Some(pooled) = Digest::merged(replications) else { return vec![None; measures.len()] };
    let whole = Replicated::new(&pooled, replications, Selection::default());
    let of = |measure: &Measure| match measure {
        Measure::Quantile(order) => Some(whole.quantile(Since::Due, *order)),
        Measure::Mean => Some(whole.mean(Since::Due)),
        Measure::Errors => Some(whole.errors()),
        _ => None,
    };
    measures.iter().map(of).collect()
}
