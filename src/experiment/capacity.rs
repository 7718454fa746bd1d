//! How much load a system takes before a service level is lost, or how few servers are enough.
//!
//! The model is asked at one level after the other: doubling until one holds and the next does not,
//! then halving what is between them. Each answer is a test over replications (see
//! [`crate::compare::objective`]); where it leaves open whether the level holds, more replications are
//! run, and where as many as may run leave it open too, the level is nearer to the edge than can be
//! told, and the search goes by the estimate (bisection with noisy answers: Waeber, Frazier and
//! Henderson, "Bisection search with noisy responses", SIAM J. Control Optim. 51(3), 2013; here each
//! answer is a sequential test). A test that is looked at several times would be wrong more often than
//! it says, so early looks must be sure by three standard errors, and only the last by the nominal two
//! (Haybittle, British J. Radiology 44, 1971; Peto et al., British J. Cancer 34, 1976). A level at
//! which the queue grows in every replication holds no bound on latencies and failures, whatever
//! the run has seen yet.
//!
//! All levels have the same seed, so their noise is alike and falls out of their comparison. From the
//! answer outwards the search then looks for the nearest levels that are sure on either side: the
//! highest load that surely holds and the lowest that surely does not are the ends of the answer's
//! confidence. As the noise is common, that is the inversion of one test at the edge itself, wrong on
//! either side once in forty, and not a new chance to be wrong at each level.
//!
//! The knee of the curve is where power, goodput over mean latency, is largest (Kleinrock, "Power and
//! deterministic rules of thumb for probabilistic problems in computer communications", ICC 1979): at
//! half the load for M/M/1. Past it, latency grows faster than what is served.

mod level;
mod probe;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

pub use level::{Axis, NoAxis};
pub use probe::{CapacityOutcome, capacity};

use super::run::{RunError, costs_of};
use crate::compare::capacity::knee;
use crate::compare::{
    CapacityPoint as Point, Digest, Found, Holds, Layout, Verdict, WorldDigests, objective,
};
use crate::engine;
use crate::live::Watcher;
use crate::record::Calibration;
use crate::scenario::{Check, Scenario};
use crate::sim::{self, Options, Ran, Warning};
use crate::units::World;

/// Replications of the first answer; each further one doubles them.
const FIRST: u32 = 5;
/// Confidence on one side of an early look at a level: three standard errors.
const EARLY: f64 = 0.998_65;
/// And of the last.
const LAST: f64 = 0.975;
/// Points of the curve.
const POINTS: u32 = 16;
/// Doublings from the scenario's own level before giving up.
const DOUBLINGS: u32 = 12;
/// Levels asked on each side of the answer for one that is sure.
const OUTWARDS: u32 = 16;
/// How near the level that is sure is to be found, as a share of its distance from the answer.
const OF_THE_DISTANCE: f64 = 0.1;
/// Halvings: with ever fewer requests, chance alone would let a level hold in the end.
const HALVINGS: u32 = 6;

/// How the search goes.
#[derive(Clone, Debug)]
pub struct Search {
    /// What is changed.
    pub axis: Axis,
    /// What must hold.
    pub slos: Vec<Check>,
    /// Most replications at a level.
    pub most: u32,
    /// How near the answer is to be found, as a share of it.
    pub resolution: f64,
    /// Threads.
    pub threads: usize,
    /// What the host adds; `None` takes it as zero.
    pub calibration: Option<Calibration>,
}

/// Searches in the model. The same whatever the number of threads.
///
/// # Errors
/// [`RunError::Interrupted`], or a level at which the scenario is wrong.
pub(super) fn search(
    scenario: &Scenario,
    search: &Search,
    start: f64,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Found, RunError> {
    let mut asked = Asked { scenario, search, watcher, stop, points: Vec::new() };
    let answer = asked.edge(start)?;
    if let Some(answer) = answer {
        asked.confidence(answer)?;
        asked.fill(answer)?;
    }
    asked.points.sort_by(|a, b| a.level.total_cmp(&b.level));
    let points = asked.points;
    let helps = search.axis.helps();
    let sure = |holds: Holds| points.iter().filter(move |it| it.holds == holds).map(|it| it.level);
    let (below, above) =
        if helps { (Holds::Not, Holds::Surely) } else { (Holds::Surely, Holds::Not) };
    let low = sure(below).filter(|level| answer.is_some_and(|answer| *level <= answer));
    let high = sure(above).filter(|level| answer.is_some_and(|answer| *level >= answer));
    Ok(Found {
        answer,
        low: low.reduce(f64::max).map(|low| if helps { low + 1.0 } else { low }),
        high: high.reduce(f64::min),
        knee: if helps { None } else { knee(&points) },
        curve: points,
    })
}

struct Asked<'a> {
    scenario: &'a Scenario,
    search: &'a Search,
    watcher: &'a dyn Watcher,
    stop: &'a AtomicBool,
    points: Vec<Point>,
}

