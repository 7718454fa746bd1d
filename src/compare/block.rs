//! The requests of one replication or round in the least that comparing two of them needs.

use super::digest::Digest;
use super::sample::{PieceCells, Selection, Since};
use crate::record::histogram::Histogram;
use crate::record::{RequestError, RequestRow, Sink};
use crate::scenario::Measure;
use crate::units::{Nanos, Span};

/// What one replication or round, or a piece of one, did. As a sink it takes the requests due after
/// the warm-up.
#[derive(Clone, Debug, Default)]
pub struct Block {
    warm_up: Nanos,
    /// From the instant a request was due.
    pub(super) latency: Histogram,
    /// Requests that ended.
    pub(super) requests: u64,
    /// Of them failed.
    pub(super) failed: u64,
    /// Measured time, seconds.
    pub(super) seconds: f64,
}

impl Block {
    /// An empty one of a run that measures from `warm_up` on, for `measured`.
    #[must_use]
    pub fn new(warm_up: Nanos, measured: Span) -> Self {
        Self { warm_up, seconds: measured.as_secs_f64(), ..Self::default() }
    }

    /// All of a digest.
    #[must_use]
    pub fn of(digest: &Digest) -> Self {
        let sample = digest.sample(Selection::default());
        Self {
            warm_up: digest.layout().warm_up,
            latency: sample.due,
            requests: sample.requests,
            failed: sample.failed,
            seconds: sample.seconds,
        }
    }

    /// Each piece of time of a digest.
    pub(super) fn pieces_of(digest: &Digest) -> Vec<Self> {
        let sample = digest.sample(Selection::default());
        let pieces = digest.layout().pieces();
        sample
            .pieces
            .iter()
            .zip(pieces)
            .map(|(cells, piece)| Self::of_piece(cells, piece.until.since(piece.from)))
            .collect()
    }

    fn of_piece(piece: &PieceCells<'_>, length: Span) -> Self {
        let mut block = Self { seconds: length.as_secs_f64(), ..Self::default() };
        for cell in &piece.cells {
            cell.latencies(Since::Due).into_iter().for_each(|part| block.latency.merge(part));
            block.requests += cell.requests;
            block.failed += cell.failed;
        }
        block
    }

    /// Adds what another did.
    pub fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.requests += other.requests;
        self.failed += other.failed;
        self.seconds += other.seconds;
    }

    /// All of `blocks` together.
    pub(super) fn together<'a>(blocks: impl IntoIterator<Item = &'a Self>) -> Self {
        blocks.into_iter().fold(Self::default(), |mut all, block| {
            all.merge(block);
            all
        })
    }

    /// The value of a measure: latencies in ns, shares from 0 to 1, rates per second; `None` for
    /// those that a block does not have, or without requests.
    #[must_use]
    pub fn value(&self, measure: &Measure) -> Option<f64> {
        if self.requests == 0 {
            return None;
        }
        match measure {
            Measure::Quantile(order) => Some(self.latency.quantile(*order) as f64),
            Measure::Mean => Some(self.latency.mean()),
            Measure::Errors => Some(self.failed as f64 / self.requests as f64),
            Measure::Goodput if self.seconds > 0.0 => {
                Some((self.requests - self.failed) as f64 / self.seconds)
            }
            _ => None,
        }
    }

    /// Share of the requests at or below each of some rising latencies, in one pass.
    pub(super) fn shares_at_or_below(&self, latencies_ns: impl Iterator<Item = u64>) -> Vec<f64> {
        let all = self.latency.count().max(1) as f64;
        let (mut buckets, mut below) = (self.latency.buckets().peekable(), 0);
        latencies_ns
            .map(|latency| {
                while let Some((_, count)) = buckets.next_if(|(value, _)| *value <= latency) {
                    below += count;
                }
                below as f64 / all
            })
            .collect()
    }
}

impl Sink for Block {
    const ATTEMPTS: bool = false;
    const TIMELINE: bool = false;

    #[inline]
    fn request(&mut self, row: &RequestRow) {
        if Nanos(row.scheduled_ns) < self.warm_up || row.error == RequestError::Interrupted {
            return;
        }
        self.latency.record(row.latency_ns());
        self.requests += 1;
        self.failed += u64::from(row.failed());
    }
}
