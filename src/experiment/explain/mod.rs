//! Why a check came out as it did: the requests that decide it, where their time went, and what
//! each decision about them saw.
//!
//! Everything is told from the records, for both worlds alike. For the model its decisions are also
//! made again, which gives the policy's own reason.

mod examples;
mod rows;
mod state;

use std::path::Path;

use self::rows::{Deciding, Rows};
use self::state::States;
use super::recorded::Recorded;
use super::run::RunError;
use crate::compare::explanation::{Explanation, Split};
use crate::compare::population::Population;
use crate::compare::{CheckResult, Verdict};
use crate::record::{Histogram, NO_UPSTREAM, RequestRow, read};
use crate::scenario::{Check, Measure, Relation, Subject, Tolerance};
use crate::units::{Span, World};

/// What to explain.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// Every check that failed.
    Failed,
    /// The checks of the scenario with this number in the report, from 1.
    Number(usize),
    /// The check of the scenario with this text, or one that it does not have.
    Text(String),
}

/// Explains the checks of the run in `folder`, with at most `examples` requests each.
///
/// # Errors
/// When the run cannot be read.
pub fn explain(
    folder: &Path,
    wanted: &Wanted,
    examples: usize,
) -> Result<Vec<Explanation>, ExplainError> {
    let recorded = Recorded::open(folder)?;
    let (checks, results) = chosen(&recorded, wanted)?;
    let mut told = Vec::new();
    for result in &results {
        let check = checks.iter().find(|check| check.text == result.text);
        let Some(check) = check else { continue };
        told.push(one(&recorded, check, result, examples)?);
    }
    Ok(told)
}

/// Why nothing is explained.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is no such check.
    #[error("{0}")]
    Unknown(String),
}

impl From<crate::record::RecordError> for ExplainError {
    fn from(error: crate::record::RecordError) -> Self {
        Self::Run(error.into())
    }
}

/// The checks, and their results in the worlds that are meant.
fn chosen(
    recorded: &Recorded,
    wanted: &Wanted,
) -> Result<(Vec<Check>, Vec<CheckResult>), ExplainError> {
    let own = &recorded.scenario().checks;
    let unknown = |why: String| Err(ExplainError::Unknown(why));
    match wanted {
        Wanted::Failed => {
            let mut results = recorded.evaluate(own);
            results.retain(|result| result.verdict == Verdict::Failed);
            Ok((own.clone(), results))
        }
        Wanted::Number(number) => {
            let results = recorded.evaluate(own);
            match number.checked_sub(1).and_then(|place| results.into_iter().nth(place)) {
                Some(result) => Ok((own.clone(), vec![result])),
                None => unknown(format!(
                    "there is no check {number}: the run has {}",
                    recorded.evaluate(own).len()
                )),
            }
        }
        Wanted::Text(text) => {
            let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let found = own.iter().find(|check| plain(&check.text) == plain(text)).cloned();
            let check = match found.map_or_else(|| Check::parse(text), Ok) {
                Ok(check) => check,
                Err(why) => return unknown(format!("{text}: {why}")),
            };
            let results = recorded.evaluate(std::slice::from_ref(&check));
            Ok((vec![check], results))
        }
    }
}

fn one(
    recorded: &Recorded,
    check: &Check,
    result: &CheckResult,
    examples: usize,
) -> Result<Explanation, ExplainError> {
    let mut told = Explanation {
        check: result.text.clone(),
        world: result.world,
        verdict: result.verdict,
        measured: result.measured.clone(),
        decided_by: String::new(),
        requests: 0,
        deciding: 0,
        split: None,
        examples: Vec::new(),
        notes: Vec::new(),
    };
    let population = match Population::of(&check.subject, recorded.layout()) {
        Ok(population) => population,
        Err(why) => {
            told.notes.push(why);
            return Ok(told);
        }
    };
    if result.verdict == Verdict::Undecided {
        return Ok(told);
    }
    match (result.world, &check.relation) {
        (None, Relation::Agrees(..)) => {
            between_worlds(recorded, population, examples, &mut told)?;
        }
        (world, relation) => {
            let world = world.or(check.subject.world).unwrap_or(World::Sim);
            in_one_world(
                recorded,
                world,
                &check.subject,
                relation,
                population,
                examples,
                &mut told,
            )?;
        }
    }
    Ok(told)
}

/// Requests are told apart by the bound, or by how they ended.
fn in_one_world(
    recorded: &Recorded,
    world: World,
    subject: &Subject,
    relation: &Relation,
    population: Population,
    examples: usize,
    told: &mut Explanation,
) -> Result<(), ExplainError> {
    if subject.measure.is_of_scaling() {
        told.decided_by = "decided by what the autoscaler did".to_owned();
        told.notes = state::scaling_notes(recorded, world)?;
        return Ok(());
    }
    let deciding = deciding(recorded, world, subject, relation, population, told)?;
    let mut rows = Rows::new(world, population, deciding, examples);
    read::requests(&recorded.folder().join("requests.parquet"), |row| rows.request(row))?;
    rows.attempts(recorded.folder())?;
    let states = States::read(recorded, world)?;
    (told.requests, told.deciding) = (rows.requests, rows.deciding);
    let (sums, counts) = rows.sums(states.disturbed());
    let mut split = Split::new(deciding.groups(), sums, counts);
    split.sampled = rows.sampled();
    told.split = (counts[1] > 0).then_some(split);
    told.notes.extend(states.notes());
    told.examples = examples::of(recorded, world, &rows.worst, &rows, &states)?;
    Ok(())
}

