//! The model's part of an experiment: replications in parallel, the first of them recorded.

use std::sync::atomic::Ordering;

use super::run::Files;
use crate::compare::{Digest, Layout, PairSample};
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
    /// Its counts and warnings.
    pub(super) ran: Ran,
}

/// Where the first replication's rows go.
pub(super) struct Wanted {
    pub(super) recorder: Files,
    /// Its seconds, to be shown beside the live world's.
    pub(super) series: Option<Series>,
}

/// Runs all replications. The first writes to `wanted`, which comes back.
pub(super) fn run(
    scenario: &Scenario,
    layout: &Layout,
    options: &Options<'_>,
    wanted: Wanted,
    threads: usize,
) -> Result<(Vec<Modelled>, Wanted), RecordError> {
    let slot = std::sync::Mutex::new(Some(wanted));
    let taken = sim::replicate(scenario, options, threads, |replication| Taker {
        digest: Digest::new(layout, World::Sim),
        pairs: (replication == 0).then(|| PairSample::new(layout, PairSample::CAP)),
        wanted: if replication == 0 { slot.lock().ok().and_then(|mut it| it.take()) } else { None },
    });
    let mut wanted = None;
    let modelled = taken
        .into_iter()
        .map(|(mut taker, ran)| {
            wanted = wanted.take().or(taker.wanted);
            if options.stop.is_some_and(|stop| stop.load(Ordering::Relaxed)) {
                taker.digest.end_at(ran.end);
            }
            Modelled { digest: taker.digest, pairs: taker.pairs, ran }
        })
        .collect();
    Ok((modelled, wanted.expect("replication 0 always runs and holds what is wanted")))
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
    wanted: Option<Wanted>,
}

impl Sink for Taker {
    fn request(&mut self, row: &RequestRow) {
        self.digest.request(row);
        if let Some(pairs) = &mut self.pairs {
            pairs.request(row);
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
