//! A run held against an earlier one: has it become worse, beyond noise?
//!
//! A change counts as a regression if it is larger than allowed, and if its 95 % interval leaves out
//! that nothing changed: the interval of a difference of two independent estimates, whose half-widths
//! add up as squares (Law, *Simulation Modeling and Analysis*, 10.2.2). A change that is larger than
//! allowed and yet within noise is undecided: the runs are too short to tell. So a run that is as good
//! as its baseline fails at most once in forty, however small the change that is allowed.

use super::summary::{
    CheckResult, Estimate, Group, GroupKind, Latency, Results, Verdict, WorldSummary,
};
use super::versus::name_of;
use crate::scenario::{Change, Measure, Subject, Tolerance};
use crate::units::Span;

/// What a run may not be worse than.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// The earlier run.
    pub results: Results,
    /// By how much what may change.
    pub limits: Vec<Change>,
}

/// Holds `now` against `before`: one result per change and world that both ran.
#[must_use]
pub fn hold(limits: &[Change], before: &Results, now: &Results) -> Vec<CheckResult> {
    limits.iter().flat_map(|limit| one(limit, before, now)).collect()
}

fn one(limit: &Change, before: &Results, now: &Results) -> Vec<CheckResult> {
    let wanted = |world: &&WorldSummary| limit.subject.world.is_none_or(|it| it == world.world);
    let results: Vec<CheckResult> = now
        .worlds
        .iter()
        .filter(wanted)
        .filter_map(|now| {
            let before = before.worlds.iter().find(|before| before.world == now.world)?;
            let (verdict, measured) = match judge(limit, before, now) {
                Ok(judged) => judged,
                Err(why) => (Verdict::Undecided, why),
            };
            Some(CheckResult { text: text(limit), world: Some(now.world), verdict, measured })
        })
        .collect();
    if results.is_empty() {
        let measured = "no world is in both runs".to_owned();
        let (text, world) = (text(limit), limit.subject.world);
        return vec![CheckResult { text, world, verdict: Verdict::Undecided, measured }];
    }
    results
}

fn text(limit: &Change) -> String {
    format!("{} of the baseline", limit.text)
}

fn judge(
    limit: &Change,
    before: &WorldSummary,
    now: &WorldSummary,
) -> Result<(Verdict, String), String> {
    let (base, value) = (measure(&limit.subject, before)?, measure(&limit.subject, now)?);
    let worse = if limit.rising { value.value - base.value } else { base.value - value.value };
    let allowed = match limit.by {
        Tolerance::Absolute(room) => room,
        Tolerance::Relative(share) => share * base.value,
    };
    let noise = half_width(base).zip(half_width(value)).map(|(a, b)| (a * a + b * b).sqrt());
    let shown = describe(&limit.subject.measure, base.value, value.value, noise);
    if worse <= allowed {
        return Ok((Verdict::Held, shown));
    }
    match noise {
        None => Ok((Verdict::Undecided, format!("{shown}; too few requests for an interval"))),
        Some(noise) if worse > noise => Ok((Verdict::Failed, shown)),
        Some(_) => Ok((Verdict::Undecided, format!("{shown}; within noise: run longer"))),
    }
}

/// The measure in a world or in a part of it, with its interval.
fn measure(subject: &Subject, world: &WorldSummary) -> Result<Estimate, String> {
    let part = part(subject, world)?;
    let (latency, errors, requests) = match part {
        None => (&world.latency, world.errors, world.requests),
        Some(group) => (&group.latency, group.errors, group.requests),
    };
    if requests == 0 {
        return Err("there are no requests".to_owned());
    }
    // Nothing failed among n: the share is below 3.7 / n with 97.5 % (the exact binomial limit).
    let errors = match (errors.value == 0.0, errors.high) {
        (true, None) => Estimate { low: Some(0.0), high: Some(3.69 / requests as f64), ..errors },
        _ => errors,
    };
    let scaled = |by: f64| Estimate {
        value: errors.value * by,
        low: errors.low.map(|low| low * by),
        high: errors.high.map(|high| high * by),
    };
    match &subject.measure {
        Measure::Quantile(order) => quantile(latency, *order).ok_or_else(|| {
            format!("a summary has no {}: p50, p90, p99, p99.9", name_of(&subject.measure))
        }),
        Measure::Mean => Ok(latency.mean),
        Measure::Errors => Ok(errors),
        Measure::Failed => Ok(scaled(requests as f64 / f64::from(world.replications.max(1)))),
        // What is offered is planned, so goodput varies by what fails.
        Measure::Goodput => {
            let value = part.map_or(world.goodput, |group| group.goodput);
            let offered = value / (1.0 - errors.value).max(1e-9);
            let lost = scaled(offered);
            Ok(Estimate {
                value,
                low: lost.high.map(|high| offered - high),
                high: lost.low.map(|low| offered - low),
            })
        }
        _ => Err("it has no baseline".to_owned()),
    }
}

fn quantile(latency: &Latency, order: f64) -> Option<Estimate> {
    let known = [
        (0.5, latency.p50),
        (0.9, latency.p90),
        (0.99, latency.p99),
        (0.999, latency.p999),
        (1.0, latency.max),
    ];
    known.into_iter().find(|(known, _)| (known - order).abs() < 1e-9).map(|(_, value)| value)
}

