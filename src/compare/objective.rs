//! Does a service level hold? A test over independent replications, at a confidence of one's choice.
//!
//! `p99 < 300ms` says that of all requests less than 1 % take longer than 300 ms. So what is tested is
//! the share beyond the bound, and not an interval of the quantile (the quantile test: Conover,
//! *Practical Nonparametric Statistics*, 3.2). Requests of one replication depend on each other and
//! replications do not, so the share is a ratio of two sums over replications, with its standard error
//! (Cochran, *Sampling Techniques*, 2.11) and Student's t. The quantile of an overload depends on how
//! long it lasts and has no interval; the share beyond the bound is then far above 1 % in every
//! replication, and the test is sure of it.
//!
//! The two directions differ: requests beyond the bound have been seen, and clusters of them may have
//! been missed. So a level holds only with the care of [`interval`]: with enough requests in the tail,
//! and with a correlation there that is at least that of the steady part.
//!
//! Means and shares of failures are tested by their ratio, counts and what is made of them by the
//! spread over replications, and a maximum, which only grows with their number, by the sign test.

use super::capacity::{Holds, side};
use super::digest::Digest;
use super::estimate::Replicated;
use super::interval::{self, Batch, STEADY_ORDER, TAIL_AT_LEAST};
use super::measured::selection;
use super::sample::Since;
use super::student;
use super::world_digests::WorldDigests;
use crate::scenario::{Check, Measure, Relation};

/// Whether `objective` holds in the replications of `world`; `confidence` is that of one side, 0.5 to 1.
#[must_use]
pub fn holds(objective: &Check, world: &WorldDigests<'_>, confidence: f64) -> Holds {
    // Nothing was measured, such as no request of a class: nothing speaks for it.
    let Ok(found) = world.estimate(&objective.subject) else {
        return Holds::Unlikely;
    };
    let with = |half| side(&objective.relation, interval::around(found.value, half));
    let plain = with(None);
    let open = if plain.holds() { Holds::Likely } else { Holds::Unlikely };
    match &objective.subject.measure {
        Measure::Quantile(order) if *order >= 1.0 => {
            let sure = !plain.holds() && all_break(objective, world.each, confidence);
            if sure { plain } else { open }
        }
        Measure::Quantile(order) => match bound_below(&objective.relation) {
            Some((bound, below)) => {
                let within = is_within(objective, world, (*order, bound), confidence);
                // The share and the quantile may differ by the histogram's last digit.
                let agree = within.is_some_and(|within| (within == below) == plain.holds());
                if agree { plain } else { open }
            }
            None => side(&objective.relation, found),
        },
        Measure::Mean | Measure::Errors => {
            half_width(objective, world, confidence).map_or(open, |half| with(Some(half)))
        }
        _ => interval::of_values(&values(objective, world.each), confidence)
            .map_or(open, |half| with(Some(half))),
    }
}

/// Whether a queue that grows breaks it in the end: it asks that latencies, or the requests that
/// fail, stay below something.
#[must_use]
pub const fn is_lost_to_growth(objective: &Check) -> bool {
    let grows = matches!(
        objective.subject.measure,
        Measure::Quantile(_) | Measure::Mean | Measure::Errors | Measure::Failed
    );
    let above = matches!(
        objective.relation,
        Relation::Above(_) | Relation::AtLeast(_) | Relation::Agrees(..)
    );
    grows && !above
}

/// The bound of a relation to one, and whether what is below it is right.
const fn bound_below(relation: &Relation) -> Option<(f64, bool)> {
    match relation {
        Relation::Below(bound) | Relation::AtMost(bound) => Some((*bound, true)),
        Relation::Above(bound) | Relation::AtLeast(bound) => Some((*bound, false)),
        Relation::Within(..) | Relation::Agrees(..) => None,
    }
}

/// Whether the quantile of order `p` is surely within `bound`, or surely beyond it.
fn is_within(
    objective: &Check,
    world: &WorldDigests<'_>,
    (p, bound): (f64, f64),
    confidence: f64,
) -> Option<bool> {
    let selection = selection(&objective.subject, world.pooled.layout()).ok()?;
    let sample = Replicated::new(&world.pooled, world.each, selection);
    let beyond = |bound: u64| sample.beyond(Since::Due, bound);
    let steady = sample.all.distribution(Since::Due).quantile(p.min(STEADY_ORDER));
    share_is_within(1.0 - p, &beyond(bound as u64), &beyond(steady), confidence)
}

