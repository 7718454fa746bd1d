//! The command line: one file per subcommand, each with its arguments beside the code they run.
//!
//! Results go to stdout, talk goes to stderr, and the exit code says what became of it (see
//! [`exit::Exit`]).

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is where lab talks")]

mod autoscale;
mod backend;
mod baseline;
mod calibrate;
mod capacity;
mod check;
mod compare;
mod complete;
mod completions;
mod config;
mod diff;
mod docker_proxy;
mod doctor;
mod examples;
pub mod exit;
mod explain;
mod folder;
mod health;
mod import;
mod load;
mod man;
mod model_args;
mod new;
mod overrides;
mod progress;
mod proxy;
mod report;
mod run;
mod sandbox;
mod schema;
mod stack;
mod sweep;
mod terminal;
mod theory;
mod trace;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches as _, Parser, Subcommand};

use crate::policy::{self, Policy};
use exit::Exit;

/// A simulation and benchmarking laboratory for load balancers.
///
/// One scenario, two worlds: a deterministic model and the real stack run under the same traffic,
/// and lab says how far the model is from reality.
#[derive(Debug, Parser)]
#[command(name = "lab", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario in the model and in the real world, and compare them
    Run(run::RunArgs),
    /// Check a scenario without running it
    Check(check::CheckArgs),
    /// Print an engine's own configuration for a scenario
    Config(config::ConfigArgs),
    /// Say which of two runs or scenarios is faster, or compare the worlds of one run
    Compare(compare::CompareArgs),
    /// Say in what two scenarios differ, by what they mean
    ///
    /// Units, defaults that are written out, the order of keys and of members with a name are no
    /// difference. What is told is the least that turns one into the other. Exits like diff(1): 0 no
    /// difference, 1 some, 2 trouble.
    Diff(diff::DiffArgs),
    /// Run a scenario at many points in the model, and say what is best where
    Sweep(sweep::SweepArgs),
    /// Write a run as one page of HTML with a replay, or as pictures to commit
    Report(report::ReportArgs),
    /// Say why a check came out as it did: requests, attempts, and what decisions saw
    Explain(explain::ExplainArgs),
    /// Show the balancer's decisions in words, as the model makes them
    Trace(trace::TraceArgs),
    /// Hold the model against queueing theory
    Theory(theory::TheoryArgs),
    /// Measure what this host adds to each request
    Calibrate(calibrate::CalibrateArgs),
    /// Find how much load a system takes, or how few servers are enough
    Capacity(capacity::CapacityArgs),
    /// Begin a commented scenario, one from a configuration of NGINX or HAProxy, or a balancing policy
    New(new::NewArgs),
    /// Turn an access log into a trace, and find the laws nearest to its traffic
    Import(import::ImportArgs),
    /// Look what is installed, what is missing, and whether this host is fit to measure
    Doctor(doctor::DoctorArgs),
    /// Print the JSON Schema of scenarios
    Schema,
    /// Print a completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Print a manual page, or write all of them
    Man(man::ManArgs),
    /// Run lab's reverse proxy
    Proxy(proxy::ProxyArgs),
    /// Run a backend
    Backend(backend::BackendArgs),
    /// Scale a group of backends while a balancer runs
    Autoscale(autoscale::AutoscaleArgs),
    /// Send load to an HTTP server
    Load(Box<load::LoadArgs>),
    /// Run the stack of containers in compose/: up, status, down
    Stack(stack::StackArgs),
    /// Offer Docker's API as far as an autoscaler needs it
    DockerProxy(docker_proxy::DockerProxyArgs),
    /// Ask a program whether it is well
    Health(health::HealthArgs),
    /// Hold a container's network namespace
    #[command(hide = true)]
    Sandbox,
}

/// [`main`] with balancing policies of one's own, which scenarios choose by name as they do those
/// built in. The live world starts the running program as its proxy, so they decide there too.
/// `examples/quickest_of_two.rs` is such a program, and `lab new --policy NAME` begins another.
#[must_use]
pub fn main_with(policies: &[Policy]) -> ExitCode {
    match policy::balance::register(policies) {
        Ok(()) => main(),
        Err(error) => terminal::fail(Exit::Usage, &error),
    }
}

/// The whole command line, with examples, and with what completion scripts are told.
fn command() -> clap::Command {
    complete::hinted(examples::added(Cli::command()))
}

/// Parses the arguments, runs the command, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    completions::answer();
    let parsed = command().try_get_matches().and_then(|found| Cli::from_arg_matches(&found));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // A closed pipe is no reason to fail: the reader has what it wanted.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Held }.into();
        }
    };
    let exit = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Trace(args) => trace::run(&args),
        Command::Theory(args) => theory::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Capacity(args) => capacity::run(&args),
        Command::New(args) => new::run(&args),
        Command::Import(args) => import::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Schema => schema::run(),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Proxy(args) => return proxy::run(&args),
        Command::Backend(args) => return backend::run(&args),
        Command::Autoscale(args) => return autoscale::run(&args),
        Command::Load(args) => return load::run(&args),
        Command::Stack(args) => return stack::run(&args),
        Command::DockerProxy(args) => return docker_proxy::run(&args),
        Command::Health(args) => return health::run(&args),
        Command::Sandbox => return sandbox::run(),
    };
    exit.into()
}
