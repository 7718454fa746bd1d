//! Everything that was found out, put together.

use super::attribution::{ModelMode, attribution, repeatability};
use super::digest::Digest;
use super::distance;
use super::pairs::PairSample;
use super::sample::Selection;
use super::scaling::agreement;
use super::summary::{Comparison, Results, SUMMARY_SCHEMA_VERSION, Validity, WorldSummary};
use super::verdict::evaluate_in;
use super::world_digests::WorldDigests;
use crate::scenario::Check;

/// What results are made of.
#[derive(Debug, Default)]
pub struct Evidence<'a> {
    /// Name of the scenario.
    pub scenario: &'a str,
    /// Id of the run.
    pub run: &'a str,
    /// The scenario's seed.
    pub seed: u64,
    /// Interrupted before its end.
    pub partial: bool,
    /// One digest per replication of the model, in order; empty if it did not run.
    pub sim: &'a [Digest],
    /// One digest per round of the live world, in order; empty if it did not run.
    pub live: &'a [Digest],
    /// Requests of the first replication and the first round.
    pub pairs: Option<(&'a PairSample, &'a PairSample)>,
    /// Runs of the model that tell where the difference comes from, one replication each.
    pub models: &'a [(ModelMode, Digest)],
    /// The checks of the scenario.
    pub checks: &'a [Check],
    /// Judgement of the live run.
    pub validity: Option<Validity>,
}

/// Puts the results together: a summary per world, their comparison, and the checks.
#[must_use]
pub fn results(evidence: &Evidence<'_>) -> Results {
    let digests: Vec<WorldDigests<'_>> =
        [evidence.sim, evidence.live].into_iter().filter_map(WorldDigests::new).collect();
    let worlds: Vec<WorldSummary> = digests.iter().map(WorldDigests::summary).collect();
    let comparison = match &digests[..] {
        [sim, live] => Some(with_attribution(evidence, &sim.each[0], live, &worlds[1])),
        _ => None,
    };
    Results {
        schema_version: SUMMARY_SCHEMA_VERSION,
        scenario: evidence.scenario.to_owned(),
        run: evidence.run.to_owned(),
        seed: evidence.seed,
        partial: evidence.partial,
        comparison,
        validity: evidence.validity.clone(),
        checks: evaluate_in(evidence.checks, &digests),
        regressions: Vec::new(),
        worlds,
    }
}

/// Holds two runs of the same requests against one another, such as two policies, or a model and
/// the rounds of a live world that replayed its plan: `a` stands in the results as `sim`, and `b`,
/// its rounds together, as `live`. `None` if `b` is empty.
#[must_use]
pub fn comparison(
    a: &Digest,
    b: &[Digest],
    pairs: Option<(&PairSample, &PairSample)>,
) -> Option<Comparison> {
    let rounds = WorldDigests::new(b)?;
    Some(compare(a, &rounds, &rounds.summary(), pairs))
}

/// Only the model's first replication has the requests that the live world had, so it alone is
/// compared.
fn with_attribution(
    evidence: &Evidence<'_>,
    first: &Digest,
    live: &WorldDigests<'_>,
    live_summary: &WorldSummary,
) -> Comparison {
    let models = evidence.models.iter();
    Comparison {
        attribution: models
            .map(|(mode, model)| attribution(*mode, &model.summary(), live_summary))
            .collect(),
        ..compare(first, live, live_summary, evidence.pairs)
    }
}

fn compare(
    sim: &Digest,
    live: &WorldDigests<'_>,
    live_summary: &WorldSummary,
    pairs: Option<(&PairSample, &PairSample)>,
) -> Comparison {
    let sim_summary = sim.summary();
    let whole = Selection::default();
    let (of_sim, of_live) = (sim.sample(whole), live.pooled.sample(whole));
    let rounds: Vec<WorldSummary> = match live.each {
        [_] => Vec::new(),
        rounds => rounds.iter().map(Digest::summary).collect(),
    };
    let share_points = sim_summary
        .shares
        .iter()
        .zip(&live_summary.shares)
        .map(|(sim, live)| (sim.share - live.share).abs() * 100.0)
        .fold(0.0, f64::max);
    let poll = sim.layout().scaling.as_ref().map(|facts| facts.poll);
    let per_round = |count: u64| (count as f64 / f64::from(live.pooled.replications())).round();
    Comparison {
        quantiles: distance::quantile_differences(&sim_summary.latency, &live_summary.latency),
        kolmogorov_smirnov: distance::kolmogorov_smirnov(&of_sim.due, &of_live.due),
        wasserstein_ns: distance::wasserstein(&of_sim.due, &of_live.due),
        share_points,
        failed_difference: per_round(live_summary.failed) as i64 - sim_summary.failed as i64,
        retried_difference: per_round(live_summary.retried) as i64 - sim_summary.retried as i64,
        paired: pairs.and_then(|(sim, live)| PairSample::differences(sim, live)),
        scaling: poll.and_then(|poll| agreement(&sim_summary, live_summary, poll)),
        attribution: Vec::new(),
        repeatability: repeatability(&rounds),
    }
}
