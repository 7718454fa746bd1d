//! Programs of a small world, each killed when it is dropped, and free ports for them.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::prometheus::{Api, PATIENCE, ask};
use super::support::{Folder, wait_until};

/// A program that ends with the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that is free now, below those that the system gives to clients: a search of lab's own.
pub(crate) fn free() -> SocketAddr {
    lab::live::ports::free(1).expect("a free port")[0]
}

/// `lab` with `arguments`, until it answers at `address` below `path`.
pub(crate) fn lab(
    folder: &Folder,
    arguments: &[String],
    address: SocketAddr,
    path: &str,
) -> Running {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut command = folder.lab(&words);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().expect("started"));
    let answers = || ask(address, "GET", path, "", "").is_ok_and(|(status, _)| status == 200);
    assert!(wait_until(PATIENCE, answers), "lab {words:?} does not answer at {address}{path}");
    running
}

/// A backend of 5 ms, and where it takes orders.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    pub(crate) control: SocketAddr,
    _running: Running,
}

impl Backend {
    pub(crate) fn start(folder: &Folder, name: &str) -> Self {
        let (address, control) = (free(), free());
        let arguments = [
            "backend".to_owned(),
            format!("--name={name}"),
            format!("--listen={address}"),
            format!("--control={control}"),
            "--workers=2".to_owned(),
            "--service=constant:5ms".to_owned(),
        ];
        let running = lab(folder, &arguments, address, "/metrics");
        Self { address, control, _running: running }
    }
}

/// Prometheus with the configuration `file`.
pub(crate) fn prometheus(folder: &Folder, file: &Path) -> (Running, Api) {
    let address = free();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", file.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus, of Debian's package of that name");
    let running = Running(child);
    let ready = || ask(address, "GET", "/-/ready", "", "").is_ok_and(|(status, _)| status == 200);
    assert!(wait_until(PATIENCE, ready), "Prometheus is not ready");
    (running, Api(address))
}

/// A listener that nobody serves, so that its port stays taken.
pub(crate) fn taken() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).expect("a port")
}
