//! `lab stack`: the stack of containers in `compose/`, up, looked at, and down.

mod compose;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::exit::Exit;
use super::terminal::fail;
use crate::live::provider::docker::DockerError;
use crate::live::provider::docker::stack::{Member, Stack, table};
use compose::Compose;

/// Run the stack of proxy, backends, autoscaler, Prometheus and Grafana as containers
///
/// It is compose/compose.yaml, and `docker compose` or `docker-compose` runs it.
#[derive(Args, Debug)]
pub(super) struct StackArgs {
    /// The Compose file
    #[arg(long, value_name = "FILE", default_value = "compose/compose.yaml", global = true)]
    file: PathBuf,
    /// Name of the stack, which begins the names of its containers and networks
    #[arg(long, value_name = "NAME", default_value = "lab", value_parser = project, global = true)]
    project: String,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start it, and wait until everything is healthy
    Up {
        /// With this profile of the file too, such as nginx
        #[arg(long, value_name = "PROFILE")]
        profile: Vec<String>,
        /// How long it may take to get healthy
        #[arg(long, value_name = "SECONDS", default_value_t = 120)]
        patience: u64,
    },
    /// Show how its containers are
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop it and remove its containers and networks, those of the autoscaler too
    Down {
        /// Remove its volumes too: the data of Prometheus and Grafana, and the logs
        #[arg(long)]
        volumes: bool,
    },
}

/// Names that Compose takes.
fn project(text: &str) -> Result<String, String> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    let starts = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts && text.chars().all(fine) {
        return Ok(text.to_owned());
    }
    Err("it must be of small letters, digits, - and _".to_owned())
}

/// Why the stack is not as it should be.
#[derive(Debug, thiserror::Error)]
enum StackError {
    #[error(transparent)]
    Docker(#[from] DockerError),
    #[error(transparent)]
    Compose(#[from] compose::ComposeError),
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
}

/// Does it: 0 done (for `status`: everything is well), 1 failed or unwell.
#[must_use]
pub(super) fn run(arguments: &StackArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(act(arguments)),
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => fail(Exit::Failed, &error),
    }
}

async fn act(arguments: &StackArgs) -> Result<Exit, StackError> {
    // Docker's errors, as lab tells them, say more than Compose's own.
    let stack = Stack::open(&arguments.project).await?;
    match &arguments.action {
        Action::Up { profile, patience } => {
            let compose = Compose::find(&arguments.file, &arguments.project)?;
            compose::make_token(&arguments.file)?;
            if let Err(error) = compose.up(profile) {
                // Compose names it at most by its number.
                for unwell in stack.unwell().await? {
                    eprintln!("{unwell}");
                }
                return Err(error.into());
            }
            print!("{}", table(&stack.until_well(Duration::from_secs(*patience)).await?));
            Ok(Exit::Held)
        }
        Action::Status { json } => {
            let members = stack.members().await?;
            if *json {
                println!("{}", serde_json::to_string_pretty(&members).unwrap_or_default());
            } else {
                print!("{}", table(&members));
            }
            let well = !members.is_empty() && members.iter().all(Member::is_well);
            Ok(if well { Exit::Held } else { Exit::Failed })
        }
        Action::Down { volumes } => {
            let compose = Compose::find(&arguments.file, &arguments.project)?;
            compose.stop_autoscaler();
            // They hold the networks, and are none of Compose's.
            for name in stack.remove_scaled().await? {
                eprintln!("removed {name}");
            }
            compose.down(*volumes)?;
            Ok(Exit::Held)
        }
    }
}
