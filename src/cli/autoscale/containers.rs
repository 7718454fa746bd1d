//! Instances as containers, on this host or on a Swarm. They are the service's and not the
//! autoscaler's: they stay when it ends.

use std::time::Duration;

use clap::Args;

use crate::cli::run::{cores, memory};
use crate::live::provider::docker::FleetSpec;
use crate::scenario::AutoscalerFacts;
use crate::units::Bytes;

/// Flags of containers.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Containers")]
pub(super) struct ContainerArgs {
    /// Image of the instances
    #[arg(long, value_name = "IMAGE", default_value = "lab", env = "LAB_IMAGE")]
    image: String,
    /// Networks that they are on, with commas between; the balancer reaches them over the first
    /// [default: Docker's bridge; for a Swarm, none]
    #[arg(long = "network", value_name = "NAME", value_delimiter = ',')]
    networks: Vec<String>,
    /// Where they serve, /metrics too
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    container_port: u16,
    /// Most cores that each may use [default: all]
    #[arg(long, value_name = "CORES", value_parser = cores)]
    container_cpus: Option<f64>,
    /// Most memory that each may use
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = memory)]
    container_memory: Bytes,
    /// What they run, after `--`; {name} stands for the name of an instance
    /// [default: backend --listen=0.0.0.0:PORT --name={name}]
    #[arg(last = true, value_name = "ARGUMENT")]
    command: Vec<String>,
}

impl ContainerArgs {
    /// What the instances of the group are made of.
    pub(super) fn spec(&self, facts: &AutoscalerFacts) -> FleetSpec {
        let port = self.container_port;
        let usual = || {
            let arguments = [
                "backend".to_owned(),
                format!("--listen=0.0.0.0:{port}"),
                "--name={name}".to_owned(),
                format!("--ready-after={}", facts.start_up),
            ];
            arguments.to_vec()
        };
        FleetSpec {
            group: facts.group.clone(),
            image: self.image.clone(),
            command: if self.command.is_empty() { usual() } else { self.command.clone() },
            networks: self.networks.clone(),
            port,
            cpus: self.container_cpus,
            memory: self.container_memory,
            drain: Duration::from_nanos(facts.drain_timeout.0),
        }
    }
}
