//! The model's part of an experiment: replications in parallel, the first of them recorded.

use std::sync::atomic::Ordering;

use super::precision;
use super::run::Files;
use super::settle::{WARM_UP_REPLICATIONS, first_change};
use crate::compare::{Digest, LatencySeries, Layout, PairSample};
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
    let mut until = precision::first_wave(scenario);
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
        let ran = looked_at(scenario, &modelled);
        match ran.and_then(|ran| precision::next_wave(scenario, &ran)) {
            Some(more) if !stopped() => until = more,
            _ => break,
        }
    }
    Ok((modelled, wanted.expect("replication 0 always runs and holds what is wanted")))
}

/// What is to be said of the replications together: a precision that was not reached, a warm-up that
/// is too short.
pub(super) fn warnings(scenario: &Scenario, modelled: &[Modelled]) -> Vec<String> {
    let mut warnings: Vec<String> = looked_at(scenario, modelled)
        .and_then(|ran| precision::unmet(scenario, &ran))
        .into_iter()
        .collect();
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

/// The statistics so far, if a precision is asked of them.
fn looked_at(scenario: &Scenario, modelled: &[Modelled]) -> Option<Vec<Digest>> {
    scenario.precision.as_ref()?;
    Some(modelled.iter().map(|one| one.digest.clone()).collect())
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
