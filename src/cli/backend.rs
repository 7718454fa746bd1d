//! `lab backend`: one backend of the live world, or one to play with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::overrides::Overrides;
use super::terminal::fail;
use crate::backend::config::BODY_LIMIT;
use crate::backend::law::{LAW_FORMS, parse_law};
use crate::backend::queue::QueueConfig;
use crate::backend::{BackendConfig, program};
use crate::host::child::{Ready, die_with_parent};
use crate::scenario::{self, Discipline};
use crate::traffic::Law;
use crate::units::{Bytes, Ratio, Seed, Span};

/// Run one backend: a small HTTP service with a real queue and real workers
#[derive(Args, Debug)]
pub(super) struct BackendArgs {
    /// Take the backend from this scenario, or file with the sections [[backend]] and [autoscaler]
    #[arg(long, value_name = "FILE", requires = "name")]
    scenario: Option<PathBuf>,
    /// Its name; the name in the scenario where there is one [default: backend]
    #[arg(long)]
    name: Option<String>,
    /// Where to serve; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Where to take orders for faults (GET and POST /fault)
    #[arg(long, value_name = "ADDRESS")]
    control: Option<SocketAddr>,
    /// Requests served at once
    #[arg(long, default_value_t = 1, conflicts_with = "scenario", value_parser = clap::value_parser!(u32).range(1..=4096))]
    workers: u32,
    /// Law of the service demand
    #[arg(long, value_name = "LAW", default_value = "exponential:10ms", value_parser = parse_law, conflicts_with = "scenario", long_help = format!("Law of the service demand: {LAW_FORMS}"))]
    service: Law,
    /// Most requests waiting; beyond it the answer is 503 [default: no limit]
    #[arg(long, value_name = "REQUESTS", conflicts_with = "scenario")]
    queue_limit: Option<u32>,
    /// Service takes demand / speed
    #[arg(long, default_value_t = 1.0, value_parser = speed, conflicts_with = "scenario")]
    speed: f64,
    /// Order of service
    #[arg(long, value_enum, default_value = "fifo", conflicts_with = "scenario")]
    discipline: Order,
    /// Share of the health checks that fail, such as 1%
    #[arg(long, value_name = "SHARE", default_value = "0%", conflicts_with = "scenario")]
    health_failure: Ratio,
    /// A larger request body is answered with 413
    #[arg(long, value_name = "SIZE", default_value_t = BODY_LIMIT)]
    body_limit: Bytes,
    /// Let the health checks fail for this long after the start, as a program does that warms up
    #[arg(long, value_name = "DURATION", default_value_t = Span::ZERO)]
    ready_after: Span,
    #[command(flatten)]
    overrides: Overrides,
    /// Seed of all draws [default: the scenario's, or 1]
    #[arg(long)]
    seed: Option<u64>,
    /// Replication of the seed
    #[arg(long, default_value_t = 0)]
    replication: u32,
    /// Give the threads that time the service real-time priority (needs `CAP_SYS_NICE`)
    #[arg(long)]
    real_time: bool,
    /// Started by lab: say in JSON when ready, and die with the parent
    #[arg(long, hide = true)]
    supervised: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    /// First in, first out
    Fifo,
    /// Processor sharing
    Ps,
}

/// Runs it until told to stop: 0, or 1 if it cannot run, or 2 if the scenario is wrong.
#[must_use]
pub(super) fn run(arguments: &BackendArgs) -> ExitCode {
    if arguments.supervised {
        die_with_parent();
    }
    let config = match arguments.config() {
        Ok(config) => config,
        Err(error) => return fail(Exit::Usage, &error),
    };
    let name = config.name.clone();
    let ready = |ready: &Ready| match (arguments.supervised, &ready.control) {
        (true, _) => ready.announce(),
        (false, control) => {
            eprintln!("{name} serves at http://{}/", ready.listen);
            control.iter().for_each(|at| eprintln!("faults: http://{at}/fault"));
            Ok(())
        }
    };
    match program::serve(config, ready) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(Exit::Failed, &error),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if speed.is_finite() && speed > 0.0 { Ok(speed) } else { Err("it must be positive".to_owned()) }
}

impl BackendArgs {
    fn config(&self) -> Result<BackendConfig, Box<dyn std::error::Error>> {
        let mut config = match (&self.scenario, &self.name) {
            (Some(file), Some(name)) => {
                let file = scenario::load_backends_with(file, self.overrides.pairs())?;
                let seed = self.seed(file.seed);
                BackendConfig::named(&file.backends, name, seed, self.listen)?
            }
            _ => self.plain(),
        };
        config.control = self.control;
        config.body_limit = self.body_limit;
        config.ready_after = self.ready_after;
        config.queue.real_time = self.real_time;
        Ok(config)
    }

    fn seed(&self, default: u64) -> Seed {
        Seed::new(self.seed.unwrap_or(default), self.replication)
    }

    fn plain(&self) -> BackendConfig {
        BackendConfig {
            name: self.name.clone().unwrap_or_else(|| "backend".to_owned()),
            index: 0,
            listen: self.listen,
            control: None,
            queue: QueueConfig {
                discipline: match self.discipline {
                    Order::Fifo => Discipline::Fifo,
                    Order::Ps => Discipline::Ps,
                },
                workers: self.workers,
                limit: self.queue_limit,
                real_time: false,
            },
            speed: self.speed,
            service: self.service.clone(),
            health_failure: self.health_failure,
            seed: self.seed(1),
            body_limit: BODY_LIMIT,
            ready_after: Span::ZERO,
        }
    }
}
