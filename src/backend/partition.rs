//! A partition: packets are lost both ways.
//!
//! A socket filter that keeps nothing makes the kernel drop what arrives, before TCP sees it: a
//! SYN gets no answer and data no acknowledgement, so a peer's connect and read time out and its
//! kernel retransmits, as over a broken link. (A listener that only stops accepting still shakes
//! hands with as many as its backlog holds.) What this side has to say is withheld until the
//! partition heals, and then sent.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Whether there is a partition, and the sockets it concerns.
#[derive(Debug, Default)]
pub struct Partition {
    inner: Mutex<Inner>,
    withheld: AtomicU64,
}

#[derive(Debug, Default)]
struct Inner {
    on: bool,
    listener: Option<OwnedFd>,
    connections: Vec<Weak<TcpStream>>,
    waiting: Vec<Waker>,
}

impl Partition {
    /// Takes the listener into the partition.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub fn add_listener(&self, listener: BorrowedFd<'_>) -> io::Result<()> {
        self.lock().listener = Some(listener.try_clone_to_owned()?);
        Ok(())
    }

    /// Lets go of the listener, so that it closes with its owner.
    pub fn forget_listener(&self) {
        self.lock().listener = None;
    }

    /// Switches it on or off.
    ///
    /// # Errors
    /// When the kernel refuses the filter; then it is off everywhere.
    pub fn switch(&self, on: bool) -> io::Result<()> {
        let mut inner = self.lock();
        if inner.on == on {
            return Ok(());
        }
        let outcome = inner.filter(on);
        if outcome.is_err() && on {
            let _ = inner.filter(false);
            return outcome;
        }
        inner.on = on;
        let waiting = std::mem::take(&mut inner.waiting);
        drop(inner);
        waiting.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Takes an accepted connection into the partition.
    ///
    /// # Errors
    /// When there is a partition now and the kernel refuses the filter.
    pub fn connection(self: &Arc<Self>, stream: TcpStream) -> io::Result<Connection> {
        let stream = Arc::new(stream);
        let mut inner = self.lock();
        if inner.on {
            drop_all(stream.as_fd(), true)?;
        }
        if inner.connections.len() == inner.connections.capacity() {
            inner.connections.retain(|connection| connection.strong_count() > 0);
        }
        inner.connections.push(Arc::downgrade(&stream));
        drop(inner);
        Ok(Connection { stream, partition: Arc::clone(self) })
    }

    /// Answers withheld since the last change.
    pub(super) fn withheld(&self) -> u64 {
        self.withheld.load(Ordering::Relaxed)
    }

    pub(super) fn take_withheld(&self) -> u64 {
        self.withheld.swap(0, Ordering::Relaxed)
    }

    /// Ready when there is no partition.
    fn poll_healed(&self, context: &Context<'_>) -> Poll<()> {
        let mut inner = self.lock();
        if !inner.on {
            return Poll::Ready(());
        }
        if !inner.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            inner.waiting.push(context.waker().clone());
            self.withheld.fetch_add(1, Ordering::Relaxed);
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn filter(&mut self, on: bool) -> io::Result<()> {
        if let Some(listener) = &self.listener {
            drop_all(listener.as_fd(), on)?;
        }
        self.connections.retain(|connection| connection.strong_count() > 0);
        for stream in self.connections.iter().filter_map(Weak::upgrade) {
            drop_all(stream.as_fd(), on)?;
        }
        Ok(())
    }
}

/// Attaches or detaches a filter that drops every packet.
fn drop_all(socket: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    // BPF_RET | BPF_K with 0: keep no byte of the packet.
    let mut keep_nothing = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 }];
    let program = libc::sock_fprog { len: 1, filter: keep_nothing.as_mut_ptr() };
    let option = if on { libc::SO_ATTACH_FILTER } else { libc::SO_DETACH_FILTER };
    // SAFETY: the pointer is to a live program of one instruction, which the kernel copies;
    // detaching ignores the value.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // Nothing was attached: the connection was accepted after the partition began.
            error if !on && error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            error => Err(error),
        },
    }
}

/// An accepted connection, whose writes wait while there is a partition.
#[derive(Debug)]
pub struct Connection {
    stream: Arc<TcpStream>,
    partition: Arc<Partition>,
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            std::task::ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(buffer.initialize_unfilled()) {
                Ok(count) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.partition.poll_healed(context));
        loop {
            std::task::ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_write_vectored(slices) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.partition.poll_healed(context));
        Poll::Ready(
            rustix::net::shutdown(self.stream.as_fd(), rustix::net::Shutdown::Write)
                .map_err(io::Error::from),
        )
    }
}
