//! A proxy as configured: what a file says, and what its command line changes.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use super::admin::Token;
use super::connect::Connector;
use super::error::ProxyError;
use super::listen::Door;
use crate::scenario::edge::{AdminAddress, Listener, UpstreamProtocol};
use crate::scenario::{BalancerFacts, BalancerFile};
use crate::units::Seed;

/// Where clients connect if neither file nor command line says.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080));

/// A proxy as configured.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyConfig {
    /// Where clients connect if `balancer.edge` has no listeners; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What it does, with its edge.
    pub balancer: BalancerFacts,
    /// Address of each peer, in the order of the configuration.
    pub addresses: Vec<SocketAddr>,
    /// Addresses the draws of policies that draw.
    pub seed: Seed,
    /// Number of the replication or round, for rows.
    pub replication: u32,
    /// Number of this instance's first view of the peers, for rows.
    pub view_base: u16,
    /// Folder for rows of attempts and events, if they are wanted; it must exist. A reload does
    /// not change it.
    pub spool: Option<PathBuf>,
    /// The file it came from and its text, for the admin interface; empty if from none.
    pub origin: (PathBuf, String),
}

impl ProxyConfig {
    /// A proxy for `balancer`, by default at a port of the system's choice, without spool.
    #[must_use]
    pub fn new(balancer: BalancerFacts, addresses: Vec<SocketAddr>) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            balancer,
            addresses,
            seed: Seed::new(0, 0),
            replication: 0,
            view_base: 0,
            spool: None,
            origin: <(PathBuf, String)>::default(),
        }
    }

    /// What `file` says, with the addresses in `peers` before those that it gives.
    ///
    /// # Errors
    /// A sentence: a backend has no address, or an address is for a backend that there is not.
    pub fn of_file(file: BalancerFile, peers: &[(String, SocketAddr)]) -> Result<Self, String> {
        let names = file.balancer.upstream.peers.iter().map(|peer| peer.name.as_str());
        let names: Vec<&str> = names.collect();
        if let Some((unknown, _)) = peers.iter().find(|(name, _)| !names.contains(&&**name)) {
            return Err(format!("there is no backend {unknown}: there are {}", names.join(", ")));
        }
        let given = |name: &str| peers.iter().rev().find(|(peer, _)| peer == name);
        let scaled = file.autoscaler.as_ref().map_or(0..0, |scaler| scaler.slots.clone());
        let mut balancer = file.balancer;
        let mut addresses = Vec::new();
        for (place, written) in file.addresses.iter().enumerate() {
            let peer = &mut balancer.upstream.peers[place];
            let known = given(&peer.name).map(|(_, address)| *address).or(*written);
            addresses.push(match known {
                Some(address) => address,
                None if scaled.contains(&place) => {
                    // Whoever starts it says where it is when it adds it.
                    peer.absent = true;
                    SocketAddr::from(([0, 0, 0, 0], 0))
                }
                None => {
                    let (name, file) = (&peer.name, file.path.display());
                    return Err(format!(
                        "backend {name} has no address: write `address` in {file} or give --peer {name}=ADDRESS"
                    ));
                }
            });
        }
        let mut config = Self::new(balancer, addresses);
        config.listen = DEFAULT_LISTEN;
        config.seed = Seed::new(file.seed, 0);
        config.origin = (file.path, file.text);
        Ok(config)
    }

    /// Lets the admin interface listen at a loopback address, without a token.
    pub fn admin_at(&mut self, address: SocketAddr) {
        self.balancer.edge.admin.listen = Some(AdminAddress::Tcp(address));
    }

    /// Whether a proxy could be started with it, as far as that can be said without listening:
    /// certificates and token are read.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), ProxyError> {
        let (peers, addresses) = (self.balancer.upstream.peers.len(), self.addresses.len());
        if peers != addresses {
            return Err(ProxyError::Addresses { peers, addresses });
        }
        self.admin_token()?;
        let edge = &self.balancer.edge;
        Connector::new(&edge.upstream)?;
        let is_shared = edge.upstream.protocol == UpstreamProtocol::H2;
        if is_shared && edge.upstream.send_proxy_protocol.is_some() {
            return Err(ProxyError::HeaderForMany);
        }
        for listener in self.listeners() {
            let address = listener.address;
            if listener.proxy_protocol && edge.forward.trusted.is_empty() {
                return Err(ProxyError::NobodyTrusted(address));
            }
            Door::new(listener, address)?;
        }
        Ok(())
    }

    /// The token that the admin interface asks for, read where the configuration says.
    pub(super) fn admin_token(&self) -> Result<Option<Token>, ProxyError> {
        let admin = &self.balancer.edge.admin;
        match (&admin.listen, &admin.token) {
            (None, _) => Ok(None),
            (Some(_), Some(source)) => Token::read(source).map(Some),
            (Some(AdminAddress::Tcp(address)), None) if !address.ip().is_loopback() => {
                Err(ProxyError::AdminWithoutToken(*address))
            }
            (Some(_), None) => Ok(None),
        }
    }

    /// Where clients connect, and what is spoken there; never empty.
    #[must_use]
    pub fn listeners(&self) -> Vec<Listener> {
        match self.balancer.edge.listeners.as_slice() {
            [] => vec![Listener::http(self.listen)],
            listeners => listeners.to_vec(),
        }
    }

    /// Number of workers, at least 1.
    pub(super) fn workers(&self) -> usize {
        self.balancer.workers.max(1) as usize
    }

    /// Hexadecimal digits that differ between configurations.
    #[must_use]
    pub fn hash(&self) -> String {
        use sha2::Digest;
        let hash = sha2::Sha256::digest(format!("{self:?}"));
        hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}
