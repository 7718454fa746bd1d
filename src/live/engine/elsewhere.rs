//! A balancer that runs already, somewhere that lab does not control.

use std::net::SocketAddr;

use crate::live::world::LiveError;
use crate::load::Target;
use crate::record::manifest;

/// Where it is.
pub(in crate::live) struct Elsewhere {
    url: String,
    pub(super) target: SocketAddr,
}

impl Elsewhere {
    pub(super) fn find(url: &str) -> Result<Self, LiveError> {
        let target = Target::resolve(url).map_err(|error| LiveError::System {
            what: "cannot find the balancer",
            error: std::io::Error::other(error),
        })?;
        Ok(Self { url: url.to_owned(), target: target.address })
    }

    pub(super) fn facts(&self) -> manifest::Engine {
        manifest::Engine { name: self.url.clone(), ..manifest::Engine::default() }
    }
}
