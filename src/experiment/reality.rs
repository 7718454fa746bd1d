//! The live world's part of an experiment: rounds, and their spools merged into the record.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::run::{Files, RunError};
use super::timeline::Timeline;
use crate::compare::{Digest, Layout, PairSample};
use crate::live::{self, LiveOptions, LiveRun, Watcher};
use crate::record::{AttemptRow, EventRow, RequestRow, Sink, TimelineRow, spool};
use crate::scenario::Scenario;
use crate::sim::ServiceTimes;
use crate::units::{Span, World};

/// What one round leaves.
pub(super) struct Round {
    /// Its statistics.
    pub(super) digest: Digest,
    /// Its latencies by request.
    pub(super) pairs: PairSample,
    /// The service times measured, to drive the model by them.
    pub(super) service_times: ServiceTimes,
    /// How it went.
    pub(super) run: LiveRun,
}

/// Runs round `round` and gives its rows to `recorder`.
pub(super) fn round(
    scenario: &Scenario,
    layout: &Layout,
    options: &LiveOptions,
    recorder: &mut Files,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<Round, RunError> {
    fs::create_dir_all(&options.scratch)
        .map_err(|error| RunError::Scratch { path: options.scratch.clone(), error })?;
    let run = live::run(scenario, options, watcher, stop)?;
    let round = options.round;
    let mut taker = Taker {
        digest: Digest::new(layout, World::Live),
        pairs: PairSample::new(layout, PairSample::CAP),
        service_times: Vec::new(),
        timeline: Timeline::default(),
        recorder,
    };
    spool::merge_requests(&run.requests, round, &mut taker)?;
    for path in existing(&run.attempts) {
        spool::merge_attempts(path, round, run.zero, &mut taker)?;
    }
    for path in existing(&run.events) {
        spool::merge_events(path, round, run.zero, &mut taker)?;
    }
    for event in &run.happenings {
        taker.event(event);
    }
    let timeline = std::mem::take(&mut taker.timeline);
    timeline.write(round, &run.samples, &mut taker);
    let Taker { mut digest, pairs, service_times, .. } = taker;
    if let Some(at) = run.interrupted {
        digest.end_at(at);
    }
    Ok(Round { digest, pairs, service_times: service_times.into_iter().collect(), run })
}

/// A balancer that was never asked for anything may have written nothing.
fn existing(paths: &[std::path::PathBuf]) -> impl Iterator<Item = &Path> {
    paths.iter().map(std::path::PathBuf::as_path).filter(|path| path.exists())
}

/// Gives each row of a spool to whoever wants it.
struct Taker<'a> {
    digest: Digest,
    pairs: PairSample,
    service_times: Vec<(u64, u16, Span)>,
    timeline: Timeline,
    recorder: &'a mut Files,
}

impl Sink for Taker<'_> {
    fn request(&mut self, row: &RequestRow) {
        self.digest.request(row);
        self.pairs.request(row);
        if row.service_ns > 0 {
            self.service_times.push((row.id, row.attempts, Span(row.service_ns)));
        }
        self.recorder.request(row);
    }

    fn attempt(&mut self, row: &AttemptRow) {
        self.timeline.attempt(row);
        self.recorder.attempt(row);
    }

    fn timeline(&mut self, row: &TimelineRow) {
        self.digest.timeline(row);
        self.recorder.timeline(row);
    }

    fn event(&mut self, row: &EventRow) {
        self.digest.event(row);
        self.recorder.event(row);
    }
}
