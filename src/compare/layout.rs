//! What a scenario says about its requests before any of them is sent: names, periods, peers, and
//! the pieces of time into which statistics are kept.
//!
//! Stages and faults cut the measured time into intervals in which conditions do not change;
//! each interval is cut further into equal pieces. A group of requests (a stage, before a fault)
//! is then a set of pieces, and the pieces of an interval are the batches from which confidence
//! intervals are made.

use super::scaling::ScalingLayout;
use super::summary::GroupKind;
use crate::scenario::Scenario;
use crate::units::{Nanos, Span};

/// Pieces of the whole measured time, where nothing happens in it.
const PIECES: u64 = 20;
/// Pieces of an interval between two changes, however short, as long as there are few of them.
const PIECES_AT_LEAST: u64 = 10;
/// Above this many pieces in all, short intervals get fewer, so that memory stays bounded.
const PIECES_AIMED_AT: u64 = 100;

/// A named stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Period {
    /// Its name.
    pub name: String,
    /// Where it begins.
    pub from: Nanos,
    /// Where it ends.
    pub until: Nanos,
}

/// A stage of an open loop.
#[derive(Clone, Debug, PartialEq)]
pub struct StageFacts {
    /// Name and time.
    pub period: Period,
    /// Its mean offered load, requests per second.
    pub rate: f64,
    /// Its offered load at its beginning, requests per second.
    pub from_rate: f64,
    /// And at its end.
    pub until_rate: f64,
    /// Whether the offered load stays the same throughout.
    pub steady: bool,
}

/// What statistics need to know of a peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerFacts {
    /// Its name.
    pub name: String,
    /// The name of its `[[backend]]`.
    pub group: String,
    /// Its weight.
    pub weight: u32,
    /// Whether it is a backup.
    pub backup: bool,
    /// Requests it serves at once.
    pub workers: u32,
    /// Requests per second it can serve at most: `workers * speed / mean demand`.
    pub capacity: f64,
    /// Whether its demands have a finite third moment.
    pub third_moment: bool,
}

/// A piece of the measured time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub from: Nanos,
    /// Where it ends.
    pub until: Nanos,
    /// The interval between two changes that it is a part of, from 0.
    pub interval: usize,
}

/// What a scenario says about its requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Stages of an open loop; empty for a closed one.
    pub stages: Vec<StageFacts>,
    /// Faults in order of their beginning.
    pub faults: Vec<Period>,
    /// Peer `i` is backend `i`.
    pub peers: Vec<PeerFacts>,
    /// Requests due before this are left out.
    pub warm_up: Nanos,
    /// Arrivals stop here; later than the warm-up.
    pub end: Nanos,
    /// The client gives up this long after a request was due.
    pub timeout: Span,
    /// Who changes the number of instances, if anyone.
    pub scaling: Option<ScalingLayout>,
    pieces: Vec<Piece>,
}

impl Layout {
    /// The layout of `scenario`.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let stages = scenario.traffic.stages().iter().map(|stage| StageFacts {
            period: Period { name: stage.name.clone(), from: stage.from, until: stage.until },
            rate: stage.mean_rate().0,
            from_rate: stage.rate_from.0,
            until_rate: stage.rate_until.0,
            steady: stage.rate_from == stage.rate_until,
        });
        let faults = scenario.faults.iter().map(|fault| Period {
            name: fault.name.clone(),
            from: fault.at,
            until: fault.until,
        });
        Self {
            classes: scenario.traffic.classes.iter().map(|class| class.name.clone()).collect(),
            stages: stages.collect(),
            faults: faults.collect(),
            peers: peers(scenario),
            warm_up: Nanos(scenario.warm_up.0),
            end: scenario.end(),
            timeout: scenario.traffic.client.timeout,
            scaling: ScalingLayout::new(scenario),
            pieces: Vec::new(),
        }
        .recut()
    }

    /// Cuts the measured time into pieces anew: for a layout put together by hand.
    #[must_use]
    pub fn recut(mut self) -> Self {
        self.end = self.end.max(Nanos(self.warm_up.0.saturating_add(1)));
        self.pieces = self.cut();
        self
    }

    /// The pieces of the measured time, in order and without gaps; at least one.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The offered load of an open loop at an instant, requests per second; 0 outside its stages.
    #[must_use]
    pub fn planned_rate(&self, at: Nanos) -> f64 {
        let stage = self.stages.iter().find(|stage| at < stage.period.until);
        let Some(stage) = stage.or(self.stages.last()) else { return 0.0 };
        let (from, until) = (stage.period.from, stage.period.until);
        let share = at.since(from).0 as f64 / until.since(from).0.max(1) as f64;
        stage.from_rate + (stage.until_rate - stage.from_rate) * share.clamp(0.0, 1.0)
    }

    /// Peers that get traffic as long as all is well, with their index.
    pub fn primaries(&self) -> impl Iterator<Item = (usize, &PeerFacts)> {
        self.peers.iter().enumerate().filter(|(_, peer)| !peer.backup && peer.weight > 0)
    }

    fn cut(&self) -> Vec<Piece> {
        let changes = self.changes();
        let whole = self.end.since(self.warm_up).0.max(1);
        let intervals = changes.len().saturating_sub(1) as u64;
        let least = (PIECES_AIMED_AT / intervals.max(1)).clamp(2, PIECES_AT_LEAST);
        let mut pieces = Vec::new();
        for (interval, ends) in changes.windows(2).enumerate() {
            let (from, length) = (ends[0], ends[1] - ends[0]);
            let share = (length as f64 / whole as f64 * PIECES as f64).round() as u64;
            let count = share.max(least).min(length);
            let border = |i: u64| {
                Nanos(from + (u128::from(length) * u128::from(i) / u128::from(count)) as u64)
            };
            pieces.extend((0..count).map(|i| Piece {
                from: border(i),
                until: border(i + 1),
                interval,
            }));
        }
        pieces
    }

    /// Instants at which conditions change, from the warm-up to the end.
    fn changes(&self) -> Vec<u64> {
        let (first, last) = (self.warm_up.0, self.end.0);
        let stages = self.stages.iter().map(|stage| &stage.period);
        let mut changes: Vec<u64> = stages
            .chain(&self.faults)
            .flat_map(|period| [period.from.0, period.until.0])
            .filter(|at| (first..last).contains(at))
            .chain([first, last])
            .collect();
        changes.sort_unstable();
        changes.dedup();
        changes
    }
}

