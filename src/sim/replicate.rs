//! Replications in parallel, in a fixed order.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use super::{Options, Ran, run};
use crate::record::Sink;
use crate::scenario::Scenario;

/// Runs every replication of `scenario` on up to `threads` threads. Each gets a sink of its own
/// from `make_sink`; they come back in order of their replications, and hold the same whatever
/// `threads` is.
pub fn replicate<S: Sink + Send>(
    scenario: &Scenario,
    options: &Options<'_>,
    threads: usize,
    make_sink: impl Fn(u32) -> S + Sync,
) -> Vec<(S, Ran)> {
    replicate_range(scenario, options, 0..scenario.replications, threads, make_sink)
}

/// [`replicate`], of the replications in `range` alone.
pub fn replicate_range<S: Sink + Send>(
    scenario: &Scenario,
    options: &Options<'_>,
    range: Range<u32>,
    threads: usize,
    make_sink: impl Fn(u32) -> S + Sync,
) -> Vec<(S, Ran)> {
    let next = AtomicU32::new(range.start);
    let work = || {
        let mut done = Vec::new();
        loop {
            let replication = next.fetch_add(1, Ordering::Relaxed);
            if replication >= range.end {
                return done;
            }
            let mut sink = make_sink(replication);
            let ran = run(scenario, replication, options, &mut sink);
            done.push((replication, sink, ran));
        }
    };
    let threads = threads.clamp(1, range.len().max(1));
    let mut done = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut done = work();
        for helper in helpers {
            match helper.join() {
                Ok(more) => done.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(replication, ..)| *replication);
    done.into_iter().map(|(_, sink, ran)| (sink, ran)).collect()
}