impl Asked<'_> {
    /// The last level that holds, coming from those that do.
    fn edge(&mut self, start: f64) -> Result<Option<f64>, RunError> {
        let helps = self.search.axis.helps();
        let first = self.ask(start)?.holds();
        // Towards the edge: a load that holds is raised, servers that hold are taken away.
        let up = first != helps;
        let (mut holding, mut failing) =
            if first { (Some(start), None) } else { (None, Some(start)) };
        let mut level = start;
        for _ in 0..if up { DOUBLINGS } else { HALVINGS } {
            let next = if up { level * 2.0 } else { self.rounded(level / 2.0) };
            if next == level || next <= 0.0 {
                break;
            }
            level = next;
            let holds = self.ask(level)?.holds();
            if holds {
                holding = Some(level)
            } else {
                failing = Some(level)
            }
            if holds != first {
                break;
            }
        }
        let (Some(mut holding), Some(mut failing)) = (holding, failing) else { return Ok(holding) };
        while !self.is_near(holding, failing) {
            let middle = self.rounded(f64::midpoint(holding, failing));
            if middle == holding || middle == failing {
                break;
            }
            if self.ask(middle)?.holds() { holding = middle } else { failing = middle }
        }
        Ok(Some(holding))
    }

    /// Finds the nearest levels on either side of the answer that are sure.
    fn confidence(&mut self, answer: f64) -> Result<(), RunError> {
        let helps = self.search.axis.helps();
        let (below, above) =
            if helps { (Holds::Not, Holds::Surely) } else { (Holds::Surely, Holds::Not) };
        for (side, wanted) in [(-1.0, below), (1.0, above)] {
            self.nearest_sure(answer, side, wanted)?;
        }
        Ok(())
    }

    /// Goes from the answer to one side in steps that double until a level is `wanted`, then halves
    /// what is between it and the last that is not.
    fn nearest_sure(&mut self, answer: f64, side: f64, wanted: Holds) -> Result<(), RunError> {
        let beyond = |level: f64| (level - answer) * side;
        let sure = self.points.iter().filter(|it| it.holds == wanted).map(|it| beyond(it.level));
        let mut sure = sure.filter(|away| *away >= 0.0).reduce(f64::min);
        let unsure = self.points.iter().filter(|it| it.holds != wanted).map(|it| beyond(it.level));
        let mut unsure = unsure
            .filter(|away| *away >= 0.0 && sure.is_none_or(|sure| *away < sure))
            .reduce(f64::max)
            .unwrap_or(0.0);
        let whole = self.search.axis.is_whole(self.scenario);
        let step = if whole { 1.0 } else { self.search.resolution * answer };
        for _ in 0..OUTWARDS {
            let doubled = (2.0 * unsure).max(step);
            let next = match sure {
                Some(sure) if sure - unsure <= step.max(OF_THE_DISTANCE * sure) => break,
                Some(sure) => doubled.min(f64::midpoint(unsure, sure)),
                None => doubled,
            };
            let level = self.rounded(answer + side * next);
            let away = beyond(level);
            if level <= 0.0 || away <= unsure || sure.is_some_and(|sure| away >= sure) {
                break;
            }
            if self.ask(level)? == wanted { sure = Some(away) } else { unsure = away }
        }
        Ok(())
    }

    /// The points of the curve that the search left out.
    fn fill(&mut self, answer: f64) -> Result<(), RunError> {
        for i in 1..=POINTS {
            let level = self.rounded(answer * 1.3 * f64::from(i) / f64::from(POINTS));
            let near = |point: &Point| (point.level - level).abs() < 0.02 * answer;
            if level > 0.0 && !self.points.iter().any(near) {
                self.ask(level)?;
            }
        }
        Ok(())
    }

    fn is_near(&self, a: f64, b: f64) -> bool {
        if self.search.axis.is_whole(self.scenario) {
            return (a - b).abs() <= 1.0;
        }
        (a - b).abs() <= self.search.resolution * a.min(b)
    }

    fn rounded(&self, level: f64) -> f64 {
        if self.search.axis.is_whole(self.scenario) {
            return level.round();
        }
        four_digits(level)
    }

    /// Asks with more and more replications until one is sure, or as many ran as may.
    fn ask(&mut self, level: f64) -> Result<Holds, RunError> {
        let unit = self.search.axis.unit(self.scenario);
        let places = if self.search.axis.is_whole(self.scenario) { 0 } else { 1 };
        self.watcher.phase(&format!("model at {level:.places$} {unit}"));
        let at = self.search.axis.at(self.scenario, level)?;
        let at = engine::adapted(&at, &at.balancer.engine);
        let most = self.search.most;
        let (mut digests, mut grew) = (Vec::new(), true);
        loop {
            let from = digests.len() as u32;
            let until = (from * 2).max(FIRST).min(most);
            for (digest, ran) in self.run(&at, from..until)? {
                digests.push(digest);
                grew &= ran.warnings.iter().any(|it| matches!(it, Warning::GrowingQueue { .. }));
            }
            let confidence = if until < most { EARLY } else { LAST };
            let world = WorldDigests::new(&digests).ok_or(RunError::TooLittle)?;
            let holds = holds(&self.search.slos, &world, grew, confidence);
            if holds.is_sure() || until == most {
                self.points.push(point(level, holds, &world));
                return Ok(holds);
            }
        }
    }

    fn run(&self, at: &Scenario, range: Range<u32>) -> Result<Vec<(Digest, Ran)>, RunError> {
        let layout = Layout::new(at);
        let costs = costs_of(at, self.search.calibration.as_ref()).unwrap_or_default();
        let options = Options { costs, stop: Some(self.stop), ..Options::default() };
        let ran = sim::replicate_range(at, &options, range, self.search.threads, |_| {
            Digest::new(&layout, World::Sim)
        });
        if self.stop.load(Ordering::Relaxed) { Err(RunError::Interrupted) } else { Ok(ran) }
    }
}

