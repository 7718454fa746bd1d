//! The value of a check's measure in a world.

use super::digest::Digest;
use super::estimate::Replicated;
use super::layout::{Layout, Period};
use super::sample::{Sample, Selection, Since};
use super::spread;
use super::summarise::fault_effects;
use super::summary::{Estimate, GroupKind};
use super::world_digests::WorldDigests;
use crate::scenario::{Measure, Subject};
use crate::units::{Nanos, Rate, Span};

/// A measured value with its interval, where it has one.
#[derive(Clone, Debug)]
pub(super) struct Measured {
    pub(super) value: f64,
    low: Option<f64>,
    high: Option<f64>,
    measure: Measure,
    /// Something a reader should know beside the value.
    remark: String,
}

impl WorldDigests<'_> {
    /// The value of `subject` with its interval where it has one.
    ///
    /// # Errors
    /// The reason why there is none, in words.
    pub fn estimate(&self, subject: &Subject) -> Result<Estimate, String> {
        measure(subject, self).map(|measured| measured.estimate())
    }
}

/// The value of `subject` in a world.
///
/// # Errors
/// The reason why there is none, in words.
pub(super) fn measure(subject: &Subject, world: &WorldDigests<'_>) -> Result<Measured, String> {
    if subject.measure == Measure::Failover {
        return failover(subject, world);
    }
    if subject.measure.is_of_scaling() {
        return scaling(subject, world);
    }
    let layout = world.pooled.layout();
    let selection = selection(subject, layout)?;
    let sample = Replicated::new(&world.pooled, world.each, selection);
    if sample.all.requests == 0 {
        return Err("no request is in the group".to_owned());
    }
    let estimate = estimate(&subject.measure, &sample, &world.pooled)?;
    let mut measured = Measured::new(&subject.measure, estimate);
    if world.pooled.replications > 1 && is_count(&subject.measure) {
        measured.remark = format!(" on average of {} runs", world.pooled.replications);
    }
    Ok(measured)
}

fn estimate(
    measure: &Measure,
    sample: &Replicated<'_>,
    pooled: &Digest,
) -> Result<Estimate, String> {
    let plain = |value: f64| Estimate { value, low: None, high: None };
    let per_run = |count: u64| plain(count as f64 / f64::from(pooled.replications));
    Ok(match measure {
        Measure::Quantile(order) => sample.quantile(Since::Due, *order),
        Measure::Mean => sample.mean(Since::Due),
        Measure::Errors => sample.errors(),
        Measure::Failed => per_run(sample.all.failed),
        Measure::Retried => per_run(sample.all.retried),
        Measure::Goodput => plain(sample.all.goodput()),
        Measure::Spread(name) => plain(share_of(name, &sample.all, pooled)?),
        Measure::Jain => plain(spread::jain(&spread::shares(pooled, &sample.all))),
        Measure::Failover => return Err("failover is a measure of a fault".to_owned()),
        Measure::ScaleEvents | Measure::Flaps | Measure::InstanceHours | Measure::SloViolated => {
            return Err("it is a measure of the autoscaler".to_owned());
        }
    })
}

/// Share of a backend, or of all of a `[[backend]]`.
fn share_of(name: &str, sample: &Sample<'_>, pooled: &Digest) -> Result<f64, String> {
    let (layout, shares) = (pooled.layout(), spread::shares(pooled, sample));
    let of = |belongs: &dyn Fn(usize) -> bool| {
        let mut mine = shares.iter().enumerate().filter(|(i, _)| belongs(*i)).peekable();
        mine.peek()?;
        Some(mine.map(|(_, share)| share.share).sum())
    };
    of(&|i| layout.peers[i].name == name)
        .or_else(|| of(&|i| layout.peers[i].group == name))
        .ok_or_else(|| format!("there is no backend `{name}`"))
}

/// The fault named by the check, or without a name the one with the longest failover.
fn failover(subject: &Subject, world: &WorldDigests<'_>) -> Result<Measured, String> {
    if subject.class.is_some() || subject.stage.is_some() {
        return Err("failover is measured over all classes and stages".to_owned());
    }
    let name = subject.during.as_ref().or(subject.after.as_ref()).or(subject.before.as_ref());
    let effects = fault_effects(&world.pooled);
    let longest = effects
        .iter()
        .filter(|effect| name.is_none_or(|name| *name == effect.fault))
        .max_by_key(|effect| effect.failover_ns)
        .ok_or_else(|| match name {
            Some(name) => format!("there is no fault `{name}`"),
            None => "the scenario has no fault".to_owned(),
        })?;
    let value = longest.failover_ns.unwrap_or(0) as f64;
    let mut measured = Measured::new(&Measure::Failover, Estimate { value, low: None, high: None });
    if longest.failover_ns.is_none() {
        measured.remark = " (no request failed)".to_owned();
    }
    Ok(measured)
}

