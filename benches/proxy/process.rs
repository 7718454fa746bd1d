//! Processes on cores of their own, and a folder for their files.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Which cores belong to whom, as `taskset` writes them.
#[derive(Debug)]
pub(crate) struct Cores {
    pub(crate) proxy: String,
    pub(crate) others: String,
}

impl Cores {
    /// The last core for the proxy, the others for load and backends.
    pub(crate) fn of_this_machine() -> Self {
        let count = thread::available_parallelism().map_or(1, usize::from);
        match count {
            1 => Self { proxy: "0".to_owned(), others: "0".to_owned() },
            _ => Self { proxy: (count - 1).to_string(), others: format!("0-{}", count - 2) },
        }
    }
}

/// A temporary folder.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("lab-bench-proxy-{}", std::process::id()));
        fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A process that ends with the benchmark.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Starts `program` on `cores` and waits until it listens at `port`.
    pub(crate) fn start(program: &Path, arguments: &[&str], cores: &str, port: u16) -> Self {
        let child = pinned(program, arguments, cores)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut running = Self(child.expect("taskset starts"));
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        for _ in 0..500 {
            if TcpStream::connect(address).is_ok() {
                return running;
            }
            if let Ok(Some(status)) = running.0.try_wait() {
                panic!("{} ended with {status}: {arguments:?}", program.display());
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("{} does not listen at {address}", program.display());
    }

    /// The process that does the work: itself, or the only child of the only child of it.
    pub(crate) fn worker(&self) -> u32 {
        let mut pid = self.0.id();
        while let Some(child) = only_child(pid) {
            pid = child;
        }
        pid
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            return;
        }
        // A polite end, so that masters take their workers along.
        let pid = self.0.id().to_string();
        drop(Command::new("kill").args(["-TERM", &pid]).status());
        for _ in 0..200 {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let mut words = children.split_whitespace();
    let child = words.next()?.parse().ok()?;
    assert!(words.next().is_none(), "{pid} has several workers");
    Some(child)
}

/// A command that runs on `cores`.
pub(crate) fn pinned(program: &Path, arguments: &[&str], cores: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]).arg(program).args(arguments);
    command
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// What a program says of its version, if it is there.
pub(crate) fn version(program: &str) -> Option<String> {
    let flag = match program {
        "nginx" | "haproxy" | "wrk" => "-v",
        _ => "--version",
    };
    let output = Command::new(program).arg(flag).output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    text.lines().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
}

/// A descriptor for each of many connections; children inherit it. Returns how many there are now.
pub(crate) fn raise_descriptor_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    getrlimit(Resource::Nofile).current.map_or(1 << 20, |limit| limit as usize)
}

/// Connections that a proxy can hold here, when each may take a second descriptor.
pub(crate) fn connections_max() -> usize {
    (raise_descriptor_limit() / 2).saturating_sub(100).min(30_000)
}