/// The group of a subject; `None` for the whole run.
fn part<'a>(subject: &Subject, world: &'a WorldSummary) -> Result<Option<&'a Group>, String> {
    let named = [
        (GroupKind::Class, &subject.class),
        (GroupKind::Stage, &subject.stage),
        (GroupKind::Before, &subject.before),
        (GroupKind::During, &subject.during),
        (GroupKind::After, &subject.after),
    ];
    let mut named = named.into_iter().filter_map(|(kind, name)| Some((kind, name.as_ref()?)));
    let Some((kind, name)) = named.next() else { return Ok(None) };
    if named.next().is_some() {
        return Err("a summary has no class within a stage or a fault".to_owned());
    }
    let found = world.groups.iter().find(|group| group.kind == kind && group.name == *name);
    found.map(Some).ok_or_else(|| format!("there is no part `{name}`"))
}

fn half_width(estimate: Estimate) -> Option<f64> {
    Some((estimate.high? - estimate.low?) / 2.0)
}

fn describe(measure: &Measure, base: f64, now: f64, noise: Option<f64>) -> String {
    let percent = |value: f64| format!("{:+.1}", value * 100.0);
    match measure {
        Measure::Errors => {
            let noise = noise.map_or_else(String::new, |it| format!(" ± {:.3}", it * 100.0));
            let change = (now - base) * 100.0;
            format!("{:.3}% → {:.3}%, {change:+.3}{noise} points", base * 100.0, now * 100.0)
        }
        _ => {
            let shown = |value: f64| match measure {
                Measure::Failed => format!("{value:.1}"),
                Measure::Goodput => format!("{value:.1}/s"),
                _ => Span::from_nanos_f64(value).to_string(),
            };
            let noise = noise
                .filter(|_| base > 0.0)
                .map_or_else(String::new, |it| format!(" ± {:.1}", it / base * 100.0));
            let change = if base > 0.0 {
                format!(", {}{noise} %", percent(now / base - 1.0))
            } else {
                String::new()
            };
            format!("{} → {}{change}", shown(base), shown(now))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Digest;
    use crate::compare::digest::tests::row;
    use crate::compare::layout::tests::steady;
    use crate::record::Sink;
    use crate::units::World;

    /// Evenly spread latencies around `mean_ms`, of which `failed` in a thousand fail.
    fn run(mean_ms: u64, failed: u64) -> Results {
        let mut digest = Digest::new(&steady(60), World::Sim);
        for i in 0..60_000u64 {
            let mut row = row(i, i * 1_000_000, mean_ms * (500_000 + i * 7919 % 1_000_000));
            row.status = if i * 31 % 1000 < failed { 503 } else { 200 };
            digest.request(&row);
        }
        let mut results = crate::compare::results(&crate::compare::Evidence::default());
        results.worlds.push(digest.summary());
        results
    }

    fn verdict(limit: &str, before: &Results, now: &Results) -> Verdict {
        let found = hold(&[limit.parse().unwrap()], before, now);
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].verdict
    }

    #[test]
    fn what_is_as_good_holds_and_what_is_worse_fails() {
        let (before, slower) = (run(100, 0), run(110, 0));
        assert_eq!(verdict("p99 +0%", &before, &before), Verdict::Held);
        assert_eq!(verdict("p99 +15%", &before, &slower), Verdict::Held);
        assert_eq!(verdict("p99 +5%", &before, &slower), Verdict::Failed);
        assert_eq!(verdict("mean +5ms", &before, &slower), Verdict::Failed);
        assert_eq!(verdict("mean +20ms", &before, &slower), Verdict::Held);
        assert_eq!(verdict("p50 +1%", &slower, &before), Verdict::Held);
    }

    #[test]
    fn errors_are_counted_in_points_and_goodput_falls() {
        let (before, failing) = (run(100, 0), run(100, 20));
        assert_eq!(verdict("errors +0.1%", &before, &failing), Verdict::Failed);
        assert_eq!(verdict("errors +3%", &before, &failing), Verdict::Held);
        assert_eq!(verdict("failed +10", &before, &failing), Verdict::Failed);
        assert_eq!(verdict("goodput -1%", &before, &failing), Verdict::Failed);
        assert_eq!(verdict("goodput -3%", &before, &failing), Verdict::Held);
    }

    #[test]
    fn a_change_within_noise_is_undecided() {
        let (mut before, mut now) = (run(100, 0), run(110, 0));
        for results in [&mut before, &mut now] {
            let p99 = &mut results.worlds[0].latency.p99;
            (p99.low, p99.high) = (Some(p99.value * 0.8), Some(p99.value * 1.2));
        }
        let found = hold(&["p99 +5%".parse().unwrap()], &before, &now).remove(0);
        assert_eq!(found.verdict, Verdict::Undecided);
        assert!(found.measured.contains(" %; within noise"), "{}", found.measured);
        now.worlds[0].latency.p99.low = None;
        assert_eq!(verdict("p99 +5%", &before, &now), Verdict::Undecided);
        assert_eq!(verdict("live.p99 +5%", &before, &now), Verdict::Undecided);
        assert_eq!(verdict("p99(class = none) +5%", &before, &now), Verdict::Undecided);
        assert_eq!(verdict("p99(class = api) +5%", &before, &now), Verdict::Failed);
    }
}