/// The same requests in the model and in the live world.
fn between_worlds(
    recorded: &Recorded,
    population: Population,
    examples: usize,
    told: &mut Explanation,
) -> Result<(), ExplainError> {
    let mut sums = Vec::new();
    let mut all = Vec::new();
    for world in [World::Sim, World::Live] {
        let mut rows = Rows::new(world, population, Deciding::All, 0);
        read::requests(&recorded.folder().join("requests.parquet"), |row| rows.request(row))?;
        rows.attempts(recorded.folder())?;
        let states = States::read(recorded, world)?;
        let (of, counts) = rows.sums(states.disturbed());
        sums.push((of[1], counts[1]));
        all.push((world, rows, states));
    }
    let [(sim, sims), (live, lives)] = [sums[0], sums[1]];
    (told.requests, told.deciding) = (sims, lives);
    told.decided_by = "the live world's requests beside the model's".to_owned();
    told.split = Some(Split::new(["sim".into(), "live".into()], [sim, live], [sims, lives]));
    let farthest = rows::farthest(&all[0].1, &all[1].1, examples.div_ceil(2));
    for (world, rows, states) in &all {
        let picked: Vec<RequestRow> =
            farthest.iter().filter_map(|id| rows.kept(*id).copied()).collect();
        told.examples.extend(examples::of(recorded, *world, &picked, rows, states)?);
    }
    told.examples.sort_by_key(|it| (farthest.iter().position(|id| *id == it.id), it.world as u32));
    Ok(())
}

/// What tells the deciding requests from the others, and that in words.
fn deciding(
    recorded: &Recorded,
    world: World,
    subject: &Subject,
    relation: &Relation,
    population: Population,
    told: &mut Explanation,
) -> Result<Deciding, ExplainError> {
    Ok(match &subject.measure {
        Measure::Quantile(order) => {
            let latencies = latencies(recorded, world, population)?;
            let measured = latencies.quantile(*order);
            let (bound, too_fast) = bound(relation, measured as f64);
            let failed = told.verdict == Verdict::Failed;
            let at = if failed { bound } else { measured };
            let beyond = latencies.count() - latencies.count_at_or_below(at);
            let room = ((1.0 - order) * latencies.count() as f64).floor() as u64;
            let count = latencies.count();
            told.decided_by = if too_fast && failed {
                format!("only {beyond} of {count} requests are slower than {}", Span(at))
            } else {
                format!("of {count} requests {room} may be slower than {}; {beyond} are", Span(at))
            };
            Deciding::SlowerThan(at)
        }
        Measure::Mean => {
            let latencies = latencies(recorded, world, population)?;
            let mean = latencies.mean();
            told.decided_by = "the requests slower than the mean, beside the others".to_owned();
            Deciding::SlowerThan(mean as u64)
        }
        Measure::Errors | Measure::Failed | Measure::Goodput | Measure::Failover => {
            told.decided_by = "the requests that failed".to_owned();
            Deciding::Failed
        }
        Measure::Retried => {
            told.decided_by = "the requests with more than one attempt".to_owned();
            Deciding::Retried
        }
        Measure::Spread(name) => {
            told.decided_by = format!("the requests whose last attempt went to {name}");
            let peers = &recorded.layout().peers;
            let mine = |place: &usize| peers[*place].name == *name || peers[*place].group == *name;
            let places: Vec<usize> = (0..peers.len()).filter(mine).collect();
            let first = places.first().map_or(NO_UPSTREAM, |place| *place as u32);
            Deciding::At(first, places.last().map_or(NO_UPSTREAM, |place| *place as u32))
        }
        _ => {
            told.decided_by = "all requests".to_owned();
            Deciding::All
        }
    })
}

/// The bound that was crossed or is nearest, in ns; and whether being below it is what is wrong.
fn bound(relation: &Relation, measured: f64) -> (u64, bool) {
    let (bound, too_fast) = match relation {
        Relation::Below(bound) | Relation::AtMost(bound) => (*bound, false),
        Relation::Above(bound) | Relation::AtLeast(bound) => (*bound, true),
        Relation::Within(centre, tolerance) => {
            let room = match tolerance {
                Tolerance::Absolute(room) => *room,
                Tolerance::Relative(share) => share * centre.abs(),
            };
            if measured < *centre { (centre - room, true) } else { (centre + room, false) }
        }
        Relation::Agrees(..) => (measured, false),
    };
    (bound.max(0.0) as u64, too_fast)
}

fn latencies(
    recorded: &Recorded,
    world: World,
    population: Population,
) -> Result<Histogram, ExplainError> {
    let mut latencies = Histogram::new();
    read::requests(&recorded.folder().join("requests.parquet"), |row| {
        if row.world == world && row.replication == 0 && population.contains(row) {
            latencies.record(row.latency_ns());
        }
    })?;
    Ok(latencies)
}
