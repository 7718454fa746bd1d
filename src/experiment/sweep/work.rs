//! Points on threads: the unit of work is a replication of a point, so that no core idles while the
//! last point runs. A point is first settled (its warm-up and its end, where it leaves them to the
//! model), then its replications run, in waves where it asks for a precision; the thread that ends the
//! last of them writes the point.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{Pending, Sweep, SweepError};
use crate::compare::verdict::evaluate;
use crate::compare::{Digest, Layout};
use crate::engine;
use crate::experiment::precision;
use crate::experiment::run::{RunError, costs_of};
use crate::experiment::settle::{Means, settle};
use crate::live::Watcher;
use crate::record::Costs;
use crate::scenario::Scenario;
use crate::sim::{self, Options};
use crate::sweep::{Point, PointResult, Replications};
use crate::units::{Span, World};

/// What the replications of a point share.
struct Prepared {
    scenario: Scenario,
    layout: Layout,
    costs: Costs,
}

/// A point under way.
struct Slot<'a> {
    point: &'a Point,
    weight: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Made first and dropped with the last replication: few are under way at once.
    prepared: Option<Arc<Prepared>>,
    /// In order of the replications; those of a wave as they end.
    digests: Vec<Option<Digest>>,
    warnings: Vec<String>,
    /// Replications of the wave that have not ended.
    left: usize,
}

/// What a thread does next.
#[derive(Clone, Copy)]
struct Task {
    slot: usize,
    /// `None` settles the point.
    replication: Option<u32>,
}

/// What a task leads to.
enum Next {
    /// More of the same point.
    Tasks(Vec<Task>),
    /// The point is written.
    Done,
}