/// Whether the share of what is counted in `beyond` is surely at most `allowed`, or surely above it;
/// `steady` counts beyond a smaller bound, where the correlation is known better.
fn share_is_within(
    allowed: f64,
    beyond: &[Batch],
    steady: &[Batch],
    confidence: f64,
) -> Option<bool> {
    let count: f64 = beyond.iter().map(|batch| batch.count).sum();
    let share = |batches: &[Batch]| batches.iter().map(|it| it.sum).sum::<f64>() / count;
    let (error, degrees) = interval::ratio_error(beyond)?;
    let t = student::quantile(confidence, degrees);
    if share(beyond) - t * error > allowed {
        return Some(false);
    }
    let independent = |share: f64| (share * (1.0 - share) / count).sqrt();
    let widening = |batches: &[Batch]| {
        let (error, _) = interval::ratio_error(batches)?;
        let plain = independent(share(batches));
        (plain > 0.0).then(|| error / plain)
    };
    let wide = [beyond, steady].into_iter().filter_map(widening).fold(1.0, f64::max);
    let seen = count * allowed.min(1.0 - allowed) >= TAIL_AT_LEAST * wide * wide;
    let error = error.max(wide * independent(allowed));
    (seen && share(beyond) + t * error < allowed).then_some(true)
}

/// Of a mean or a share of failures.
fn half_width(objective: &Check, world: &WorldDigests<'_>, confidence: f64) -> Option<f64> {
    let selection = selection(&objective.subject, world.pooled.layout()).ok()?;
    let sample = Replicated::new(&world.pooled, world.each, selection);
    let errors = objective.subject.measure == Measure::Errors;
    if errors && sample.all.failed == 0 {
        // Of n requests none failed: with the confidence 1 - a less than ln(1 / a) / n of all do.
        return Some(-libm::log(1.0 - confidence) / sample.all.requests.max(1) as f64);
    }
    let batches = if errors { sample.failures() } else { sample.sums(Since::Due) };
    let (error, degrees) = interval::ratio_error(&batches)?;
    Some(student::quantile(confidence, degrees) * error)
}

/// The value in each replication.
fn values(objective: &Check, replications: &[Digest]) -> Vec<f64> {
    let one = |one: &Digest| {
        WorldDigests::new(std::slice::from_ref(one))?.estimate(&objective.subject).ok()
    };
    replications.iter().filter_map(one).map(|it| it.value).collect()
}

/// Whether each replication alone breaks it, and they are so many that chance would not do that to
/// what more than half of all runs keep (the sign test: Conover, 3.4).
fn all_break(objective: &Check, replications: &[Digest], confidence: f64) -> bool {
    let breaks = |value: f64| !side(&objective.relation, interval::around(value, None)).holds();
    let values = values(objective, replications);
    let chance = libm::exp2(-(values.len() as f64));
    values.len() == replications.len()
        && values.into_iter().all(breaks)
        && chance <= 1.0 - confidence
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(shares: &[f64]) -> Vec<Batch> {
        shares.iter().map(|share| Batch { stratum: 0, count: 1e4, sum: 1e4 * share }).collect()
    }

    /// Half of all requests are beyond the bound, now more, now less.
    #[test]
    fn an_overload_is_surely_beyond_though_no_two_replications_are_alike() {
        let overload = batches(&[0.5, 0.7, 0.3, 0.6, 0.9]);
        assert_eq!(share_is_within(0.01, &overload, &overload, 0.975), Some(false));
        let once = batches(&[0.9, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(share_is_within(0.01, &once, &once, 0.975), None);
    }

    #[test]
    fn nothing_beyond_is_only_as_sure_as_the_tail_is_long() {
        let steady = batches(&[0.1, 0.101, 0.099, 0.102, 0.098]);
        let none = batches(&[0.0; 5]);
        assert_eq!(share_is_within(0.01, &none, &steady, 0.975), Some(true));
        // Clusters of a hundred: 500 requests of the last hundredth tell as much as five.
        let clusters = batches(&[0.13, 0.10, 0.07, 0.14, 0.06]);
        assert_eq!(share_is_within(0.01, &none, &clusters, 0.975), None);
    }

    #[test]
    fn more_confidence_takes_more() {
        let near = batches(&[0.0105, 0.0118, 0.0112, 0.0108, 0.0121]);
        assert_eq!(share_is_within(0.01, &near, &near, 0.975), Some(false));
        assert_eq!(share_is_within(0.01, &near, &near, 0.99865), None);
    }
}
