//! Checks evaluated: held, failed, or undecided with the reason.

use super::digest::Digest;
use super::measured::{Measured, measure, show};
use super::summary::{CheckResult, Verdict};
use super::world_digests::WorldDigests;
use crate::scenario::{Check, Relation, Subject, Tolerance};
use crate::units::World;

/// Tries every check in every world that it is about. `sim` and `live` are the replications and
/// rounds; empty if the world did not run.
#[must_use]
pub fn evaluate(checks: &[Check], sim: &[Digest], live: &[Digest]) -> Vec<CheckResult> {
    let worlds: Vec<_> = [sim, live].into_iter().filter_map(WorldDigests::new).collect();
    evaluate_in(checks, &worlds)
}

/// Tries a check on values that were measured elsewhere, such as by a generator alone: `value`
/// gives that of a subject, or the reason why there is none.
#[must_use]
pub fn decide(check: &Check, value: impl Fn(&Subject) -> Result<f64, String>) -> CheckResult {
    let measured =
        |subject: &Subject| value(subject).map(|value| Measured::plain(&subject.measure, value));
    let world = Some(World::Live);
    match judge(check, measured) {
        Ok((held, measured)) => {
            let verdict = if held { Verdict::Held } else { Verdict::Failed };
            CheckResult { text: check.text.clone(), world, verdict, measured }
        }
        Err(reason) => undecided(check, world, reason),
    }
}

pub(super) fn evaluate_in(checks: &[Check], worlds: &[WorldDigests<'_>]) -> Vec<CheckResult> {
    checks.iter().flat_map(|check| in_its_worlds(check, worlds)).collect()
}

fn in_its_worlds(check: &Check, worlds: &[WorldDigests<'_>]) -> Vec<CheckResult> {
    if let Relation::Agrees(other, _) = &check.relation
        && check.subject.world != other.world
    {
        return vec![one(check, None, worlds)];
    }
    match check.subject.world {
        Some(world) => vec![one(check, Some(world), worlds)],
        None if worlds.is_empty() => vec![undecided(check, None, "no world ran".to_owned())],
        None => worlds.iter().map(|w| one(check, Some(w.pooled.world()), worlds)).collect(),
    }
}

/// The check in `world`; `None` if it compares two.
fn one(check: &Check, world: Option<World>, worlds: &[WorldDigests<'_>]) -> CheckResult {
    let value = |subject: &Subject| {
        let wanted = subject.world.or(world).ok_or("it names only one of the two worlds")?;
        let digests = worlds
            .iter()
            .find(|w| w.pooled.world() == wanted)
            .ok_or_else(|| format!("the {wanted} world did not run"))?;
        match digests.sharing_the_plan().filter(|_| world.is_none()) {
            Some(first) => measure(subject, &first),
            None => measure(subject, digests),
        }
    };
    match judge(check, value) {
        Ok((held, measured)) => {
            let verdict = if held { Verdict::Held } else { Verdict::Failed };
            CheckResult { text: check.text.clone(), world, verdict, measured }
        }
        Err(reason) => undecided(check, world, reason),
    }
}

fn undecided(check: &Check, world: Option<World>, reason: String) -> CheckResult {
    let text = check.text.clone();
    CheckResult { text, world, verdict: Verdict::Undecided, measured: reason }
}

fn judge(
    check: &Check,
    value: impl Fn(&Subject) -> Result<Measured, String>,
) -> Result<(bool, String), String> {
    let measured = value(&check.subject)?;
    let v = measured.value;
    Ok(match &check.relation {
        Relation::Below(bound) => (v < *bound, measured.against(&[*bound])),
        Relation::AtMost(bound) => (v <= *bound, measured.against(&[*bound])),
        Relation::Above(bound) => (v > *bound, measured.against(&[*bound])),
        Relation::AtLeast(bound) => (v >= *bound, measured.against(&[*bound])),
        Relation::Within(centre, tolerance) => {
            let room = room(*centre, *tolerance);
            (within(v, *centre, room), measured.against(&[centre - room, centre + room]))
        }
        Relation::Agrees(other, tolerance) => {
            let compared = value(other)?;
            let held = within(v, compared.value, room(compared.value, *tolerance));
            (held, agreement(&check.subject, &measured, other, &compared))
        }
    })
}

fn agreement(a: &Subject, of_a: &Measured, b: &Subject, of_b: &Measured) -> String {
    let named = |subject: &Subject, measured: &Measured| {
        let world = subject.world.map_or(String::new(), |world| format!("{world} "));
        format!("{world}{}", show(&subject.measure, measured.value))
    };
    let mut text = format!("{} and {}", named(a, of_a), named(b, of_b));
    if of_b.value != 0.0 {
        let apart = (of_a.value - of_b.value) / of_b.value * 100.0;
        text.push_str(&format!(", {apart:+.1}%"));
    }
    text
}

fn room(centre: f64, tolerance: Tolerance) -> f64 {
    match tolerance {
        Tolerance::Absolute(room) => room,
        Tolerance::Relative(share) => share * centre.abs(),
    }
}

/// Both ends belong to it: 40 % is within 38 % ± 2 %, whatever the last bit of 0.38 + 0.02 says.
fn within(value: f64, centre: f64, room: f64) -> bool {
    (value - centre).abs() <= room + 1e-12 * centre.abs().max(value.abs())
}