fn point(level: f64, holds: Holds, world: &WorldDigests<'_>) -> Point {
    let summary = world.summary();
    Point {
        level,
        replications: summary.replications,
        holds,
        p50: summary.latency.p50,
        p99: summary.latency.p99,
        mean: summary.latency.mean,
        goodput: summary.goodput,
        errors: summary.errors,
    }
}

/// More only look exact. Divided by a whole number, so that it is printed with four digits too.
fn four_digits(level: f64) -> f64 {
    let decimals = 3.0 - libm::floor(libm::log10(level));
    let scale = libm::pow(10.0, decimals.abs());
    if decimals < 0.0 { (level / scale).round() * scale } else { (level * scale).round() / scale }
}

/// The worst of all. Where the queue `grew` in all replications, a longer run breaks every bound on
/// latencies and failures.
fn holds(slos: &[Check], world: &WorldDigests<'_>, grew: bool, confidence: f64) -> Holds {
    let one = |slo: &Check| {
        let grows = grew && objective::is_lost_to_growth(slo);
        if grows { Holds::Not } else { objective::holds(slo, world, confidence) }
    };
    let worst = |a: Holds, b: Holds| if a as u8 > b as u8 { a } else { b };
    slos.iter().map(one).fold(Holds::Surely, worst)
}

/// Whether a live world holds, by its checks; `None` if none was tried in it.
fn live_holds(checks: &[crate::compare::CheckResult]) -> Option<bool> {
    let mut live = checks.iter().filter(|check| check.world == Some(World::Live)).peekable();
    live.peek()?;
    Some(live.all(|check| check.verdict == Verdict::Held))
}

#[cfg(test)]
#[path = "capacity/tests.rs"]
mod tests;