/// See [`Sweep::run`].
pub(super) fn run(
    sweep: &Sweep,
    pending: &Pending,
    threads: usize,
    stop: &AtomicBool,
    watcher: &(dyn Fn(u64) + Sync),
) -> Result<usize, SweepError> {
    let slot = |(index, weight): &(u32, u64)| Slot {
        point: &sweep.points[*index as usize],
        weight: *weight,
        state: Mutex::default(),
    };
    let slots: Vec<Slot<'_>> = pending.todo.iter().map(slot).collect();
    let queue = Queue::new((0..slots.len()).map(|slot| Task { slot, replication: None }), stop);
    let done = AtomicUsize::new(0);
    let failure: Mutex<Option<SweepError>> = Mutex::new(None);
    let work = || {
        let _closing = ClosesInPanic(&queue);
        while let Some(Task { slot, replication }) = queue.take() {
            let at = &slots[slot];
            let next = match replication {
                None => at.settle(sweep, slot, stop),
                Some(replication) => at.replicate(sweep, slot, replication, stop),
            };
            match next {
                Ok(Next::Tasks(tasks)) => queue.ended(tasks),
                Ok(Next::Done) => {
                    done.fetch_add(1, Ordering::Relaxed);
                    watcher(at.weight);
                    queue.ended(Vec::new());
                }
                Err(error) => {
                    lock(&failure).get_or_insert(error);
                    queue.close();
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            scope.spawn(work);
        }
        work();
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(done.into_inner()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tasks in order; what a task leads to goes before all others, so that points end soon.
struct Queue<'a> {
    state: Mutex<Waiting>,
    changed: Condvar,
    stop: &'a AtomicBool,
}

struct Waiting {
    tasks: VecDeque<Task>,
    /// Tasks that were taken and may lead to more.
    running: usize,
    closed: bool,
}

impl<'a> Queue<'a> {
    fn new(tasks: impl Iterator<Item = Task>, stop: &'a AtomicBool) -> Self {
        let waiting = Waiting { tasks: tasks.collect(), running: 0, closed: false };
        Self { state: Mutex::new(waiting), changed: Condvar::new(), stop }
    }

    /// The next task, as soon as there is one; `None` if there will be none.
    fn take(&self) -> Option<Task> {
        let mut state = lock(&self.state);
        loop {
            if state.closed || self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if let Some(task) = state.tasks.pop_front() {
                state.running += 1;
                return Some(task);
            }
            if state.running == 0 {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// A task ended, and led to these.
    fn ended(&self, tasks: Vec<Task>) {
        let mut state = lock(&self.state);
        state.running -= 1;
        for task in tasks.into_iter().rev() {
            state.tasks.push_front(task);
        }
        self.changed.notify_all();
    }

    /// Nothing more is begun.
    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}

/// A thread that ends in a panic leaves no other one waiting for it.
struct ClosesInPanic<'a>(&'a Queue<'a>);

impl Drop for ClosesInPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.close();
        }
    }
}

impl Slot<'_> {
    /// Finds what the point leaves to the model.
    fn settle(&self, sweep: &Sweep, slot: usize, stop: &AtomicBool) -> Result<Next, SweepError> {
        let asked = sweep.at(self.point)?;
        let calibration = sweep.manifest.calibration.as_ref();
        let only = Some(World::Sim);
        let means = Means { only, threads: 1, calibration, watcher: &Nobody, stop };
        let settled = match settle(&asked, &means) {
            Ok(settled) => settled,
            Err(RunError::Scenario(wrong)) => return Err(Sweep::wrong_at(self.point, wrong)),
            // Nothing else ends it early but an interruption.
            Err(_) => return Ok(Next::Tasks(Vec::new())),
        };
        let costs = costs_of(&settled.scenario, calibration).unwrap_or_default();
        let scenario = engine::adapted(&settled.scenario, &settled.scenario.balancer.engine);
        let layout = Layout::new(&scenario);
        let first = precision::first_wave(&scenario);
        let mut state = lock(&self.state);
        state.warnings = settled.warnings;
        state.prepared = Some(Arc::new(Prepared { scenario, layout, costs }));
        Ok(Next::Tasks(state.wave(slot, first)))
    }

    /// Runs a replication, and what follows from it. An interrupted one counts for nothing.
    fn replicate(
        &self,
        sweep: &Sweep,
        slot: usize,
        replication: u32,
        stop: &AtomicBool,
    ) -> Result<Next, SweepError> {
        let prepared = lock(&self.state).prepared.clone().expect("it was settled");
        let options =
            Options { costs: prepared.costs.clone(), stop: Some(stop), ..Options::default() };
        let mut digest = Digest::new(&prepared.layout, World::Sim);
        let ran = sim::run(&prepared.scenario, replication, &options, &mut digest);
        if stop.load(Ordering::Relaxed) {
            return Ok(Next::Tasks(Vec::new()));
        }
        let mut state = lock(&self.state);
        state.digests[replication as usize] = Some(digest);
        // Those of the first, so that they do not depend on which ended first.
        if replication == 0 {
            state.warnings.extend(ran.warnings.iter().map(ToString::to_string));
        }
        state.left -= 1;
        if state.left > 0 {
            return Ok(Next::Tasks(Vec::new()));
        }
        let digests: Vec<Digest> =
            std::mem::take(&mut state.digests).into_iter().flatten().collect();
        if let Some(until) = precision::next_wave(&prepared.scenario, &digests) {
            state.digests = digests.into_iter().map(Some).collect();
            return Ok(Next::Tasks(state.wave(slot, until)));
        }
        let mut warnings = std::mem::take(&mut state.warnings);
        state.prepared = None;
        drop(state);
        warnings.extend(precision::unmet(&prepared.scenario, &digests));
        let checks = evaluate(&prepared.scenario.checks, &digests, &[]);
        let (index, settings) = (self.point.index, self.point.settings.clone());
        let ran = Replications { digests: &digests, warnings, checks };
        let result = PointResult::new(&sweep.manifest.id(), index, settings, ran);
        let result = result.expect("a point has at least one replication");
        sweep.write_point(self.point, &result)?;
        Ok(Next::Done)
    }
}

impl State {
    /// The replications from those that ran up to `until`.
    fn wave(&mut self, slot: usize, until: u32) -> Vec<Task> {
        let from = self.digests.len() as u32;
        self.digests.resize_with(until as usize, || None);
        self.left = (until - from) as usize;
        (from..until).map(|it| Task { slot, replication: Some(it) }).collect()
    }
}

/// Whom the settling of a point tells of its progress.
struct Nobody;

impl Watcher for Nobody {
    fn phase(&self, _: &str) {}
    fn passed(&self, _: Span) {}
}
