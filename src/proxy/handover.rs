//! The upgrade of the binary: a new program is started with the listening sockets inherited, says
//! when it is ready, and only then does this one stop accepting. If the new one fails, this one
//! goes on.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::FdFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::sockets::{self, Sockets};
use crate::host::clock;
use crate::units::Span;

/// Name in the environment of the descriptor on which a successor says that it is ready.
const READY: &str = "LAB_PROXY_READY";
/// What it says.
const WORD: &[u8] = b"ready\n";

/// Why a successor did not take over.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandoverError {
    #[error("cannot start {}: {source}", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("it ended before it was ready: {0}")]
    Ended(ExitStatus),
    #[error("it was not ready within {0}")]
    TimedOut(Span),
    #[error("cannot hear it: {0}")]
    Pipe(#[from] io::Error),
}

/// How to start this program again. Read at the start, since the file may be replaced later.
#[derive(Clone, Debug)]
pub(super) struct Program {
    executable: PathBuf,
    arguments: Vec<OsString>,
}

impl Program {
    /// The running one, with its arguments.
    ///
    /// # Errors
    /// When the system does not tell where it is.
    pub(super) fn running() -> io::Result<Self> {
        let arguments = std::env::args_os().skip(1).collect();
        Ok(Self { executable: std::env::current_exe()?, arguments })
    }

    /// Its executable.
    pub(super) fn path(&self) -> &Path {
        &self.executable
    }

    /// Starts it with `sockets`. Blocks until it is ready, has failed, or `limit` is over, when it
    /// is killed. Its process id.
    ///
    /// # Errors
    /// See [`HandoverError`]; the successor is gone then.
    pub(super) fn take_over(&self, sockets: &Sockets, limit: Span) -> Result<u32, HandoverError> {
        let (hear, say) = pipe_with(PipeFlags::CLOEXEC).map_err(io::Error::from)?;
        let mut child = self.start(sockets, &say)?;
        drop(say);
        match hear_ready(&hear, limit) {
            Ok(true) => return Ok(child.id()),
            Ok(false) => Err(HandoverError::TimedOut(limit)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(HandoverError::Ended(end(&mut child)?));
            }
            Err(error) => Err(HandoverError::Pipe(error)),
        }
        .inspect_err(|_| drop(end(&mut child)))
    }

    fn start(&self, sockets: &Sockets, say: &OwnedFd) -> Result<Child, HandoverError> {
        let (descriptors, names, admin) = sockets.bequest();
        let mut command = Command::new(&self.executable);
        command.args(&self.arguments);
        command.env(sockets::SOCKETS, names).env(READY, say.as_raw_fd().to_string());
        match admin {
            Some(admin) => command.env(sockets::ADMIN, admin),
            None => command.env_remove(sockets::ADMIN),
        };
        let mut kept: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        kept.push(say.as_raw_fd());
        let keep = move || {
            for &fd in &kept {
                // SAFETY: open in the parent, and so in the child that was just made of it.
                let fd = unsafe { BorrowedFd::borrow_raw(fd) };
                rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec only fcntl is called, and nothing is allocated.
        unsafe { command.pre_exec(keep) };
        command
            .spawn()
            .map_err(|source| HandoverError::Start { program: self.executable.clone(), source })
    }
}

/// Kills a successor that has not become ready, and waits for its end.
fn end(child: &mut Child) -> io::Result<ExitStatus> {
    if let Some(status) = child.try_wait()? {
        return Ok(status);
    }
    // Its end of the pipe closes a moment before it can be waited for.
    std::thread::sleep(Duration::from_millis(50));
    if child.try_wait()?.is_none() {
        child.kill()?;
    }
    child.wait()
}

/// True once the word came; false when time is over.
fn hear_ready(pipe: &OwnedFd, limit: Span) -> io::Result<bool> {
    let until = clock::now() + limit;
    let mut heard = Vec::new();
    while heard != WORD {
        let left = until.since(clock::now()).to_std();
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut waited = [PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN)];
        match poll(&mut waited, Some(&left)) {
            Ok(0) => return Ok(false),
            Err(rustix::io::Errno::INTR) => continue,
            ready => ready?,
        };
        let mut buffer = [0; 16];
        match rustix::io::read(pipe, &mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => heard.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(true)
}

/// The sockets and the pipe that a predecessor left to this process.
#[derive(Debug, Default)]
pub(super) struct Inheritance {
    pub(super) sockets: Sockets,
    ready: Option<OwnedFd>,
}

impl Inheritance {
    /// Takes what the environment names; nothing if this program was started by itself.
    ///
    /// # Safety
    /// Called once, before this process has opened descriptors of its own.
    pub(super) unsafe fn take() -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let Some(ready) = variable(READY).and_then(|fd| fd.parse::<RawFd>().ok()) else {
            return Self::default();
        };
        let (sockets, admin) = (variable(sockets::SOCKETS), variable(sockets::ADMIN));
        // SAFETY: a descriptor that the predecessor left is nobody else's, by the caller's word.
        let sockets = unsafe { Sockets::inherit(sockets.as_deref(), admin.as_deref()) };
        // SAFETY: it is only looked at, and an invalid one gives an error.
        let valid =
            ready > 2 && unsafe { rustix::io::fcntl_getfd(BorrowedFd::borrow_raw(ready)) }.is_ok();
        // SAFETY: open, and nobody else's.
        let ready = valid.then(|| unsafe { OwnedFd::from_raw_fd(ready) });
        Self { sockets, ready }
    }

    /// Tells the predecessor, if there is one, that clients are served here now.
    ///
    /// # Errors
    /// When it is gone.
    pub(super) fn say_ready(&mut self) -> io::Result<()> {
        if let Some(pipe) = self.ready.take() {
            rustix::io::write(&pipe, WORD)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program { executable: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] }
    }

    #[test]
    fn a_successor_takes_over_when_it_says_so_and_not_before() {
        let sockets =
            Sockets::default().arrange(&[([127, 0, 0, 1], 0).into()], 1, None).expect("a socket");
        let limit = Span::from_secs(5);
        // It sees the socket, and says the word in two parts. By its path, as some shells know
        // descriptors of one digit only.
        let good = "test -S /proc/self/fd/${LAB_PROXY_SOCKETS##*=} || exit 4
                    pipe=/proc/self/fd/$LAB_PROXY_READY
                    printf rea > $pipe; sleep 0.05; echo dy > $pipe";
        assert!(shell(good).take_over(&sockets, limit).is_ok());
        let bad = shell("exit 3").take_over(&sockets, limit).expect_err("it fails");
        assert!(bad.to_string().contains("exit status: 3"), "{bad}");
        let slow = shell("exec sleep 60").take_over(&sockets, Span::from_millis(100));
        assert!(matches!(slow, Err(HandoverError::TimedOut(_))), "{slow:?}");
        let missing = Program { executable: "/no/such".into(), arguments: Vec::new() };
        let missing = missing.take_over(&sockets, limit).expect_err("it is missing").to_string();
        assert!(missing.contains("/no/such"), "{missing}");
    }
}
