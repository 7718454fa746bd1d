//! How many replications a scenario takes: as many as it says, or as a precision takes that it asks
//! for (Law, *Simulation Modeling and Analysis*, 9.4.1). The answer depends on the latencies alone, not
//! on threads.

use crate::compare::stopping::relative_half_width;
use crate::compare::versus::name_of;
use crate::compare::{Digest, estimate_of};
use crate::scenario::{Precision, Scenario};

/// Fewer replications give a half-width that is mostly chance.
const FIRST_WAVE: u32 = 10;

/// Replications before the first look at what they tell.
pub(super) fn first_wave(scenario: &Scenario) -> u32 {
    match scenario.precision {
        Some(_) => scenario.replications.max(FIRST_WAVE).min(scenario.max_replications),
        None => scenario.replications,
    }
}

/// Up to which replication to go on: by the square root law of their number, and no more than
/// doubling it, as a half-width is itself an estimate; `None` if the precision is reached, or as many
/// ran as may.
pub(super) fn next_wave(scenario: &Scenario, ran: &[Digest]) -> Option<u32> {
    let precision = scenario.precision.as_ref()?;
    let half = half_width(precision, ran);
    let ran = ran.len() as u32;
    if ran >= scenario.max_replications || half.is_some_and(|half| half <= precision.within) {
        return None;
    }
    let needed = half.map_or(f64::INFINITY, |half| {
        f64::from(ran) * (half / precision.within) * (half / precision.within)
    });
    let next = (needed * 1.05).ceil().clamp(f64::from(ran + 2), f64::from(ran * 2)) as u32;
    Some(next.min(scenario.max_replications))
}

/// What is to be said of a precision that was not reached.
pub(super) fn unmet(scenario: &Scenario, ran: &[Digest]) -> Option<String> {
    let precision = scenario.precision.as_ref()?;
    let half = half_width(precision, ran);
    if half.is_some_and(|half| half <= precision.within) {
        return None;
    }
    let reached = half.map_or_else(
        || "without an interval".to_owned(),
        |half| format!("known within {:.2} %", half * 100.0),
    );
    Some(format!(
        "{} is {reached} after {} replications, and {:.2} % was asked for: raise `max_replications`",
        name_of(&precision.measure),
        ran.len(),
        precision.within * 100.0
    ))
}

fn half_width(precision: &Precision, ran: &[Digest]) -> Option<f64> {
    relative_half_width(estimate_of(ran, &precision.measure)?)
}
