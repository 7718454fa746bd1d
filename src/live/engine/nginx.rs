//! NGINX, started with the configuration that lab writes for it.

use std::net::SocketAddr;

use super::Order;
use super::foreign::Foreign;
use crate::live::provider::Program;
use crate::live::world::{BackendEndpoint, LiveError, LiveOptions};
use crate::record::manifest;
use crate::scenario::Scenario;

/// One process for each instance.
pub(in crate::live) struct Nginx {
    foreign: Foreign,
}

impl Nginx {
    pub(super) async fn start(
        _scenario: &Scenario,
        _options: &LiveOptions,
        _addresses: &[SocketAddr],
        _backends: &[BackendEndpoint],
    ) -> Result<Self, LiveError> {
        Err(LiveError::System {
            what: "cannot start NGINX",
            error: std::io::Error::from(std::io::ErrorKind::Unsupported),
        })
    }

    pub(super) fn targets(&self) -> Vec<SocketAddr> {
        self.foreign.targets.clone()
    }

    pub(super) fn programs(&mut self) -> &mut [Program] {
        &mut self.foreign.programs
    }

    pub(super) async fn order(
        &mut self,
        _scenario: &Scenario,
        _target: usize,
        _order: Order,
    ) -> Result<(), LiveError> {
        Ok(())
    }

    pub(super) async fn facts(&self) -> manifest::Engine {
        self.foreign.facts.clone()
    }
}
