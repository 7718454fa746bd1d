//! `lab proxy`: lab's own load balancer, as the live world runs it, or in front of anything.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit::Exit;
use super::overrides::Overrides;
use super::terminal::fail;
use crate::host::child::{Ready, die_with_parent};
use crate::proxy::{ProxyConfig, program};
use crate::scenario::edge::{AdminAddress, LogFacts, TokenSource};
use crate::scenario::load_balancer_with;
use crate::units::{Ratio, Seed};

/// Run lab's own load balancer in front of HTTP or TCP backends
///
/// Everything it does is in the sections [balancer] and [[backend]] of FILE: a scenario, or a file
/// with these alone. The flags go before the file.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ProxyArgs {
    /// Scenario, or a file with its [balancer] and [[backend]] sections alone
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Check the configuration, with the files that it names, and end: 0, or 2 if it is wrong
    #[arg(long)]
    check: bool,
    /// Address of a backend, IP:PORT or HOST:PORT; goes before the one in the file. A host is looked
    /// up at the start and at each reload
    #[arg(long = "peer", value_name = "NAME=ADDRESS", value_parser = peer)]
    peers: Vec<(String, String)>,
    /// Where clients connect, in plain HTTP and in place of the file's listeners; port 0 lets the
    /// system choose [default: the file's, or 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Where to take orders (GET /upstreams, /metrics, …): IP:PORT or unix:PATH; beyond loopback
    /// it needs a token
    #[arg(long, value_name = "ADDRESS", value_parser = admin)]
    admin: Option<AdminAddress>,
    /// File whose first line is the token that orders must show
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// Append a line of JSON for each request to this file; SIGUSR1 opens it again
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Write the number of the process here
    #[arg(long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// Write each attempt and event as a line of JSON into this folder
    #[arg(long, value_name = "FOLDER")]
    spool: Option<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Seed of the draws [default: the scenario's, or 1]
    #[arg(long)]
    seed: Option<u64>,
    /// Replication of the seed
    #[arg(long, default_value_t = 0)]
    replication: u32,
    /// Number of this instance's first view of the backends, for the rows
    #[arg(long, hide = true, default_value_t = 0)]
    view_base: u16,
    /// Started by lab: say in JSON when ready, and die with the parent
    #[arg(long, hide = true)]
    supervised: bool,
}

const EXAMPLES: &str = "\
Examples:
  lab proxy --config site.toml --check            is it right? (as nginx -t)
  lab proxy --config site.toml --pid-file lab.pid
  lab proxy --config site.toml --set balancer.algorithm=least_conn --listen 0.0.0.0:80
  lab proxy --config scenarios/failover.toml --peer b1=10.0.0.1:80 --peer b2=10.0.0.2:80 \\
            --peer b3=10.0.0.3:80 --peer spare=10.0.0.4:80 --admin unix:/run/lab.sock
  curl --unix-socket /run/lab.sock http://lab/upstreams
  curl --unix-socket /run/lab.sock -X POST http://lab/upstreams/b1/drain

Signals:
  HUP           read the file again; what is wrong changes nothing, no request is dropped
  USR1          open the access log again, after it was moved
  USR2          start the (new) executable on the same sockets, then drain and end
  TERM, QUIT    stop accepting, let requests end (balancer.drain_timeout), end
  INT           the same; a second one ends at once";

/// Runs it until told to stop: 0, or 1 if it cannot run, or 2 if its configuration is wrong.
#[must_use]
pub(super) fn run(arguments: &ProxyArgs) -> ExitCode {
    if arguments.supervised {
        die_with_parent();
    }
    let config = match arguments.config() {
        Ok(config) => config,
        Err(error) => return fail(Exit::Usage, &error),
    };
    if arguments.check {
        return match config.check() {
            Ok(()) => arguments.approve(&config),
            Err(error) => fail(Exit::Usage, &error),
        };
    }
    let options =
        program::Options { pid_file: arguments.pid_file.clone(), supervised: arguments.supervised };
    let again = arguments.clone();
    let backends = config.addresses.len();
    let ready = |ready: &Ready| arguments.announce(backends, ready);
    match program::serve(&config, &options, move || again.config(), ready) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(Exit::Failed, &error),
    }
}

