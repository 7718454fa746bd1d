//! Starts an engine's program in a folder of its own, and stops it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::problem::{Problem, Tried};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A folder that goes with the engine.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Tried<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("lab-engine-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).map_err(Problem::during("cannot make a folder"))?;
        Ok(Self(path))
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Tried<PathBuf> {
        let path = self.0.join(name);
        let written = std::fs::write(&path, text);
        written.map_err(Problem::during(format!("cannot write {}", path.display())))?;
        Ok(path)
    }

    pub(super) fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.0.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running engine.
pub(super) struct Program {
    child: Child,
    pub(super) folder: Folder,
}

/// Where an engine's output goes in its folder.
pub(super) const LOG: &str = "output.log";

impl Program {
    /// Starts `command` and waits until somebody accepts connections at `address`.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        folder: Folder,
        address: SocketAddr,
    ) -> Tried<Self> {
        let log = std::fs::File::create(folder.0.join(LOG));
        let log = log.map_err(Problem::during("cannot make a log"))?;
        let other = log.try_clone().map_err(Problem::during("cannot share a log"))?;
        command.stdin(Stdio::null()).stdout(log).stderr(other);
        stops_with_parent(&mut command);
        let child = command.spawn().map_err(Problem::during(format!("cannot start {name}")))?;
        let mut program = Self { child, folder };
        for _ in 0..1_000 {
            if TcpStream::connect(address).is_ok() {
                return Ok(program);
            }
            if program.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(Problem::NotServing { program: name, log: program.folder.read(LOG) })
    }
}

impl Drop for Program {
    /// SIGTERM first, so that a master can stop its workers.
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process(pid, Signal::TERM);
        }
        for _ in 0..300 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A test that is killed leaves no engine behind.
fn stops_with_parent(command: &mut Command) {
    // SAFETY: between fork and exec nothing but prctl is called, which takes one integer, touches
    // no memory and may be called there.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM as libc::c_ulong);
            Ok(())
        });
    }
}

/// What `command` says to `arguments`, on whichever stream.
pub(super) fn said(command: &Path, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new(command).args(arguments).output()?;
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// A port that is free now.
pub(super) fn free_address() -> Tried<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listener = listener.map_err(Problem::during("cannot find a free port"))?;
    listener.local_addr().map_err(Problem::during("cannot find a free port"))
}

/// A program by its name: on the path, or where Debian keeps programs for administrators.
pub(super) fn find(command: &'static str, package: &'static str) -> Tried<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let mut files = folders.map(|folder| folder.join(command)).filter(|file| file.is_file());
    files.next().ok_or(Problem::Missing { command, package })
}
