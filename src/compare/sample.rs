//! The requests of a group, gathered from the cells of a digest.

use super::digest::{Cell, Digest, PeerTally};
use crate::record::histogram::Histogram;
use crate::units::Nanos;

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
    /// Where it begins and ends, within the run.
    pub(super) time: (Nanos, Nanos),
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
                let time = (pieces[i].from, self.end.min(pieces[i].until));
                sample.pieces.push(PieceCells { interval: pieces[i].interval, time, cells });
            }
        }
        sample
    }
}

impl PieceCells<'_> {
    /// Requests due in it that reached a peer.
    pub(super) fn reached(&self) -> u64 {
        let peers = self.cells.iter().flat_map(|cell| &cell.peers);
        peers.map(|peer| peer.requests).sum()
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
}

impl Cell {
    pub(super) fn latencies(&self, since: Since) -> [&Histogram; 2] {
        [&self.punctual, if since == Since::Due { &self.late } else { &self.late_sent }]
    }
}
