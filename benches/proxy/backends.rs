//! The backends of every proxy: one NGINX process that answers at once, at four ports.

use super::process::{Cores, Folder, Running, free_port};

const COUNT: usize = 4;
/// As small as an answer of an interface often is.
const BODY: &str = "one hundred bytes, more or less, as small as an answer of an interface often is, and no smaller";

/// The backends, running.
pub(crate) struct Backends {
    pub(crate) ports: Vec<u16>,
    _running: Running,
}

impl Backends {
    pub(crate) fn start(folder: &Folder, cores: &Cores) -> Self {
        let ports: Vec<u16> = (0..COUNT).map(|_| free_port()).collect();
        let server = |port| format!("server {{ listen 127.0.0.1:{port}; return 200 '{BODY}'; }}\n");
        let servers: String = ports.iter().map(server).collect();
        let running = nginx(folder, "backends", &servers, &cores.others, ports[0]);
        Self { ports, _running: running }
    }
}

/// An NGINX with one worker that serves what `http` says.
pub(crate) fn nginx(folder: &Folder, name: &str, http: &str, cores: &str, port: u16) -> Running {
    let pid = folder.path().join(format!("{name}.pid"));
    let text = format!(
        "daemon off; worker_processes 1; error_log stderr crit; pid {};\n\
         events {{ worker_connections 15000; }}\n\
         http {{ access_log off; keepalive_requests 1000000000;\n{http}}}\n",
        pid.display()
    );
    let config = folder.write(&format!("{name}.conf"), &text);
    let (prefix, config) = (folder.path().display().to_string(), config.display().to_string());
    Running::start("nginx".as_ref(), &["-p", &prefix, "-c", &config], cores, port)
}