impl Period {
    /// The measured time before, during or after a fault; the whole of it for other kinds.
    #[must_use]
    pub fn side(&self, kind: GroupKind, layout: &Layout) -> (Nanos, Nanos) {
        let (first, last) = (layout.warm_up, layout.end);
        match kind {
            GroupKind::Before => (first, self.from.clamp(first, last)),
            GroupKind::During => (self.from.clamp(first, last), self.until.clamp(first, last)),
            GroupKind::After => (self.until.clamp(first, last), last),
            GroupKind::Class | GroupKind::Stage => (first, last),
        }
    }
}

fn peers(scenario: &Scenario) -> Vec<PeerFacts> {
    let configs = &scenario.balancer.upstream.peers;
    scenario
        .backends
        .iter()
        .zip(configs)
        .map(|(backend, config)| PeerFacts {
            name: backend.name.clone(),
            group: backend.group.clone(),
            weight: if config.down { 0 } else { config.weight },
            backup: config.backup,
            workers: backend.workers,
            capacity: f64::from(backend.workers) * backend.speed * 1e9 / backend.service.mean_ns(),
            third_moment: backend.service.has_third_moment(),
        })
        .collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A minute with a warm-up of 10 s, two classes, two steady stages, a crash, and peers of
    /// weight 5, 3 and a backup.
    pub(crate) fn layout() -> Layout {
        let period = |name: &str, from: u64, until: u64| Period {
            name: name.to_owned(),
            from: Nanos(from * 1_000_000_000),
            until: Nanos(until * 1_000_000_000),
        };
        let peer = |name: &str, group: &str, weight, backup| PeerFacts {
            name: name.to_owned(),
            group: group.to_owned(),
            weight,
            backup,
            workers: 2,
            capacity: 200.0,
            third_moment: true,
        };
        let stage = |period| {
            let (rate, from_rate, until_rate) = (100.0, 100.0, 100.0);
            StageFacts { period, rate, from_rate, until_rate, steady: true }
        };
        Layout {
            classes: vec!["api".into(), "web".into()],
            stages: vec![stage(period("low", 0, 30)), stage(period("high", 30, 60))],
            faults: vec![period("crash", 40, 50)],
            peers: vec![
                peer("a-1", "a", 5, false),
                peer("a-2", "a", 3, false),
                peer("spare", "spare", 1, true),
            ],
            warm_up: Nanos(10_000_000_000),
            end: Nanos(60_000_000_000),
            timeout: Span::from_secs(1),
            scaling: None,
            pieces: Vec::new(),
        }
        .recut()
    }

    /// The same without stages and faults, over `seconds` and without warm-up.
    pub(crate) fn steady(seconds: u64) -> Layout {
        let mut layout = layout();
        (layout.stages, layout.faults) = (Vec::new(), Vec::new());
        (layout.warm_up, layout.end) = (Nanos::ZERO, Nanos(seconds * 1_000_000_000));
        layout.recut()
    }

    #[test]
    fn pieces_fill_the_measured_time_and_end_where_conditions_change() {
        let layout = layout();
        let pieces = layout.pieces();
        assert_eq!(pieces.first().unwrap().from, layout.warm_up);
        assert_eq!(pieces.last().unwrap().until, layout.end);
        assert!(pieces.windows(2).all(|pair| pair[0].until == pair[1].from));
        for at in [30, 40, 50] {
            assert!(pieces.iter().any(|piece| piece.from == Nanos(at * 1_000_000_000)));
        }
        let intervals: Vec<usize> =
            (0..4).map(|i| pieces.iter().filter(|piece| piece.interval == i).count()).collect();
        assert_eq!(intervals, [10, 10, 10, 10]);
        assert_eq!(steady(60).pieces().len(), 20);
    }
}
