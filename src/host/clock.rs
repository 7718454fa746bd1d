//! The monotonic clock of the host as [`Nanos`]. All processes of a host read the same clock, so
//! instants from the generator, the proxy and the backends can be compared.

use rustix::time::{ClockId, clock_gettime};

use crate::units::{Nanos, Span};

/// Nanoseconds of `CLOCK_MONOTONIC`: since some fixed instant before the host's boot.
#[must_use]
pub fn now() -> Nanos {
    let time = clock_gettime(ClockId::Monotonic);
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Nanoseconds of the wall clock since 1970, for dates in files and to notice that it was set.
#[must_use]
pub fn wall() -> Nanos {
    let time = clock_gettime(ClockId::Realtime);
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Blocks this thread until `at` on the monotonic clock. With a timer slack of 1 ns (see
/// [`super::priority::precise_timers`]) it wakes some tens of microseconds late, never early.
pub fn sleep_until(at: Nanos) {
    let at = rustix::time::Timespec {
        tv_sec: (at.0 / 1_000_000_000) as i64,
        tv_nsec: (at.0 % 1_000_000_000) as i64,
    };
    while rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &at).is_err() {}
}

/// Time since `start`.
#[must_use]
pub fn elapsed(start: Nanos) -> Span {
    now().since(start)
}
