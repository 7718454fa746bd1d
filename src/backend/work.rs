//! Threads that time or do work.

use std::io;
use std::sync::mpsc;
use std::thread;

use rustix::time::{ClockId, clock_gettime};

use crate::host::priority;
use crate::units::Span;

/// Starts a named thread with exact timers, and real-time priority if asked for; returns once
/// that is settled.
pub(super) fn start_thread(
    name: String,
    real_time: bool,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let (settled, outcome) = mpsc::sync_channel(1);
    thread::Builder::new().name(name).spawn(move || {
        priority::precise_timers();
        let priority = if real_time { priority::real_time() } else { Ok(()) };
        let permitted = priority.is_ok();
        let _ = settled.send(priority);
        if permitted {
            body();
        }
    })?;
    outcome.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))
}

/// Uses `span` of CPU time on this thread: work, not waiting, so it takes longer where neighbours
/// want the same core. A real-time thread leaves its class meanwhile, or it would starve them.
pub(super) fn burn(span: Span, real_time: bool) {
    if real_time {
        let _ = priority::normal();
    }
    let end = thread_cpu_time() + span;
    let mut word = 1u64;
    while thread_cpu_time().0 < end.0 {
        for _ in 0..256 {
            word = std::hint::black_box(word.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (word >> 29));
        }
    }
    if real_time {
        let _ = priority::real_time();
    }
}

fn thread_cpu_time() -> Span {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Span(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burning_uses_cpu_and_not_just_time() {
        let before = thread_cpu_time();
        burn(Span::from_millis(20), false);
        let used = thread_cpu_time().0 - before.0;
        assert!((20_000_000..25_000_000).contains(&used), "{used}");
    }
}
