//! HAProxy with one thread, configured by hand for one question at a time.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

use lab::host::clock;
use lab::units::Span;

use super::problem::{Problem, Tried};
use super::program::{Folder, Program, find, free_address, said};
use super::stage::{Placed, Request, Stage};

const PACKAGE: &str = "haproxy";

/// What is asked of HAProxy.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// What follows `balance`.
    pub(crate) balance: String,
    /// The parameters of each `server` line, such as `weight 5 backup`.
    pub(crate) servers: Vec<String>,
    /// Further lines of the backend.
    pub(crate) backend: String,
}

/// A running HAProxy.
pub(crate) struct Haproxy {
    _program: Program,
    statistics: PathBuf,
}

impl Haproxy {
    /// The version, as `haproxy -v` gives it.
    pub(crate) fn version() -> Tried<String> {
        let said = said(&find("haproxy", PACKAGE)?, &["-v"]);
        let said = said.map_err(Problem::during("cannot ask haproxy for its version"))?;
        Ok(said.split_whitespace().nth(2).unwrap_or_default().to_owned())
    }

    /// Starts it in front of the servers of `stage`, which sends its requests there.
    pub(crate) fn start(settings: &Settings, stage: &mut Stage) -> Tried<Self> {
        let command = find("haproxy", PACKAGE)?;
        let folder = Folder::new()?;
        let address = free_address()?;
        let statistics = folder.0.join("stats.sock");
        let text = settings.text(&statistics.display().to_string(), address, stage);
        let config = folder.write("haproxy.cfg", &text)?;
        let mut haproxy = Command::new(command);
        haproxy.arg("-db").arg("-f").arg(config);
        let program = Program::start("haproxy", haproxy, folder, address)?;
        stage.drive(address);
        Ok(Self { _program: program, statistics })
    }

    /// Takes a server out of service or back in, at once.
    pub(crate) fn serve(&self, server: usize, up: bool) -> Tried<()> {
        let (name, state) = (char::from(b'a' + server as u8), if up { "ready" } else { "maint" });
        let said = self.tell(&format!("set server up/{name} state {state}"))?;
        if said.trim().is_empty() { Ok(()) } else { Err(Problem::Unexpected(said)) }
    }

    /// Requests that wait now, in the queue of the backend and in those of its servers.
    pub(crate) fn queued(&self) -> Tried<usize> {
        let text = self.tell("show stat up -1 -1")?;
        // The third column is the number of requests that wait now.
        let rows = text.lines().filter(|line| !line.starts_with('#'));
        Ok(rows.filter_map(|row| row.split(',').nth(2)?.parse::<usize>().ok()).sum())
    }

    /// What its stats socket says to `order`.
    fn tell(&self, order: &str) -> Tried<String> {
        let failed = || Problem::during("cannot use HAProxy's stats socket");
        // It may listen there a little later than where its clients come.
        let deadline = clock::now() + Span::from_secs(5);
        let mut socket = loop {
            match UnixStream::connect(&self.statistics) {
                Err(_) if clock::now() < deadline => thread::sleep(Duration::from_millis(5)),
                connected => break connected.map_err(failed())?,
            }
        };
        writeln!(socket, "{order}").map_err(failed())?;
        let mut text = String::new();
        socket.read_to_string(&mut text).map_err(failed())?;
        Ok(text)
    }
}

/// The requests that wait in a HAProxy, as its statistics and the servers show it.
pub(crate) struct Line<'a> {
    haproxy: &'a Haproxy,
    waiting: usize,
}

impl<'a> Line<'a> {
    pub(crate) const fn new(haproxy: &'a Haproxy) -> Self {
        Self { haproxy, waiting: 0 }
    }

    /// Sends a request, and waits until a server has it or it is counted as waiting.
    pub(crate) fn start(&mut self, stage: &mut Stage, request: Request<'_>) -> Tried<Placed> {
        let (haproxy, before) = (self.haproxy, self.waiting);
        let placed = stage.start_or_queue(request, || Ok(haproxy.queued()? > before))?;
        self.waiting += usize::from(placed == Placed::Queued);
        Ok(placed)
    }

    /// Ends a request, and waits for those that may go since: their numbers and servers.
    pub(crate) fn finish(&mut self, stage: &mut Stage, id: u64) -> Tried<Vec<(u64, usize)>> {
        stage.finish(id)?;
        self.left(stage)
    }

    /// Takes a server out of service or back in; the same.
    pub(crate) fn serve(
        &mut self,
        stage: &mut Stage,
        server: usize,
        up: bool,
    ) -> Tried<Vec<(u64, usize)>> {
        self.haproxy.serve(server, up)?;
        self.left(stage)
    }

    fn left(&mut self, stage: &mut Stage) -> Tried<Vec<(u64, usize)>> {
        if self.waiting == 0 {
            return Ok(Vec::new());
        }
        // The server was given back in the turn that sent the end of the response, and the next
        // request taken from the queue with it: the count has changed before it can be asked for.
        let left = self.waiting.saturating_sub(self.haproxy.queued()?);
        self.waiting -= left;
        stage.await_arrivals(left)
    }
}

impl Settings {
    fn text(&self, statistics: &str, listen: SocketAddr, stage: &Stage) -> String {
        let Self { balance, servers, backend } = self;
        let mut lines = String::new();
        for ((address, parameters), name) in stage.addresses().iter().zip(servers).zip('a'..) {
            let _ = writeln!(lines, "    server {name} {address} {parameters}");
        }
        format!(
            "global
    nbthread 1
    stats socket {statistics} level admin
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    timeout queue 60s
    # Connections to servers are not kept, and so never shared or found closed.
    option httpclose
frontend in
    bind {listen}
    # The field by which requests are hashed gives the client's address.
    http-request set-src hdr(x-key) if {{ req.hdr(x-key) -m found }}
    default_backend up
backend up
    balance {balance}
    {backend}
{lines}"
        )
    }
}
