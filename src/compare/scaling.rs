//! What an autoscaler did in a world, and what it cost: from the same rows of either world.
//!
//! | number | how it is counted |
//! |---|---|
//! | scaling event | a decision after which another number of instances is wanted; the replacement of one that died is none |
//! | flap | an event that takes back the direction of the one before it, though the planned load has not moved that way by a tenth since ([`Flaps`](crate::policy::scale::Flaps)) |
//! | instance-seconds | from the decision that starts an instance to its stop, those at the start from zero, all up to the end of the run |
//! | SLO-violated second | a second of which what the SLO bounds is not within: latencies by the second in which requests were due, errors by that in which they ended |
//! | time to capacity | from a step of the load upwards to the readiness of the last instance that was ordered before the next stage |

mod agreement;
mod tally;

pub use agreement::{ScalingAgreement, StageAgreement, agreement};
pub(super) use tally::Tally;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::summary::Second;
use crate::policy::scale::ScaleRule;
use crate::record::scaling::Scaled;
use crate::scenario::{Check, Measure, Relation, Scenario};
use crate::units::time::NANOS_PER_SECOND;
use crate::units::{Nanos, Span};

/// What statistics need to know of an autoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalingLayout {
    /// Name of its group.
    pub group: String,
    /// The group's places among the peers.
    pub slots: Range<usize>,
    /// Requests that each instance serves at once.
    pub workers: u32,
    /// Instances at the start.
    pub initial: u32,
    /// Time between decisions.
    pub poll: Span,
    /// Time between two looks at the instances.
    pub scrape_interval: Span,
    /// Window over which the metric is taken.
    pub rate_window: Span,
    /// Above what share of busy time the group grows, if that is its metric.
    pub up: Option<f64>,
    /// Below what share it shrinks, if its rule has such a mark.
    pub down: Option<f64>,
    /// What each second should hold.
    pub slo: Option<Check>,
}

impl ScalingLayout {
    pub(super) fn new(scenario: &Scenario) -> Option<Self> {
        let facts = scenario.autoscaler.as_ref()?;
        let marks = marks(&facts.scale.rule);
        let (metrics, unit) = (&facts.scale.metrics, facts.scale.unit());
        let share = metrics.len() == 1 && metrics[0].of_instances().is_some() && unit.is_share();
        Some(Self {
            group: facts.group.clone(),
            slots: facts.slots.clone(),
            workers: scenario.backends.get(facts.slots.start).map_or(1, |backend| backend.workers),
            initial: facts.scale.initial,
            poll: facts.scale.poll,
            scrape_interval: facts.scrape_interval,
            rate_window: facts.rate_window,
            up: marks.0.filter(|_| share),
            down: marks.1.filter(|_| share),
            slo: facts.slo.clone(),
        })
    }
}

/// Above and below what the group changes.
fn marks(rule: &ScaleRule) -> (Option<f64>, Option<f64>) {
    match rule {
        ScaleRule::Threshold(threshold) => (Some(threshold.up), Some(threshold.down)),
        ScaleRule::Target(target) => {
            let behavior = target.behavior.as_ref();
            let up = behavior.and_then(|behavior| behavior.up.tolerance);
            let down = behavior.and_then(|behavior| behavior.down.tolerance);
            let value = target.values.first().map(|value| value.number());
            (
                value.map(|value| value * (1.0 + up.unwrap_or(target.tolerance))),
                value.map(|value| value * (1.0 - down.unwrap_or(target.tolerance))),
            )
        }
        ScaleRule::TargetTracking(tracking) => {
            (Some(tracking.value), Some(tracking.value * tracking.low))
        }
    }
}

/// What an autoscaler did in one world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingSummary {
    /// Name of its group.
    pub group: String,
    /// What each second should hold.
    pub slo: Option<String>,
    /// Above this share of busy time the group grows.
    pub up: Option<f64>,
    /// Below this one it shrinks.
    pub down: Option<f64>,
    /// Scaling events in the mean of the replications.
    pub scale_events: f64,
    /// Flaps per hour, in their mean.
    pub flaps_per_hour: f64,
    /// Instances times the seconds they were there, in their mean.
    pub instance_seconds: f64,
    /// Instances times hours: what it cost.
    pub instance_hours: f64,
    /// Seconds that did not hold the SLO, of the first replication; `None` without one.
    pub slo_violated_seconds: Option<u32>,
    /// The scaling events of the first replication.
    pub events: Vec<ScalingEvent>,
    /// What each step of the load upwards led to, in the first replication.
    pub steps: Vec<LoadStep>,
    /// Ready instances from an instant on, ns, in the first replication.
    pub ready: Vec<(u64, u32)>,
    /// Length of the pieces of time of `utilization`, ns.
    pub piece_ns: u64,
    /// Share of the ready instances' workers that was busy, piece by piece.
    pub utilization: Vec<f32>,
}

