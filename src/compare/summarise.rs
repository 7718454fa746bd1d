//! Since digests to the summary of a world.

use super::digest::{Cause, Digest, FaultTally};
use super::estimate::Replicated;
use super::layout::Period;
use super::sample::{Selection, Since};
use super::summary::{FaultEffect, Group, GroupKind, WorldSummary};
use super::world_digests::WorldDigests;
use super::{growth, scaling, spread};
use crate::record::RequestError;
use crate::record::histogram::Histogram;

impl Digest {
    /// The digest of several replications together, in the order given; `None` without any.
    #[must_use]
    pub fn merged(replications: &[Self]) -> Option<Self> {
        let (first, rest) = replications.split_first()?;
        let mut merged = first.clone();
        rest.iter().for_each(|digest| merged.merge(digest));
        Some(merged)
    }

    /// The results of this replication (or these merged ones) alone.
    #[must_use]
    pub fn summary(&self) -> WorldSummary {
        summarise(self, std::slice::from_ref(self))
    }
}

impl WorldDigests<'_> {
    /// What a run says of the world.
    #[must_use]
    pub fn summary(&self) -> WorldSummary {
        summarise(&self.pooled, self.each)
    }
}

/// The results of the replications of a world, first the one whose seconds are kept; `None`
/// without any.
#[must_use]
pub fn summary_of(replications: &[Digest]) -> Option<WorldSummary> {
    WorldDigests::new(replications).map(|digests| digests.summary())
}

pub(super) fn summarise(pooled: &Digest, each: &[Digest]) -> WorldSummary {
    let whole = Replicated::new(pooled, each, Selection::default());
    let shares = spread::shares(pooled, &whole.all);
    let (max_over_mean, p95_over_mean) = spread::utilisation_over_mean(&shares);
    let seconds = pooled.seconds();
    WorldSummary {
        scaling: scaling::summary(pooled.layout(), &pooled.scaling, &seconds),
        world: pooled.world(),
        replications: pooled.replications,
        requests: whole.all.requests,
        failed: whole.all.failed,
        retried: whole.all.retried,
        failures: failures(pooled),
        offered: whole.all.per_second(whole.all.requests),
        goodput: whole.all.goodput(),
        errors: whole.errors(),
        latency: whole.latency(Since::Due),
        latency_sent: whole.latency(Since::Sent),
        curve: curve(&whole.all.due),
        jain: spread::jain(&shares),
        shares,
        utilisation_max_over_mean: max_over_mean,
        utilisation_p95_over_mean: p95_over_mean,
        seconds,
        in_flight: in_flight(pooled),
        faults: fault_effects(pooled),
        groups: groups(pooled, each),
        warnings: warnings(pooled),
    }
}

fn failures(digest: &Digest) -> Vec<(String, u64)> {
    let mut failures: Vec<(String, u64)> =
        digest.causes.iter().map(|(cause, count)| (cause.to_string(), *count)).collect();
    failures.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    failures
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Error(error) => f.write_str(match error {
                RequestError::None => "none",
                RequestError::Timeout => "timeout",
                RequestError::Connect => "no connection",
                RequestError::Reset => "connection broke",
                RequestError::Invalid => "invalid response",
                RequestError::Dropped => "dropped by the in-flight cap",
                RequestError::Interrupted => "interrupted",
            }),
        }
    }
}

/// Quantiles that halve their distance to 1 every ten steps, up to the last request.
fn curve(distribution: &Histogram) -> Vec<(f64, u64)> {
    const STEPS_PER_HALF: i32 = 10;
    let count = distribution.count();
    if count == 0 {
        return Vec::new();
    }
    let mut orders: Vec<f64> = (0..)
        .map(|step| 1.0 - libm::exp2(-f64::from(step) / f64::from(STEPS_PER_HALF)))
        .take_while(|order| (1.0 - order) * count as f64 > 1.0)
        .collect();
    orders.push(1.0);
    orders.into_iter().map(|order| (order, distribution.quantile(order))).collect()
}

/// With equal lengths for all peers; empty if no timeline was recorded.
fn in_flight(digest: &Digest) -> Vec<Vec<u32>> {
    let mut in_flight = digest.in_flight().to_vec();
    match in_flight.iter().map(Vec::len).max().unwrap_or(0) {
        0 => Vec::new(),
        seconds => {
            in_flight.iter_mut().for_each(|peer| peer.resize(seconds, 0));
            in_flight
        }
    }
}

pub(super) fn fault_effects(digest: &Digest) -> Vec<FaultEffect> {
    let periods = &digest.layout().faults;
    periods.iter().zip(&digest.faults).map(|(period, tallies)| effect(period, tallies)).collect()
}

/// The failover time of several replications is their median, where none failed counting as none.
fn effect(period: &Period, tallies: &[FaultTally]) -> FaultEffect {
    let mut times: Vec<Option<u64>> = tallies
        .iter()
        .map(|tally| (tally.failed > 0).then(|| tally.last.since(period.from).0))
        .collect();
    times.sort_unstable();
    FaultEffect {
        fault: period.name.clone(),
        at_ns: period.from.0,
        until_ns: period.until.0,
        failed: tallies.iter().map(|tally| tally.failed).sum(),
        failover_ns: times.get(times.len() / 2).copied().flatten(),
    }
}

fn groups(pooled: &Digest, each: &[Digest]) -> Vec<Group> {
    let layout = pooled.layout();
    let classes = layout.classes.iter().enumerate().map(|(index, name)| {
        (GroupKind::Class, name, Selection { class: Some(index), time: None })
    });
    let stages = layout.stages.iter().map(|stage| &stage.period).map(|period| {
        let time = Some((period.from.max(layout.warm_up), period.until));
        (GroupKind::Stage, &period.name, Selection { class: None, time })
    });
    let faults = layout.faults.iter().flat_map(|fault| {
        [GroupKind::Before, GroupKind::During, GroupKind::After].map(|kind| {
            (kind, &fault.name, Selection { class: None, time: Some(fault.side(kind, layout)) })
        })
    });
    classes
        .chain(stages)
        .chain(faults)
        .map(|(kind, name, selection)| {
            let sample = Replicated::new(pooled, each, selection);
            Group {
                kind,
                name: name.clone(),
                requests: sample.all.requests,
                failed: sample.all.failed,
                retried: sample.all.retried,
                goodput: sample.all.goodput(),
                errors: sample.errors(),
                latency: sample.latency(Since::Due),
                latency_sent: sample.latency(Since::Sent),
                shares: spread::shares(pooled, &sample.all),
            }
        })
        .collect()
}

fn warnings(digest: &Digest) -> Vec<String> {
    let mut warnings = growth::warnings(digest);
    if digest.interrupted > 0 {
        warnings.push(format!(
            "{} requests were not answered when the run was interrupted; they are in no statistic",
            digest.interrupted
        ));
    }
    warnings
}
