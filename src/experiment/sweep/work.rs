//! Points on threads: the unit of work is a replication of a point, so that no core idles while the
//! last point runs. The thread that ends a point's last replication writes the point.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::{Pending, Sweep, SweepError};
use crate::compare::{Digest, Layout};
use crate::engine;
use crate::experiment::run::costs_of;
use crate::record::Costs;
use crate::scenario::Scenario;
use crate::sim::{self, Options};
use crate::sweep::{Point, PointResult};
use crate::units::World;

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
    /// Made by the first replication and dropped with the last: few are under way at once.
    prepared: Option<Arc<Prepared>>,
    digests: Vec<Option<Digest>>,
    warnings: Vec<String>,
    left: u32,
}

/// See [`Sweep::run`].
pub(super) fn run(
    sweep: &Sweep,
    pending: &Pending,
    threads: usize,
    stop: &AtomicBool,
    watcher: &(dyn Fn(u64) + Sync),
) -> Result<usize, SweepError> {
    let replications = sweep.manifest.replications;
    let slots: Vec<Slot<'_>> = pending
        .todo
        .iter()
        .map(|(index, weight)| Slot {
            point: &sweep.points[*index as usize],
            weight: *weight,
            state: Mutex::new(State { left: replications, ..State::default() }),
        })
        .collect();
    let tasks = slots.len() * replications as usize;
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failure: Mutex<Option<SweepError>> = Mutex::new(None);
    let failed = AtomicBool::new(false);
    let work = || {
        while !stop.load(Ordering::Relaxed) && !failed.load(Ordering::Relaxed) {
            let task = next.fetch_add(1, Ordering::Relaxed);
            if task >= tasks {
                return;
            }
            let slot = &slots[task / replications as usize];
            match slot.replication(sweep, (task % replications as usize) as u32, stop) {
                Ok(true) => {
                    done.fetch_add(1, Ordering::Relaxed);
                    watcher(slot.weight);
                }
                Ok(false) => {}
                Err(error) => {
                    failed.store(true, Ordering::Relaxed);
                    lock(&failure).get_or_insert(error);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.clamp(1, tasks.max(1)) {
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

impl Slot<'_> {
    /// Runs a replication; whether the point is done with it. An interrupted one counts for nothing.
    fn replication(
        &self,
        sweep: &Sweep,
        replication: u32,
        stop: &AtomicBool,
    ) -> Result<bool, SweepError> {
        let prepared = self.prepared(sweep)?;
        let options =
            Options { costs: prepared.costs.clone(), stop: Some(stop), ..Options::default() };
        let mut digest = Digest::new(&prepared.layout, World::Sim);
        let ran = sim::run(&prepared.scenario, replication, &options, &mut digest);
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let warnings = ran.warnings.iter().map(ToString::to_string).collect();
        let Some((digests, warnings)) = self.take(replication, digest, warnings) else {
            return Ok(false);
        };
        let (index, settings) = (self.point.index, self.point.settings.clone());
        let result = PointResult::new(&sweep.manifest.id(), index, settings, &digests, warnings);
        let result = result.expect("a point has at least one replication");
        sweep.write_point(self.point, &result)?;
        Ok(true)
    }

    fn prepared(&self, sweep: &Sweep) -> Result<Arc<Prepared>, SweepError> {
        let mut state = lock(&self.state);
        if let Some(prepared) = &state.prepared {
            return Ok(prepared.clone());
        }
        let asked = sweep.at(self.point)?;
        let costs = costs_of(&asked, sweep.manifest.calibration.as_ref()).unwrap_or_default();
        let scenario = engine::adapted(&asked, &asked.balancer.engine);
        let layout = Layout::new(&scenario);
        let prepared = Arc::new(Prepared { scenario, layout, costs });
        state.digests = vec![None; state.left as usize];
        state.prepared = Some(prepared.clone());
        Ok(prepared)
    }

    /// Keeps a replication; all of them, in order, once the last is there. Warnings are those of
    /// the first, so that they do not depend on which ended first.
    fn take(
        &self,
        replication: u32,
        digest: Digest,
        warnings: Vec<String>,
    ) -> Option<(Vec<Digest>, Vec<String>)> {
        let mut state = lock(&self.state);
        state.digests[replication as usize] = Some(digest);
        if replication == 0 {
            state.warnings = warnings;
        }
        state.left -= 1;
        if state.left > 0 {
            return None;
        }
        state.prepared = None;
        let digests = std::mem::take(&mut state.digests).into_iter().flatten().collect();
        Some((digests, std::mem::take(&mut state.warnings)))
    }
}
