//! A balancer that runs already, somewhere that lab does not control.

use std::net::{SocketAddr, ToSocketAddrs};

use crate::live::world::LiveError;
use crate::record::manifest;

/// Where it is.
pub(in crate::live) struct Elsewhere {
    url: String,
    pub(super) target: SocketAddr,
}

impl Elsewhere {
    pub(super) fn find(url: &str) -> Result<Self, LiveError> {
        let missing = |error| LiveError::System { what: "cannot find the balancer", error };
        let authority = url.trim_start_matches("http://").split('/').next().unwrap_or_default();
        let found = if authority.rsplit_once(':').is_some_and(|(_, p)| p.parse::<u16>().is_ok()) {
            authority.to_socket_addrs()
        } else {
            (authority, 80).to_socket_addrs()
        };
        let none = || std::io::Error::other(format!("{authority} stands for no address"));
        let target = found.map_err(missing)?.next().ok_or_else(|| missing(none()))?;
        Ok(Self { url: url.to_owned(), target })
    }

    pub(super) fn facts(&self) -> manifest::Engine {
        manifest::Engine { name: self.url.clone(), ..manifest::Engine::default() }
    }
}