fn peer(text: &str) -> Result<(String, String), String> {
    let (name, address) = text.split_once('=').ok_or("it must be NAME=ADDRESS")?;
    let is_named = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| is_host(host) && port.parse::<u16>().is_ok());
    if is_named || address.parse::<SocketAddr>().is_ok() {
        return Ok((name.to_owned(), address.to_owned()));
    }
    Err(format!("{address:?} is not an address and port, such as 127.0.0.1:8081 or backend-1:8080"))
}

/// A name as in the DNS (RFC 1123, section 2.1), with the underscores that containers' names have.
fn is_host(name: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_numeric = name.chars().all(|c| c.is_ascii_digit() || c == '.');
    !is_numeric && name.split('.').all(|label| !label.is_empty() && label.chars().all(fine))
}

/// Where `address` is now; of several addresses, the first of IPv4.
fn resolve((name, address): &(String, String)) -> Result<(String, SocketAddr), String> {
    let unknown = |why: &dyn std::fmt::Display| format!("backend {name}: {address}: {why}");
    let found: Vec<SocketAddr> =
        address.to_socket_addrs().map_err(|error| unknown(&error))?.collect();
    let first = found.iter().find(|found| found.is_ipv4()).or(found.first());
    first.map(|found| (name.clone(), *found)).ok_or_else(|| unknown(&"no such host"))
}

fn admin(text: &str) -> Result<AdminAddress, String> {
    match text.strip_prefix("unix:") {
        Some("") => Err("the path of the socket is missing".to_owned()),
        Some(path) => Ok(AdminAddress::Unix(path.into())),
        None => text
            .parse()
            .map(AdminAddress::Tcp)
            .map_err(|_| format!("{text:?} is neither IP:PORT nor unix:PATH")),
    }
}

impl ProxyArgs {
    /// The file as it is now, with the flags before it.
    fn config(&self) -> Result<ProxyConfig, String> {
        let file = load_balancer_with(&self.config, self.overrides.pairs())
            .map_err(|wrong| wrong.to_string())?;
        let seed = Seed::new(self.seed.unwrap_or(file.seed), self.replication);
        let peers = self.peers.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
        let mut config = ProxyConfig::of_file(file, &peers)?;
        config.seed = seed;
        config.replication = self.replication;
        config.view_base = self.view_base;
        config.spool.clone_from(&self.spool);
        let edge = &mut config.balancer.edge;
        if let Some(listen) = self.listen {
            edge.listeners.clear();
            config.listen = listen;
        }
        if let Some(address) = &self.admin {
            edge.admin.listen = Some(address.clone());
            // The file's token is for the file's address; where one is needed it serves here too.
            let near = match address {
                AdminAddress::Tcp(address) => address.ip().is_loopback(),
                AdminAddress::Unix(_) => true,
            };
            edge.admin.token.take_if(|_| near);
        }
        if let Some(path) = &self.admin_token_file {
            edge.admin.token = Some(TokenSource::File(path.clone()));
        }
        if let Some(path) = &self.access_log {
            let before = edge.log.take();
            let (sample, queue) = before.map_or((Ratio(1.0), 8_192), |log| (log.sample, log.queue));
            edge.log = Some(LogFacts { path: path.clone(), sample, queue });
        }
        Ok(config)
    }

    #[expect(clippy::print_stderr, reason = "the user's terminal")]
    fn approve(&self, config: &ProxyConfig) -> ExitCode {
        let backends = config.addresses.len();
        let file = self.config.display();
        eprintln!("{file} is right: {backends} backends, configuration {}", config.hash());
        ExitCode::SUCCESS
    }

    #[expect(clippy::print_stderr, reason = "the user's terminal")]
    fn announce(&self, backends: usize, ready: &Ready) -> std::io::Result<()> {
        if self.supervised {
            return ready.announce();
        }
        eprintln!("{} goes to {backends} backends", ready.listen);
        ready.control.iter().for_each(|at| eprintln!("admin: {at}"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_at_an_address_or_at_a_host() {
        for fine in ["b=127.0.0.1:80", "b=[::1]:80", "b=backend-1:8080", "b=lab_api-1.net:1"] {
            assert!(peer(fine).is_ok(), "{fine}");
        }
        for wrong in
            ["b", "b=", "b=80", "b=host", "b=host:", "b=host:70000", "b=1.2.3:80", "b=a b:1"]
        {
            assert!(peer(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_looked_up() {
        let peer = peer("b=localhost:80").unwrap();
        let (name, address) = resolve(&peer).unwrap();
        assert_eq!((name.as_str(), address.port()), ("b", 80));
        assert!(address.ip().is_loopback());
    }
}
