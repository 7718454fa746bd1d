//! What is known of the run now: written by those who run it, read by whoever asks the endpoint.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::page;
use super::series::{Gauges, Series};
use crate::exposition::{Page, TargetGroup};
use crate::host::clock;
use crate::record::{EventRow, RequestRow};
use crate::scenario::Scenario;
use crate::units::{Nanos, Span};

/// What a target is scraped as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Job {
    /// A balancer's own metrics.
    Balancer,
    /// A backend's.
    Backends,
    /// The autoscaler's.
    Autoscaler,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Balancer, Self::Backends, Self::Autoscaler];

    /// Its name in Prometheus, and in `/sd/NAME`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Balancer => "balancer",
            Self::Backends => "backends",
            Self::Autoscaler => "autoscaler",
        }
    }
}

/// A backend of the live world at the end of a second.
#[derive(Clone, Copy, Debug)]
pub struct Observed {
    /// The second, from zero.
    pub second: u32,
    /// Its index in the scenario.
    pub backend: usize,
    /// Requests in flight there, as the balancers count them.
    pub in_flight: u32,
    /// Requests waiting for one of its workers.
    pub queue: u32,
    /// Share of its workers' time in this second that they were busy; `None` if unknown.
    pub utilization: Option<f64>,
    /// Whether the balancer sends it requests.
    pub up: bool,
    /// Whether it is there and serves.
    pub ready: bool,
}

/// What is known of the run. Copies show the same board.
#[derive(Clone, Default)]
pub struct Board(Arc<Mutex<State>>);

/// Adds metrics that are kept elsewhere.
type More = Arc<dyn Fn(&mut Page) + Send + Sync>;

#[derive(Default)]
pub(super) struct State {
    pub(super) phase: String,
    pub(super) round: Option<Round>,
    targets: BTreeMap<(Job, String), TargetGroup>,
    more: Vec<More>,
}

/// The round under way, or the last one.
pub(super) struct Round {
    pub(super) scenario: Scenario,
    pub(super) number: u32,
    /// The model's; `None` where it did not run.
    pub(super) sim: Option<Series>,
    pub(super) live: Series,
    /// The run's zero on the monotonic clock, once it is known.
    pub(super) zero: Option<Nanos>,
    /// So many whole seconds are known of the live world.
    pub(super) known: u32,
    /// When the traffic had ended, since zero.
    pub(super) ended: Option<Nanos>,
}

impl Round {
    /// Time of the run that has passed; nothing before its zero.
    pub(super) fn passed(&self) -> Option<Nanos> {
        let zero = self.zero?;
        self.ended.or_else(|| Some(Nanos(clock::now().0.checked_sub(zero.0)?)))
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board").field("phase", &self.lock().phase).finish_non_exhaustive()
    }
}

impl Board {
    /// A phase of the run begins.
    pub fn phase(&self, what: &str) {
        what.clone_into(&mut self.lock().phase);
    }

    /// A round of the live world begins, beside what the model said of it. What belonged to the
    /// round before is gone.
    pub fn begin(&self, scenario: &Scenario, number: u32, sim: Option<Series>) {
        let mut state = self.lock();
        state.targets.clear();
        state.more.clear();
        state.round = Some(Round {
            scenario: scenario.clone(),
            number,
            sim,
            live: Series::new(scenario.backends.len()),
            zero: None,
            known: 0,
            ended: None,
        });
    }

    /// There is something to scrape, or at another place than before.
    pub fn found(&self, job: Job, name: &str, target: TargetGroup) {
        self.lock().targets.insert((job, name.to_owned()), target);
    }

    /// It is there no longer.
    pub fn lost(&self, job: Job, name: &str) {
        self.lock().targets.remove(&(job, name.to_owned()));
    }

    /// Adds metrics of somebody else to every page of this round.
    pub fn also(&self, more: impl Fn(&mut Page) + Send + Sync + 'static) {
        self.lock().more.push(Arc::new(more));
    }

    /// The zero of the round, on the monotonic clock.
    pub fn zero(&self, zero: Nanos) {
        self.round(|round| round.zero = Some(zero));
    }

    /// The traffic has ended: time stands still, and nothing is left to scrape.
    pub fn ended(&self) {
        self.round(|round| round.ended = round.passed());
        self.lock().targets.clear();
    }

    /// A backend at the end of a second.
    pub fn observed(&self, seen: &Observed) {
        let gauges = Gauges {
            in_flight: seen.in_flight,
            queue: seen.queue,
            utilization: seen.utilization,
            up: seen.up,
            ready: seen.ready,
        };
        self.round(|round| round.live.gauges(seen.second, seen.backend, gauges));
    }

    /// Something rare in the live world that is in no balancer's spool.
    pub fn event(&self, row: &EventRow) {
        self.rows(&[], std::slice::from_ref(row));
    }

    /// Rows of the live world.
    pub(super) fn rows(&self, requests: &[RequestRow], events: &[EventRow]) {
        self.round(|round| {
            requests.iter().for_each(|row| round.live.request(row));
            events.iter().for_each(|row| round.live.event(row));
        });
    }

    /// So many whole seconds of the live world are known.
    pub(super) fn known(&self, seconds: u32) {
        self.round(|round| round.known = round.known.max(seconds));
    }

    /// The page for `/metrics`.
    pub(super) fn page(&self, open: bool) -> String {
        let mut page = Page::new(open);
        let more = {
            let state = self.lock();
            page::write(&state, &mut page);
            state.more.clone()
        };
        more.iter().for_each(|add| add(&mut page));
        page.finish()
    }

    /// What is to be scraped as `job`.
    pub(super) fn targets(&self, job: Job) -> Vec<TargetGroup> {
        let state = self.lock();
        let of_job = state.targets.iter().filter(|((kind, _), _)| *kind == job);
        of_job.map(|(_, target)| target.clone()).collect()
    }

    fn round(&self, change: impl FnOnce(&mut Round)) {
        if let Some(round) = &mut self.lock().round {
            change(round);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long ago a row was written when it can be read for certain: rows are handed to the system once
/// a second, and read four times a second.
pub(super) const DELAY: Span = Span::from_millis(1400);
