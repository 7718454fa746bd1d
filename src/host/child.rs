//! The child's side of being started by `lab run`: it dies with its parent, says when it is
//! ready, and stops when told.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

/// The line that a supervised program prints to stdout, as JSON, once it accepts connections.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    /// Where it serves.
    pub listen: String,
    /// Where it takes orders (admin of the proxy, faults of a backend), if it does.
    pub control: Option<String>,
}

impl Ready {
    /// Prints the line.
    ///
    /// # Errors
    /// When stdout is closed.
    pub fn announce(&self) -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, self)?;
        out.write_all(b"\n")?;
        out.flush()
    }
}

/// Ties this process to its parent: the kernel kills it when the thread that started it ends, and
/// it ends itself when its stdin closes, which also holds where the kernel's signal was lost
/// (the parent died before this call, or another thread had started the process).
pub fn die_with_parent() {
    // SAFETY: prctl with PR_SET_PDEATHSIG takes one integer and touches no memory.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong);
    }
    std::thread::spawn(|| {
        let mut buffer = [0u8; 64];
        let mut stdin = io::stdin().lock();
        while matches!(stdin.read(&mut buffer), Ok(n) if n > 0) {}
        #[expect(clippy::disallowed_methods, reason = "nobody is left to report to")]
        std::process::exit(130);
    });
}

/// Ties a program that is not lab's to this process: it gets SIGTERM when the thread that started
/// it ends, so that one with workers of its own can stop them first.
pub fn stops_with_parent(command: &mut tokio::process::Command) {
    // SAFETY: between fork and exec nothing but prctl is called, which takes one integer, touches
    // no memory and may be called there.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong);
            Ok(())
        });
    }
}

/// Resolves at SIGINT or SIGTERM.
///
/// # Errors
/// When the handlers cannot be installed.
pub async fn told_to_stop() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