/// What the autoscaler did, in the mean of the replications.
fn scaling(subject: &Subject, world: &WorldDigests<'_>) -> Result<Measured, String> {
    let digest = &world.pooled;
    let summary = super::scaling::summary(digest.layout(), &digest.scaling, &digest.seconds());
    let summary = summary.ok_or("the scenario has no autoscaler")?;
    let value = match subject.measure {
        Measure::ScaleEvents => summary.scale_events,
        Measure::Flaps => summary.flaps_per_hour / 3600.0,
        Measure::InstanceHours => summary.instance_hours,
        _ => f64::from(summary.slo_violated_seconds.ok_or("the autoscaler has no SLO")?) * 1e9,
    };
    Ok(Measured::new(&subject.measure, Estimate { value, low: None, high: None }))
}

/// The requests that `subject` is about.
pub(super) fn selection(subject: &Subject, layout: &Layout) -> Result<Selection, String> {
    let position = |name: &String| {
        let found = layout.classes.iter().position(|class| class == name);
        found.ok_or_else(|| format!("there is no class `{name}`"))
    };
    let class = subject.class.as_ref().map(position).transpose()?;
    let mut times = Vec::new();
    if let Some(name) = &subject.stage {
        let stages: Vec<&Period> = layout.stages.iter().map(|stage| &stage.period).collect();
        let stage = named(name, &stages, "stage")?;
        times.push((stage.from.max(layout.warm_up), stage.until));
    }
    let faults: Vec<&Period> = layout.faults.iter().collect();
    for (name, kind) in [
        (&subject.before, GroupKind::Before),
        (&subject.during, GroupKind::During),
        (&subject.after, GroupKind::After),
    ] {
        if let Some(name) = name {
            times.push(named(name, &faults, "fault")?.side(kind, layout));
        }
    }
    Ok(Selection { class, time: times.into_iter().reduce(intersection) })
}

fn named<'a>(name: &str, periods: &[&'a Period], what: &str) -> Result<&'a Period, String> {
    let found = periods.iter().find(|period| period.name == name);
    found.copied().ok_or_else(|| format!("there is no {what} `{name}`"))
}

fn intersection(a: (Nanos, Nanos), b: (Nanos, Nanos)) -> (Nanos, Nanos) {
    (a.0.max(b.0), a.1.min(b.1))
}

const fn is_count(measure: &Measure) -> bool {
    matches!(measure, Measure::Failed | Measure::Retried)
}

impl Measured {
    fn new(measure: &Measure, Estimate { value, low, high }: Estimate) -> Self {
        Self { value, low, high, measure: measure.clone(), remark: String::new() }
    }

    /// A value without an interval.
    pub(super) fn plain(measure: &Measure, value: f64) -> Self {
        Self::new(measure, Estimate { value, low: None, high: None })
    }

    pub(super) const fn estimate(&self) -> Estimate {
        Estimate { value: self.value, low: self.low, high: self.high }
    }

    /// The value in words, and whether its interval leaves it open on which side of a bound it is.
    pub(super) fn against(&self, bounds: &[f64]) -> String {
        let mut text = format!("{}{}", show(&self.measure, self.value), self.remark);
        let (low, high) = (self.low.unwrap_or(self.value), self.high.unwrap_or(self.value));
        if bounds.iter().any(|bound| low < *bound && *bound < high) {
            let (low, high) = (show(&self.measure, low), show(&self.measure, high));
            text.push_str(&format!("; close: the 95 % interval is {low} to {high}"));
        }
        text
    }
}

/// A value of `measure` with its unit.
pub(super) fn show(measure: &Measure, value: f64) -> String {
    let rounded = |value: f64, places: f64| format!("{}", (value * places).round() / places);
    match measure {
        Measure::Quantile(_) | Measure::Mean | Measure::Failover | Measure::SloViolated => {
            readable(value)
        }
        Measure::Errors | Measure::Spread(_) => format!("{}%", rounded(value * 100.0, 1000.0)),
        Measure::Failed | Measure::Retried | Measure::ScaleEvents => rounded(value, 100.0),
        Measure::Flaps => format!("{}/h", rounded(value * 3600.0, 100.0)),
        Measure::Goodput => Rate(value).to_string(),
        Measure::Jain | Measure::InstanceHours => rounded(value, 1e6),
    }
}

/// Nanoseconds with four digits or so.
fn readable(nanos: f64) -> String {
    let step = if nanos >= 1e7 {
        1e4
    } else if nanos >= 1e4 {
        10.0
    } else {
        1.0
    };
    Span::from_nanos_f64((nanos / step).round() * step).to_string()
}
