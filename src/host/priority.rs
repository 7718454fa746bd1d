//! Timer precision and scheduling priority of threads that pace.

use std::io;

/// Lets timers of the calling thread fire to the nanosecond instead of within 50 µs. Threads that
/// it starts afterwards inherit it.
pub fn precise_timers() {
    // SAFETY: prctl with PR_SET_TIMERSLACK takes one integer and touches no memory.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong);
    }
}

/// Puts the calling thread into the real-time class (`SCHED_RR`, priority 10), so that busy
/// neighbours do not delay it. Needs `CAP_SYS_NICE`.
///
/// # Errors
/// When the process may not.
pub fn real_time() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: 10 };
    // SAFETY: the pointer is to a live local; pid 0 is the calling thread.
    let result = unsafe {
        libc::sched_setscheduler(
            0,
            libc::SCHED_RR | libc::SCHED_RESET_ON_FORK,
            &raw const parameter,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts the calling thread back into the normal class (`SCHED_OTHER`).
///
/// # Errors
/// When the process may not.
pub fn normal() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer is to a live local; pid 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const parameter) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the calling thread is in a real-time class.
#[must_use]
pub fn is_real_time() -> bool {
    // SAFETY: takes and returns integers; pid 0 is the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) } & !libc::SCHED_RESET_ON_FORK;
    policy == libc::SCHED_RR || policy == libc::SCHED_FIFO
}

/// Whether [`real_time`] would be permitted: tried on a thread of its own, which ends.
#[must_use]
pub fn real_time_permitted() -> bool {
    std::thread::spawn(|| real_time().is_ok()).join().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_in_the_class_that_it_asked_for() {
        assert_eq!(std::thread::spawn(is_real_time).join().ok(), Some(false));
        let tried = std::thread::spawn(|| {
            let permitted = real_time().is_ok();
            let during = is_real_time();
            (permitted == during, normal().is_ok() && !is_real_time())
        });
        assert_eq!(tried.join().ok(), Some((true, true)));
        assert!(!is_real_time(), "asking leaves this thread alone");
    }
}
