//! Waiting for many sockets and an instant at once: epoll, with time-outs to the nanosecond.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::{fmt, io};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};

use crate::units::Span;

/// Most events that one call returns.
const EVENTS: usize = 256;
const NOTHING: Event = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };

/// An epoll instance. Everything is told once for each change (edge-triggered), so that no system
/// call is needed to ask for it again: read until the socket has less than was asked for.
pub struct Poll {
    epoll: OwnedFd,
    events: Box<[Event; EVENTS]>,
}

impl fmt::Debug for Poll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poll").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}

/// What became of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// As given to [`Poll::add`].
    pub token: u64,
    /// It may have bytes to read.
    pub readable: bool,
    /// It may take bytes, or its connection stands.
    pub writable: bool,
    /// The other side sends no more, or the connection broke.
    pub closed: bool,
}

impl Poll {
    /// Makes one.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Box::new([NOTHING; EVENTS]) })
    }

    /// Watches `descriptor` until it is closed.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn add(&self, descriptor: impl AsFd, token: u64) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, descriptor, EventData::new_u64(token), flags)?)
    }

    /// Waits for events, at most for `patience`, to the nanosecond; without one, for as long as it takes. Returns how
    /// many there are; see [`Poll::ready`].
    ///
    /// # Errors
    /// When the kernel refuses, which it does not in practice.
    pub fn wait(&mut self, patience: Option<Span>) -> io::Result<usize> {
        let patience = patience.map(|Span(nanos)| libc::timespec {
            tv_sec: (nanos / 1_000_000_000) as libc::time_t,
            tv_nsec: (nanos % 1_000_000_000) as libc::c_long,
        });
        let patience = patience.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        let epoll = libc::c_long::from(self.epoll.as_raw_fd());
        // Not rustix's: that rounds to milliseconds where it can.
        // SAFETY: the kernel writes at most `EVENTS` events, for which there is room and whose layout
        // is that of the kernel's, and reads the time-out, which lives; there is no signal mask.
        let found = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                epoll,
                self.events.as_mut_ptr(),
                EVENTS as libc::c_long,
                patience,
                std::ptr::null::<libc::sigset_t>(),
                0 as libc::c_long,
            )
        };
        match usize::try_from(found) {
            Ok(found) => Ok(found),
            Err(_) => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                error => Err(error),
            },
        }
    }

    /// Event `index` of the last [`Poll::wait`].
    #[must_use]
    pub fn ready(&self, index: usize) -> Ready {
        let Event { flags, data } = self.events[index];
        let closed = flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        Ready {
            token: data.u64(),
            readable: closed || flags.contains(EventFlags::IN),
            writable: flags.intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR),
            closed,
        }
    }
}

/// Ends a [`Poll::wait`] of another thread.
#[derive(Debug)]
pub struct Waker(OwnedFd);

impl Waker {
    /// Makes one; those hear it that it is [added](Poll::add) to, each time anew.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn new() -> io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?))
    }

    /// Wakes it.
    pub fn wake(&self) {
        // Full after 2^64 - 1 calls.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;

    use super::*;
    use crate::host::clock;

    const SECOND: Span = Span::from_secs(1);

    #[test]
    fn it_tells_of_bytes_of_the_end_and_of_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let mut poll = Poll::new().unwrap();
        poll.add(&socket, 7).unwrap();
        assert_eq!(poll.wait(Some(SECOND)).unwrap(), 1);
        assert!(poll.ready(0).writable && !poll.ready(0).readable);
        let before = clock::now();
        assert_eq!(poll.wait(Some(Span::from_micros(300))).unwrap(), 0);
        assert!(clock::elapsed(before) >= Span::from_micros(300));
        other.write_all(b"x").unwrap();
        assert_eq!(poll.wait(Some(SECOND)).unwrap(), 1);
        assert!(poll.ready(0).readable && !poll.ready(0).closed && poll.ready(0).token == 7);
        drop(other);
        assert_eq!(poll.wait(Some(SECOND)).unwrap(), 1);
        assert!(poll.ready(0).closed);
    }

    #[test]
    fn another_thread_can_end_the_wait() {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new().unwrap());
        poll.add(&*waker, 1).unwrap();
        // It may take bytes, which is told once.
        assert_eq!(poll.wait(Some(SECOND)).unwrap(), 1);
        let other = Arc::clone(&waker);
        let thread = std::thread::spawn(move || other.wake());
        assert_eq!(poll.wait(None).unwrap(), 1);
        assert!(poll.ready(0).readable);
        thread.join().unwrap();
        waker.wake();
        assert_eq!(poll.wait(None).unwrap(), 1, "each time anew, though nobody reads it");
    }
}