/// A scaling event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingEvent {
    /// When it was decided, ns.
    pub at_ns: u64,
    /// Instances wanted before.
    pub from: u32,
    /// Instances wanted from then on.
    pub to: u32,
    /// Whether it takes the one before it back without the load's leave.
    pub flap: bool,
    /// Why, in words.
    pub reason: String,
}

/// A step of the load upwards, and how long capacity took to follow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadStep {
    /// Name of the stage that begins with it.
    pub stage: String,
    /// When that is, ns.
    pub at_ns: u64,
    /// From the step until the metric, as scraped, is above its mark; `None` where the metric is
    /// another one than the utilization, or was above it before.
    pub metric_lag_ns: Option<u64>,
    /// From then (or from the step) to the last decision to grow in this stage.
    pub decision_ns: u64,
    /// From there until its last instance was ready.
    pub start_up_ns: u64,
}

impl LoadStep {
    /// From the step until capacity had followed.
    #[must_use]
    pub fn to_capacity_ns(&self) -> u64 {
        self.metric_lag_ns.unwrap_or(0) + self.decision_ns + self.start_up_ns
    }
}

/// The results of the runs of one world; `None` without an autoscaler.
pub(super) fn summary(
    layout: &Layout,
    runs: &[Tally],
    seconds: &[Second],
) -> Option<ScalingSummary> {
    let facts = layout.scaling.as_ref()?;
    let first = runs.first()?;
    let mean = |of: &dyn Fn(&Tally) -> f64| runs.iter().map(of).sum::<f64>() / runs.len() as f64;
    let events = first.events(facts, layout);
    let instance_seconds = mean(&|run| run.instance_seconds(facts));
    let hours = |run: &Tally| (run.end.0 as f64 / NANOS_PER_SECOND as f64 / 3600.0).max(1e-9);
    let flaps = |run: &Tally| run.events(facts, layout).iter().filter(|event| event.flap).count();
    Some(ScalingSummary {
        group: facts.group.clone(),
        slo: facts.slo.as_ref().map(|check| check.text.clone()),
        up: facts.up,
        down: facts.down,
        scale_events: mean(&|run| run.events(facts, layout).len() as f64),
        flaps_per_hour: mean(&|run| flaps(run) as f64 / hours(run)),
        instance_seconds,
        instance_hours: instance_seconds / 3600.0,
        slo_violated_seconds: facts.slo.as_ref().map(|slo| violated(slo, layout, seconds)),
        steps: steps(facts, layout, first, &events),
        events,
        ready: first.ready(facts),
        piece_ns: facts.scrape_interval.0,
        utilization: first.utilization(facts).into_iter().map(|share| share as f32).collect(),
    })
}

/// Measured seconds that do not hold `slo`.
fn violated(slo: &Check, layout: &Layout, seconds: &[Second]) -> u32 {
    let value = |second: &Second| {
        let ended = second.succeeded + second.failed;
        match slo.subject.measure {
            Measure::Quantile(order) if order < 0.9 => {
                (second.offered > 0).then_some(second.p50_ns as f64)
            }
            Measure::Quantile(_) => (second.offered > 0).then_some(second.p99_ns as f64),
            _ => (ended > 0).then(|| second.failed as f64 / ended as f64),
        }
    };
    let held = |value: f64| match slo.relation {
        Relation::Below(bound) => value < bound,
        Relation::AtMost(bound) => value <= bound,
        _ => true,
    };
    let whole = |second: &&Second| {
        let from = u64::from(second.second) * NANOS_PER_SECOND;
        (layout.warm_up.0..layout.end.0).contains(&from)
    };
    let broken = seconds.iter().filter(whole).filter_map(value).filter(|value| !held(*value));
    broken.count() as u32
}

/// What followed each step upwards.
fn steps(
    facts: &ScalingLayout,
    layout: &Layout,
    run: &Tally,
    events: &[ScalingEvent],
) -> Vec<LoadStep> {
    let stages = layout.stages.windows(2).filter(|pair| pair[1].from_rate > pair[0].until_rate);
    let step = |pair: &[super::layout::StageFacts]| {
        let stage = &pair[1].period;
        let within = |at: u64| (stage.from.0..stage.until.0).contains(&at);
        let last =
            events.iter().rev().find(|event| event.to > event.from && within(event.at_ns))?;
        let seen = facts.up.and_then(|up| {
            let above =
                run.scraped(facts).into_iter().find(|(at, mean)| *at >= stage.from && *mean > up);
            above.map(|(at, _)| at.0).filter(|at| *at <= last.at_ns)
        });
        let ready = run.ready_after(last.at_ns);
        Some(LoadStep {
            stage: stage.name.clone(),
            at_ns: stage.from.0,
            metric_lag_ns: seen.map(|at| at - stage.from.0),
            decision_ns: last.at_ns - seen.unwrap_or(stage.from.0),
            start_up_ns: ready?.0 - last.at_ns,
        })
    };
    stages.filter_map(step).collect()
}

/// A row of the run, in order.
type Row = (Nanos, Scaled);
