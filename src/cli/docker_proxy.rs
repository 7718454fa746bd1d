//! `lab docker-proxy`: Docker's socket as far as an autoscaler needs it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::exit::Exit;
use super::terminal::fail;
use crate::docker_filter::Policy;
use crate::docker_filter::program::{FilterConfig, serve};

/// Offer Docker's API as far as an autoscaler needs it, and no further
///
/// Through the socket at --listen, containers of one group can be made from the given images on the
/// given networks, without any right on the host; they can be started, stopped, removed and looked
/// at. Everything else is refused, and said on stderr.
#[derive(Args, Debug)]
#[command(
    after_long_help = "Example:\n  lab docker-proxy --listen /run/filter/docker.sock --group api --image lab --network lab_service"
)]
pub(super) struct DockerProxyArgs {
    /// The socket to offer
    #[arg(long, value_name = "PATH")]
    listen: PathBuf,
    /// Mode of that socket, in octal
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = mode)]
    mode: u32,
    /// Docker's own socket
    #[arg(long, value_name = "PATH", default_value = "/var/run/docker.sock")]
    docker: PathBuf,
    /// Value of the label lab.group that the containers carry
    #[arg(long)]
    group: String,
    /// Image that they may be made from; several with commas between
    #[arg(long = "image", value_name = "IMAGE", required = true, value_delimiter = ',')]
    images: Vec<String>,
    /// Network that they may be on; several with commas between
    #[arg(long = "network", value_name = "NAME", required = true, value_delimiter = ',')]
    networks: Vec<String>,
}

fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("it must be a mode in octal, such as 660".to_owned()),
    }
}

/// Serves until told to stop: 0, or 1 if it cannot.
#[must_use]
pub(super) fn run(arguments: &DockerProxyArgs) -> ExitCode {
    let config = FilterConfig {
        listen: arguments.listen.clone(),
        mode: arguments.mode,
        docker: arguments.docker.clone(),
        policy: Policy {
            group: arguments.group.clone(),
            images: arguments.images.clone(),
            networks: arguments.networks.clone(),
        },
    };
    eprintln!("{} offers the group {}", arguments.listen.display(), arguments.group);
    match serve(config, |refused| eprintln!("{refused}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(Exit::Failed, &error),
    }
}
