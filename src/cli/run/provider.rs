//! Where `lab run` lets the backends live.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::live::{DockerOptions, ProviderOptions};
use crate::units::Bytes;

/// Flags of the provider.
#[derive(Args, Debug)]
pub(super) struct ProviderArgs {
    /// Where the live world's backends live
    #[arg(long, value_enum, default_value = "process")]
    provider: Provider,
    /// Image that has lab, for --provider docker
    #[arg(long, value_name = "IMAGE", default_value = "lab", env = "LAB_IMAGE")]
    image: String,
    /// Most cores that each container may use, for --provider docker [default: all]
    #[arg(long, value_name = "CORES", value_parser = cores)]
    container_cpus: Option<f64>,
    /// Most memory that each container may use, for --provider docker
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = memory)]
    container_memory: Bytes,
    /// How long a container may take to get healthy, for --provider docker
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    container_patience: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Provider {
    /// As processes
    Process,
    /// As containers of the Docker Engine on this host
    Docker,
}

pub(in crate::cli) fn cores(text: &str) -> Result<f64, String> {
    let cores: f64 = text.parse().map_err(|_| "not a number of cores, such as 0.5".to_owned())?;
    let fits = (0.01..=1024.0).contains(&cores);
    if fits { Ok(cores) } else { Err("it must be from 0.01 to 1024".to_owned()) }
}

pub(in crate::cli) fn memory(text: &str) -> Result<Bytes, String> {
    let memory: Bytes = text.parse().map_err(|error| format!("{error}"))?;
    // Docker's own least is 6 MiB.
    let fits = (6 << 20..=1 << 50).contains(&memory.0);
    if fits { Ok(memory) } else { Err("it must be at least 6MiB".to_owned()) }
}

impl ProviderArgs {
    pub(super) fn options(&self) -> ProviderOptions {
        match self.provider {
            Provider::Process => ProviderOptions::Process,
            Provider::Docker => ProviderOptions::Docker(DockerOptions {
                image: self.image.clone(),
                cpus: self.container_cpus,
                memory: self.container_memory,
                patience: Duration::from_secs(self.container_patience),
            }),
        }
    }
}
