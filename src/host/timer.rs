//! A timer finer than tokio's 1 ms steps: a timerfd that wakes the same epoll as the sockets.

use std::io;
use std::os::fd::OwnedFd;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::units::Nanos;

/// One timer, reusable. Create it inside a tokio runtime.
#[derive(Debug)]
pub struct Timer {
    descriptor: AsyncFd<OwnedFd>,
}

impl Timer {
    /// Makes a timer on the monotonic clock.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let descriptor = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC,
        )?;
        // SAFETY: the owned descriptor stays open and the same until the `AsyncFd` is dropped.
        let descriptor =
            unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE)? };
        Ok(Self { descriptor })
    }

    /// Waits until `at` on [`super::clock::now`]'s clock; returns at once if it has passed.
    /// Dropping the future leaves the timer usable.
    ///
    /// # Errors
    /// When the descriptor fails, which it does not in practice.
    pub async fn until(&mut self, at: Nanos) -> io::Result<()> {
        if super::clock::now() >= at {
            return Ok(());
        }
        let setting = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: (at.0 / 1_000_000_000) as i64,
                tv_nsec: (at.0 % 1_000_000_000) as i64,
            },
        };
        timerfd_settime(&self.descriptor, TimerfdTimerFlags::ABSTIME, &setting)?;
        loop {
            let mut guard = self.descriptor.readable().await?;
            let mut count = [0u8; 8];
            match guard.try_io(|fd| rustix::io::read(fd, &mut count).map_err(io::Error::from)) {
                Ok(Ok(_)) if super::clock::now() >= at => return Ok(()),
                // The timer has fired before the clock got there, by the little that the kernel's
                // two ways to tell the time differ. It fires once: without a new setting nobody
                // would wake this task again.
                Ok(Ok(_)) => {
                    timerfd_settime(&self.descriptor, TimerfdTimerFlags::ABSTIME, &setting)?;
                }
                // No tick yet.
                Err(_) => {}
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(Err(error)) => return Err(error),
            }
        }
    }
}
