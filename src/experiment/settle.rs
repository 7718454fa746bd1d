//! What a scenario leaves to the model, found before anything is recorded: the warm-up of
//! `warm_up = "auto"`, and the end of `until = "p99 ± 1%"`.
//!
//! Both become overrides of the scenario, so they stand in `run.json` like those of `--set`, the
//! programs of the live world read them too, and a run read back is the same run. Draws are addressed
//! by request, so the run that is then recorded is the one that was looked at, cut where it said.

use std::sync::atomic::{AtomicBool, Ordering};

use super::run::{RunError, costs_of};
use crate::compare::{LatencySeries, Stopping};
use crate::engine;
use crate::live::Watcher;
use crate::record::{Calibration, Costs};
use crate::scenario::{self, Precision, Scenario};
use crate::sim::{self, Options};
use crate::units::{Nanos, Span, World};

/// Replications whose latencies are averaged to find a warm-up.
pub(super) const WARM_UP_REPLICATIONS: u32 = 10;

/// What the looking needs.
pub(super) struct Means<'a> {
    pub(super) only: Option<World>,
    pub(super) threads: usize,
    pub(super) calibration: Option<&'a Calibration>,
    pub(super) watcher: &'a dyn Watcher,
    pub(super) stop: &'a AtomicBool,
}

/// A scenario of which nothing is left open.
pub(super) struct Settled {
    pub(super) scenario: Scenario,
    /// What to know before believing its numbers.
    pub(super) warnings: Vec<String>,
}

/// Finds what `asked` leaves open; nothing runs if that is nothing.
///
/// # Errors
/// [`RunError::Interrupted`], or the scenario's own problems.
pub(super) fn settle(asked: &Scenario, means: &Means<'_>) -> Result<Settled, RunError> {
    let mut settled = Settled { scenario: asked.clone(), warnings: Vec::new() };
    if asked.auto_warm_up {
        means.watcher.phase("finding the warm-up");
        let warm_up = warm_up(asked, means, &mut settled.warnings);
        settled.replace("scenario.warm_up", warm_up)?;
    }
    let until = settled.scenario.until.clone().filter(|_| means.only == Some(World::Sim));
    if let Some(precision) = until {
        means.watcher.phase("finding the end");
        match end(&settled.scenario, precision, means) {
            Some(end) => settled.replace("scenario.duration", end)?,
            None => settled.warnings.push(format!(
                "the precision that `until` asks for was not reached within {}",
                asked.duration
            )),
        }
    }
    if means.stop.load(Ordering::Relaxed) {
        return Err(RunError::Interrupted);
    }
    Ok(settled)
}

impl Settled {
    fn replace(&mut self, key: &str, value: Span) -> Result<(), RunError> {
        let before = &self.scenario;
        let mut overrides = before.overrides.clone();
        overrides.push((key.to_owned(), format!("{}ns", value.0)));
        let mut after = scenario::parse_with(&before.text, &before.path, &overrides)?;
        // What the command line replaced without an override.
        (after.seed, after.replications) = (before.seed, before.replications);
        after.name.clone_from(&before.name);
        self.scenario = after;
        Ok(())
    }
}

fn costs(scenario: &Scenario, means: &Means<'_>) -> Costs {
    costs_of(scenario, means.calibration).unwrap_or_default()
}

/// The scenario as its engine runs it.
fn adapted(scenario: &Scenario) -> Scenario {
    engine::adapted(scenario, &scenario.balancer.engine)
}

/// Until when conditions are those of the beginning.
pub(super) fn first_change(scenario: &Scenario) -> Nanos {
    let stage = scenario.traffic.stages().first();
    let stage = stage.map_or(scenario.end(), |stage| {
        if stage.rate_from == stage.rate_until { stage.until } else { Nanos::ZERO }
    });
    let fault = scenario.faults.first().map_or(scenario.end(), |fault| fault.at);
    if scenario.autoscaler.is_some() { Nanos::ZERO } else { stage.min(fault).min(scenario.end()) }
}

fn warm_up(asked: &Scenario, means: &Means<'_>, warnings: &mut Vec<String>) -> Span {
    let until = first_change(asked);
    let scenario = adapted(asked);
    let options =
        Options { costs: costs(asked, means), stop: Some(means.stop), ..Options::default() };
    let ran =
        sim::replicate_range(&scenario, &options, 0..WARM_UP_REPLICATIONS, means.threads, |_| {
            LatencySeries::new(until)
        });
    let series: Vec<LatencySeries> = ran.into_iter().map(|(series, _)| series).collect();
    if let Some(cut) = LatencySeries::truncation(&series, Span::ZERO) {
        // A whole number of milliseconds reads better, and is longer by less than one.
        return Span(cut.warm_up.0.next_multiple_of(1_000_000)).min(asked.duration / 2);
    }
    let half = until.since(Nanos::ZERO) / 2;
    warnings.push(format!(
        "no end of the warm-up was found within {}: half of it is left out; make it longer, or give \
         `warm_up`",
        until.since(Nanos::ZERO)
    ));
    half
}

fn end(scenario: &Scenario, precision: Precision, means: &Means<'_>) -> Option<Span> {
    let enough = AtomicBool::new(false);
    let mut stopping = Stopping::new(
        precision,
        Nanos(scenario.warm_up.0),
        scenario.traffic.client.timeout,
        (scenario.traffic.mean_rate(), scenario.duration),
        [&enough, means.stop],
    );
    let options =
        Options { costs: costs(scenario, means), stop: Some(&enough), ..Options::default() };
    sim::run(&adapted(scenario), 0, &options, &mut stopping);
    Some(stopping.end()?.since(Nanos::ZERO))
}
