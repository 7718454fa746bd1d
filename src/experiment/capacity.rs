//! How much load a system takes before a service level is lost, or how few servers are enough.
//!
//! The model is asked at one level after the other: doubling until one holds and the next does not,
//! then halving what is between them. Each answer comes from replications, whose 95 % intervals say
//! on which side of its bound each measure is; where they leave that open, more replications are run,
//! and where these leave it open too, the level is nearer to the edge than can be told, and the search
//! goes by the estimate (bisection with noisy answers: Waeber, Frazier and Henderson, "Bisection
//! search with noisy responses", SIAM J. Control Optim. 51(3), 2013; here each answer is a sequential
//! test). All levels have the same seed, so their noise is alike and falls out of their comparison.
//! The answer lies between the highest load that surely holds and the lowest that surely does not:
//! its confidence.
//!
//! The knee of the curve is where power, goodput over mean latency, is largest (Kleinrock, "Power and
//! deterministic rules of thumb for probabilistic problems in computer communications", ICC 1979): at
//! half the load for M/M/1. Past it, latency grows faster than what is served.

mod level;
mod probe;

use std::sync::atomic::{AtomicBool, Ordering};

pub use level::{Axis, NoAxis};
pub use probe::{CapacityOutcome, capacity};

use super::run::{RunError, costs_of};
use crate::compare::capacity::{knee, side};
use crate::compare::verdict::estimate_subject;
use crate::compare::{
    CapacityPoint as Point, Digest, Estimate, Found, Holds, Layout, Verdict, summary_of,
};
use crate::engine;
use crate::live::Watcher;
use crate::record::Calibration;
use crate::scenario::{Check, Measure, Scenario};
use crate::sim::{self, Options};
use crate::units::World;

/// Replications of the first answer; each further one doubles them.
const FIRST: u32 = 5;
/// Replications of a point of the curve.
const OF_THE_CURVE: u32 = 5;
/// Points of the curve.
const POINTS: u32 = 16;
/// Doublings from the scenario's own level before giving up.
const DOUBLINGS: u32 = 12;
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
        asked.sharpen(answer)?;
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

    /// Narrows what is between the answer and the nearest levels of which one is sure.
    fn sharpen(&mut self, answer: f64) -> Result<(), RunError> {
        for side in [-1.0, 1.0] {
            for _ in 0..3 {
                let beyond = |level: f64| (level - answer) * side;
                let sure =
                    self.points.iter().filter(|it| it.holds.is_sure() && beyond(it.level) > 0.0);
                let Some(nearest) = sure
                    .map(|it| it.level)
                    .reduce(|a, b| if beyond(a) < beyond(b) { a } else { b })
                else {
                    break;
                };
                let middle = self.rounded(f64::midpoint(answer, nearest));
                let asked = self.points.iter().any(|point| point.level == middle);
                if self.is_near(answer, nearest) || asked || middle == answer {
                    break;
                }
                self.ask(middle)?;
            }
        }
        Ok(())
    }

    /// The points of the curve that the search left out.
    fn fill(&mut self, answer: f64) -> Result<(), RunError> {
        for i in 1..=POINTS {
            let level = self.rounded(answer * 1.3 * f64::from(i) / f64::from(POINTS));
            let near = |point: &Point| (point.level - level).abs() < 0.02 * answer;
            if level > 0.0 && !self.points.iter().any(near) {
                let point = self.run(level, OF_THE_CURVE)?;
                self.points.push(point);
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
        let mut replications = FIRST.min(self.search.most);
        loop {
            let point = self.run(level, replications)?;
            let holds = point.holds;
            if holds.is_sure() || replications >= self.search.most {
                self.points.push(point);
                return Ok(holds);
            }
            replications = (replications * 2).min(self.search.most);
        }
    }

    fn run(&self, level: f64, replications: u32) -> Result<Point, RunError> {
        let at = self.search.axis.at(self.scenario, level)?;
        let at = engine::adapted(&at, &at.balancer.engine);
        let layout = Layout::new(&at);
        let costs = costs_of(&at, self.search.calibration.as_ref()).unwrap_or_default();
        let options = Options { costs, stop: Some(self.stop), ..Options::default() };
        let ran = sim::replicate_range(&at, &options, 0..replications, self.search.threads, |_| {
            Digest::new(&layout, World::Sim)
        });
        if self.stop.load(Ordering::Relaxed) {
            return Err(RunError::Interrupted);
        }
        let digests: Vec<Digest> = ran.into_iter().map(|(digest, _)| digest).collect();
        let summary = summary_of(&digests).ok_or(RunError::TooLittle)?;
        Ok(Point {
            level,
            replications,
            holds: holds(&self.search.slos, &digests),
            p50: summary.latency.p50,
            p99: summary.latency.p99,
            mean: summary.latency.mean,
            goodput: summary.goodput,
            errors: summary.errors,
        })
    }
}

/// More only look exact.
fn four_digits(level: f64) -> f64 {
    let step = libm::pow(10.0, libm::floor(libm::log10(level)) - 3.0);
    (level / step).round() * step
}

/// The worst of all.
fn holds(slos: &[Check], digests: &[Digest]) -> Holds {
    let one = |slo: &Check| match estimate_subject(&slo.subject, digests) {
        Ok(estimate) => {
            let estimate = bounded(&slo.subject.measure, estimate, digests);
            let found = side(&slo.relation, estimate);
            let measured = matches!(slo.subject.measure, Measure::Quantile(_) | Measure::Mean);
            // Too few requests for an interval: nothing is sure.
            match (measured && estimate.high.is_none(), found.holds()) {
                (false, _) => found,
                (true, true) => Holds::Likely,
                (true, false) => Holds::Unlikely,
            }
        }
        // Nothing was measured, such as no request of a class: nothing speaks for it.
        Err(_) => Holds::Unlikely,
    };
    let worst = |a: Holds, b: Holds| if a as u8 > b as u8 { a } else { b };
    slos.iter().map(one).fold(Holds::Surely, worst)
}

/// Of n requests none failed: less than 3.7 / n of all do, with 97.5 % (the exact binomial limit).
fn bounded(measure: &Measure, estimate: Estimate, digests: &[Digest]) -> Estimate {
    let requests: u64 = digests.iter().map(Digest::requests).sum();
    if *measure == Measure::Errors && estimate.value == 0.0 && estimate.high.is_none() {
        return Estimate { low: Some(0.0), high: Some(3.69 / requests.max(1) as f64), ..estimate };
    }
    estimate
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
