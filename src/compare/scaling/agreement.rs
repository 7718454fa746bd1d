//! How far the two worlds' autoscalers are apart, and whether that is near enough.

use serde::{Deserialize, Serialize};

use super::ScalingSummary;
use crate::compare::summary::{Group, GroupKind, WorldSummary};
use crate::units::Span;

/// Numbers of scaling events may differ by this.
const EVENTS_APART: usize = 1;
/// Instance-seconds may differ by this share of the live world's.
const INSTANCE_SECONDS_APART: f64 = 0.05;
/// The p99 of a stage may differ by this share of the live world's.
const P99_APART: f64 = 0.10;

/// The model's autoscaler against the live world's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalingAgreement {
    /// Scaling events of model and live world.
    pub events: (usize, usize),
    /// Whether those differ by no more than one.
    pub events_held: bool,
    /// Of the events that pair up, how far the two farthest are apart, ns.
    pub farthest_ns: u64,
    /// The time between two polls, ns: what is allowed.
    pub poll_ns: u64,
    /// Whether none is farther apart than that.
    pub times_held: bool,
    /// Instance-seconds of model and live world.
    pub instance_seconds: (f64, f64),
    /// `(sim - live) / live`.
    pub instance_seconds_apart: f64,
    /// Whether that is within 5 %.
    pub instance_seconds_held: bool,
    /// The p99 of each stage.
    pub stages: Vec<StageAgreement>,
}

/// The p99 of a stage in both worlds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageAgreement {
    /// Its name.
    pub name: String,
    /// Of the model, ns.
    pub sim_ns: f64,
    /// Of the live world, ns.
    pub live_ns: f64,
    /// `(sim - live) / live`.
    pub apart: f64,
    /// Whether that is within 10 %.
    pub held: bool,
}

impl ScalingAgreement {
    /// Whether all of it held.
    #[must_use]
    pub fn held(&self) -> bool {
        let stages = self.stages.iter().all(|stage| stage.held);
        self.events_held && self.times_held && self.instance_seconds_held && stages
    }
}

/// Holds the two worlds against one another; `None` without an autoscaler. `poll` is the time
/// between two decisions.
#[must_use]
pub fn agreement(sim: &WorldSummary, live: &WorldSummary, poll: Span) -> Option<ScalingAgreement> {
    let (of_sim, of_live) = (sim.scaling.as_ref()?, live.scaling.as_ref()?);
    let (sims, lives) = (times(of_sim), times(of_live));
    let farthest_ns = farthest(&sims, &lives);
    let seconds = (of_sim.instance_seconds, of_live.instance_seconds);
    let apart = relative(seconds.0, seconds.1);
    Some(ScalingAgreement {
        events: (sims.len(), lives.len()),
        events_held: sims.len().abs_diff(lives.len()) <= EVENTS_APART,
        farthest_ns,
        poll_ns: poll.0,
        // The live world's clock ticks a little after the instant that was meant.
        times_held: farthest_ns <= poll.0 + poll.0 / 20,
        instance_seconds: seconds,
        instance_seconds_apart: apart,
        instance_seconds_held: apart.abs() <= INSTANCE_SECONDS_APART,
        stages: stages(sim, live),
    })
}

/// When, and up or down.
fn times(summary: &ScalingSummary) -> Vec<(u64, bool)> {
    summary.events.iter().map(|event| (event.at_ns, event.to > event.from)).collect()
}

/// The greatest distance of two events that pair up in order: those of the longer list that pair
/// worst may have no partner.
fn farthest(one: &[(u64, bool)], other: &[(u64, bool)]) -> u64 {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    let spare = long.len() - short.len();
    // best[k]: the smallest greatest distance so far with k of the longer list left out.
    let mut best = vec![0; spare + 1];
    for (place, event) in short.iter().enumerate() {
        let distance = |partner: &(u64, bool)| {
            if partner.1 == event.1 { partner.0.abs_diff(event.0) } else { u64::MAX }
        };
        let mut least = u64::MAX;
        for skipped in 0..=spare {
            least = least.min(best[skipped]);
            best[skipped] = least.max(distance(&long[place + skipped]));
        }
    }
    best.into_iter().min().unwrap_or(0)
}

fn stages(sim: &WorldSummary, live: &WorldSummary) -> Vec<StageAgreement> {
    let stage = |group: &&Group| group.kind == GroupKind::Stage;
    let pairs = sim.groups.iter().filter(stage).zip(live.groups.iter().filter(stage));
    pairs
        .filter(|(sim, live)| sim.requests > 0 && live.requests > 0)
        .map(|(sim, live)| {
            let (sim_ns, live_ns) = (sim.latency.p99.value, live.latency.p99.value);
            let apart = relative(sim_ns, live_ns);
            let held = apart.abs() <= P99_APART;
            StageAgreement { name: sim.name.clone(), sim_ns, live_ns, apart, held }
        })
        .collect()
}

fn relative(value: f64, other: f64) -> f64 {
    if value == other { 0.0 } else { (value - other) / other }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UP: bool = true;
    const DOWN: bool = false;

    #[test]
    fn events_pair_up_as_well_as_they_can() {
        let live = [(10, UP), (20, UP), (60, DOWN)];
        assert_eq!(farthest(&[(12, UP), (20, UP), (55, DOWN)], &live), 5);
        assert_eq!(farthest(&[(21, UP), (60, DOWN)], &live), 1, "the first has no partner");
        assert_eq!(farthest(&[(10, UP), (61, DOWN)], &live), 1, "the second has none");
        assert_eq!(farthest(&live, &[(10, UP), (15, UP), (20, UP), (60, DOWN)]), 0);
        assert_eq!(farthest(&[(10, UP), (20, DOWN), (60, DOWN)], &live), u64::MAX);
        assert_eq!(farthest(&[], &live), 0);
    }
}
