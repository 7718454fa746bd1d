//! `lab proxy`: lab's own load balancer, as the live world runs it, or in front of anything.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit::Exit;
use super::overrides::Overrides;
use super::terminal::fail;
use crate::host::child::{Ready, die_with_parent};
use crate::proxy::{ProxyConfig, program};
use crate::scenario::{BalancerFile, load_balancer_with};
use crate::units::Seed;

/// Run lab's own load balancer in front of HTTP backends
#[derive(Args, Debug)]
pub(super) struct ProxyArgs {
    /// Scenario, or a file with its [balancer] and [[backend]] sections alone
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Address of a backend; goes before the one in the file
    #[arg(long = "peer", value_name = "NAME=ADDRESS", value_parser = peer)]
    peers: Vec<(String, SocketAddr)>,
    /// Where clients connect; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where to take orders (GET /upstreams, /metrics, …); a loopback address
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<SocketAddr>,
    /// Write each attempt and event as a line of JSON into this folder
    #[arg(long, value_name = "FOLDER")]
    spool: Option<PathBuf>,
    /// Seed of the draws [default: the scenario's, or 1]
    #[command(flatten)]
    overrides: Overrides,
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

/// Runs it until told to stop: 0, or 1 if it cannot run, or 2 if its configuration is wrong.
#[must_use]
pub(super) fn run(arguments: &ProxyArgs) -> ExitCode {
    if arguments.supervised {
        die_with_parent();
    }
    let config = match arguments.config() {
        Ok(config) => config,
        Err(error) => return fail(Exit::Usage, &*error),
    };
    match program::serve(&config, |ready| arguments.announce(&config, ready)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(Exit::Failed, &error),
    }
}

fn peer(text: &str) -> Result<(String, SocketAddr), String> {
    let (name, address) = text.split_once('=').ok_or("it must be NAME=ADDRESS")?;
    let address = address
        .parse()
        .map_err(|_| format!("{address:?} is not an address and port, such as 127.0.0.1:8081"))?;
    Ok((name.to_owned(), address))
}

impl ProxyArgs {
    fn config(&self) -> Result<ProxyConfig, Box<dyn std::error::Error>> {
        let file = load_balancer_with(&self.config, self.overrides.pairs())?;
        let addresses = self.addresses(&file)?;
        let seed = Seed::new(self.seed.unwrap_or(file.seed), self.replication);
        let mut config = ProxyConfig::new(file.balancer, addresses);
        config.listen = self.listen;
        config.admin = self.admin;
        config.seed = seed;
        config.replication = self.replication;
        config.view_base = self.view_base;
        config.spool.clone_from(&self.spool);
        Ok(config)
    }

    /// The address of each backend of the file.
    fn addresses(&self, file: &BalancerFile) -> Result<Vec<SocketAddr>, String> {
        let names: Vec<&str> =
            file.balancer.upstream.peers.iter().map(|peer| peer.name.as_str()).collect();
        if let Some((unknown, _)) = self.peers.iter().find(|(name, _)| !names.contains(&&**name)) {
            return Err(format!("--peer {unknown}: the backends are {}", names.join(", ")));
        }
        let given = |name: &str| self.peers.iter().rev().find(|(peer, _)| peer == name);
        names
            .iter()
            .zip(&file.addresses)
            .map(|(name, written)| {
                given(name).map(|(_, address)| *address).or(*written).ok_or_else(|| {
                    format!(
                        "backend {name} has no address: write `address` in {} or give --peer {name}=ADDRESS",
                        file.path.display()
                    )
                })
            })
            .collect()
    }

    #[expect(clippy::print_stderr, reason = "the user's terminal")]
    fn announce(&self, config: &ProxyConfig, ready: &Ready) -> std::io::Result<()> {
        if self.supervised {
            return ready.announce();
        }
        let backends = config.addresses.len();
        eprintln!("http://{}/ goes to {backends} backends", ready.listen);
        ready.control.iter().for_each(|at| eprintln!("admin: http://{at}/upstreams"));
        Ok(())
    }
}
