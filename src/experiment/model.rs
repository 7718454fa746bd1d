//! The model's part of an experiment: replications in parallel, the first of them recorded.

use std::sync::atomic::Ordering;

use super::run::Files;
use super::settle::{WARM_UP_REPLICATIONS, first_change};
use crate::compare::stopping::relative_half_width;
use crate::compare::versus::name_of;
use crate::compare::{Digest, LatencySeries, Layout, PairSample, estimate_of};
use crate::monitor::Series;
use crate::record::{AttemptRow, Costs, EventRow, RecordError, RequestRow, Sink, TimelineRow};
use crate::scenario::Scenario;
use crate::sim::{self, Options, Ran, ServiceTimes};
use crate::units::World;

/// What one replication leaves.
pub(super) struct Modelled {
    /// Its statistics.
    pub(super) digest: Digest,
    /// Its latencies by request, of the first replication alone.
    pub(super) pairs: Option<PairSample>,
    /// Its latencies from the beginning, of the first few replications.
    series: Option<LatencySeries>,
    /// Its counts and warnings.
    pub(super) ran: Ran,
}

/// Where the first replication's rows go.
pub(super) struct Wanted {
    pub(super) recorder: Files,
    /// Its seconds, to be shown beside the live world's.
    pub(super) series: Option<Series>,
}

/// Runs all replications, as many as the precision takes that is asked for. The first writes to
/// `wanted`, which comes back. How many there are depends on the latencies alone, not on the threads.
pub(super) fn run(
    scenario: &Scenario,
    layout: &Layout,
    options: &Options<'_>,
    wanted: Wanted,
    threads: usize,
) -> Result<(Vec<Modelled>, Wanted), RecordError> {
    let slot = std::sync::Mutex::new(Some(wanted));
    let stopped = || options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed));
    let taker = |replication: u32| Taker {
        digest: Digest::new(layout, World::Sim),
        pairs: (replication == 0).then(|| PairSample::new(layout, PairSample::CAP)),
        series: (replication < WARM_UP_REPLICATIONS)
            .then(|| LatencySeries::new(first_change(scenario))),
        wanted: if replication == 0 { slot.lock().ok().and_then(|mut it| it.take()) } else { None },
    };
    let (mut wanted, mut modelled) = (None, Vec::<Modelled>::new());
    let mut until = first_wave(scenario);
    loop {
        let range = modelled.len() as u32..until;
        let taken = sim::replicate_range(scenario, options, range, threads, taker);
        modelled.extend(taken.into_iter().map(|(mut taker, ran)| {
            wanted = wanted.take().or(taker.wanted);
            if stopped() {
                taker.digest.end_at(ran.end);
            }
            Modelled { digest: taker.digest, pairs: taker.pairs, series: taker.series, ran }
        }));
        match next_wave(scenario, &modelled) {
            Some(more) if !stopped() => until = more,
            _ => break,
        }
    }
    Ok((modelled, wanted.expect("replication 0 always runs and holds what is wanted")))
}

/// Replications before the first look at what they tell.
fn first_wave(scenario: &Scenario) -> u32 {
    match scenario.precision {
        Some(_) => scenario.replications.max(FIRST_WAVE).min(scenario.max_replications),
        None => scenario.replications,
    }
}

/// Up to which replication to go on: by the square root law of their number, and no more than
/// doubling it, as a half-width is itself an estimate (Law, *Simulation Modeling and Analysis*,
/// 9.4.1); `None` if the precision is reached, or as many ran as may.
fn next_wave(scenario: &Scenario, modelled: &[Modelled]) -> Option<u32> {
    let precision = scenario.precision.as_ref()?;
    let ran = modelled.len() as u32;
    let digests: Vec<Digest> = modelled.iter().map(|one| one.digest.clone()).collect();
    let half = estimate_of(&digests, &precision.measure).and_then(relative_half_width);
    if ran >= scenario.max_replications || half.is_some_and(|half| half <= precision.within) {
        return None;
    }
    let needed = half.map_or(f64::INFINITY, |half| {
        f64::from(ran) * (half / precision.within) * (half / precision.within)
    });
    let next = (needed * 1.05).ceil().clamp(f64::from(ran + 2), f64::from(ran * 2)) as u32;
    Some(next.min(scenario.max_replications))
}

/// Fewer replications give a half-width that is mostly chance.
const FIRST_WAVE: u32 = 10;

/// What is to be said of the replications together: a precision that was not reached, a warm-up that
/// is too short.
pub(super) fn warnings(scenario: &Scenario, modelled: &[Modelled]) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(precision) = &scenario.precision {
        let digests: Vec<Digest> = modelled.iter().map(|one| one.digest.clone()).collect();
        let half = estimate_of(&digests, &precision.measure).and_then(relative_half_width);
        if half.is_none_or(|half| half > precision.within) {
            let name = name_of(&precision.measure);
            let reached = half.map_or_else(
                || "without an interval".to_owned(),
                |half| format!("known within {:.2} %", half * 100.0),
            );
            warnings.push(format!(
                "{name} is {reached} after {} replications, and {:.2} % was asked for: raise \
                 `max_replications`",
                modelled.len(),
                precision.within * 100.0
            ));
        }
    }
    let series: Vec<LatencySeries> = modelled.iter().filter_map(|one| one.series.clone()).collect();
    if let Some(cut) = LatencySeries::truncation(&series, scenario.warm_up).filter(|it| it.matters)
    {
        warnings.push(format!(
            "a warm-up of {} is too short: MSER-5 leaves out {}, and between the two the mean latency \
             is {:.0} % {} than behind",
            scenario.warm_up,
            cut.warm_up,
            cut.bias.abs() * 100.0,
            if cut.bias < 0.0 { "lower" } else { "higher" },
        ));
    }
    warnings
}

/// Digests in order, the first replication's requests, and warnings in words.
pub(super) fn unpack(modelled: Vec<Modelled>) -> (Vec<Digest>, Option<PairSample>, Vec<String>) {
    let (mut digests, mut pairs, mut warnings) = (Vec::new(), None, Vec::new());
    for one in modelled {
        digests.push(one.digest);
        pairs = pairs.or(one.pairs);
        warnings.extend(one.ran.warnings.iter().map(ToString::to_string));
    }
    (digests, pairs, warnings)
}

/// Statistics alone of the first replication, for the other ways to run the model.
pub(super) fn digest_of(
    scenario: &Scenario,
    layout: &Layout,
    costs: &Costs,
    driven: Option<&ServiceTimes>,
) -> Digest {
    let mut digest = Digest::new(layout, World::Sim);
    let options = Options { costs: costs.clone(), driven, ..Options::default() };
    sim::run(scenario, 0, &options, &mut digest);
    digest
}

/// Gives each row to whoever wants it.
struct Taker {
    digest: Digest,
    pairs: Option<PairSample>,
    series: Option<LatencySeries>,
    wanted: Option<Wanted>,
}

impl Sink for Taker {
    fn request(&mut self, row: &RequestRow) {
        self.digest.request(row);
        if let Some(pairs) = &mut self.pairs {
            pairs.request(row);
        }
        if let Some(series) = &mut self.series {
            series.request(row);
        }
        if let Some(wanted) = &mut self.wanted {
            wanted.recorder.request(row);
            if let Some(series) = &mut wanted.series {
                series.request(row);
            }
        }
    }

    fn attempt(&mut self, row: &AttemptRow) {
        if let Some(wanted) = &mut self.wanted {
            wanted.recorder.attempt(row);
        }
    }

    fn timeline(&mut self, row: &TimelineRow) {
        self.digest.timeline(row);
        if let Some(wanted) = &mut self.wanted {
            wanted.recorder.timeline(row);
            if let Some(series) = &mut wanted.series {
                series.timeline(row);
            }
        }
    }

    fn event(&mut self, row: &EventRow) {
        self.digest.event(row);
        if let Some(wanted) = &mut self.wanted {
            wanted.recorder.event(row);
            if let Some(series) = &mut wanted.series {
                series.event(row);
            }
        }
    }
}
