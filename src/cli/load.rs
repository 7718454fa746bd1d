//! `lab load`: the load generator of the live world, and one for any HTTP server.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::overrides::Overrides;
use super::terminal::fail;
use crate::backend::law::{LAW_FORMS, parse_law};
use crate::host::child::die_with_parent;
use crate::host::clock;
use crate::load::{Extras, LoadConfig, Outcome, Pace, Target, program};
use crate::scenario;
use crate::traffic::{ArrivalConfig, ClassConfig, ClientConfig, Law, Source, Stage, TrafficConfig};
use crate::units::{Bytes, Nanos, Rate, Ratio, Seed, Span};

/// From the start of a person's run to its first instant.
const LEAD: Span = Span::from_millis(20);
/// Width of the grid of `--pace batch`.
const BATCH: Span = Span::from_millis(1);

/// Send HTTP requests on an exact schedule and say how long they took
#[derive(Args, Debug)]
pub(super) struct LoadArgs {
    /// Where to send: http://host[:port][/path]; several share the requests by draw
    #[arg(value_name = "URL", required_unless_present = "target")]
    urls: Vec<String>,
    /// As URL, for use beside --scenario
    #[arg(long, value_name = "URL,…", value_delimiter = ',', conflicts_with = "urls")]
    target: Vec<String>,
    /// Take traffic and client from this scenario
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Open loop: requests per second, whatever the responses do (such as 800/s)
    #[arg(long, required_unless_present_any = ["users", "scenario"], conflicts_with_all = ["users", "scenario"])]
    rate: Option<Rate>,
    /// Law of the gaps of the open loop
    #[arg(long, value_enum, default_value = "poisson", conflicts_with = "scenario")]
    arrival: Arrival,
    /// Closed loop: so many users, each waiting for its response
    #[arg(long, conflicts_with = "scenario", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: Option<u32>,
    /// How long a user thinks before each request
    #[arg(long, value_name = "LAW", default_value = "0s", value_parser = parse_law, requires = "users", long_help = format!("How long a user thinks before each request: {LAW_FORMS}"))]
    think: Law,
    /// How long requests are sent
    #[arg(long, default_value = "10s", conflicts_with = "scenario")]
    duration: Span,
    /// Give up so long after the request was due
    #[arg(long, default_value = "10s", conflicts_with = "scenario")]
    timeout: Span,
    /// Most connections; 0 opens as many as are needed
    #[arg(long, default_value_t = 0, conflicts_with = "scenario")]
    connections: u32,
    /// Requests on a connection before it is closed; 0 is no limit
    #[arg(long, default_value_t = 0, conflicts_with = "scenario")]
    requests_per_connection: u32,
    /// Drop requests beyond so many in flight (they count as failed); 0 is no limit
    #[arg(long, value_name = "REQUESTS", default_value_t = 0, conflicts_with = "scenario")]
    in_flight_cap: u32,
    /// HTTP method
    #[arg(long, default_value = "GET", conflicts_with = "scenario", value_parser = method)]
    method: String,
    /// Size of the request body
    #[arg(long, value_name = "SIZE", default_value = "0B", conflicts_with = "scenario")]
    body: Bytes,
    /// A wake-up for each request, or one each millisecond for all that are due by then
    #[arg(long, value_enum, default_value = "exact")]
    pace: PaceArg,
    #[command(flatten)]
    overrides: Overrides,
    /// Seed of all draws [default: the scenario's, or 1]
    #[arg(long)]
    seed: Option<u64>,
    /// Replication of the seed
    #[arg(long, default_value_t = 0)]
    replication: u32,
    /// Write a row for each request to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    spool: Option<PathBuf>,
    /// Zero of the run on the monotonic clock, in nanoseconds
    #[arg(long, value_name = "NANOS", hide = true)]
    zero: Option<u64>,
    /// Run with real-time priority, so that busy neighbours do not delay requests
    #[arg(long)]
    real_time: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Started by lab: print a closing report in JSON, and die with the parent
    #[arg(long, hide = true)]
    supervised: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Arrival {
    /// Exponential gaps: independent clients
    Poisson,
    /// Equal gaps
    Uniform,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PaceArg {
    /// A wake-up for each request
    Exact,
    /// One each millisecond
    Batch,
}

/// Runs it: 0, 1 if it cannot run or nothing was answered, 2 if the call is wrong, 130 if a person
/// interrupted it.
#[must_use]
pub(super) fn run(arguments: &LoadArgs) -> ExitCode {
    if arguments.supervised {
        die_with_parent();
    }
    let config = match arguments.config() {
        Ok(config) => config,
        Err(error) => return fail(Exit::Usage, &error),
    };
    match program::generate(config, arguments.real_time, &mut ()) {
        Ok(outcome) => arguments.finish(&outcome),
        Err(error) => fail(Exit::Failed, &error),
    }
}

fn method(text: &str) -> Result<String, String> {
    let token = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase());
    if token { Ok(text.to_owned()) } else { Err("a method is a word in capitals".to_owned()) }
}

impl LoadArgs {
    fn config(&self) -> Result<LoadConfig, Box<dyn std::error::Error>> {
        let urls = self.urls.iter().chain(&self.target);
        let targets = urls.map(|url| Target::resolve(url)).collect::<Result<_, _>>()?;
        let zero = self.zero.map_or_else(|| clock::now() + LEAD, Nanos);
        let mut config = match &self.scenario {
            Some(file) => {
                let scenario = scenario::load_with(file, self.overrides.pairs())?;
                LoadConfig::from_scenario(&scenario, targets, self.seed(scenario.seed), zero)
            }
            None => self.plain(targets, zero),
        };
        config.replication = self.replication;
        config.spool.clone_from(&self.spool);
        config.pace = match self.pace {
            PaceArg::Exact => Pace::Exact,
            PaceArg::Batch => Pace::Batch(BATCH),
        };
        Ok(config)
    }

    fn seed(&self, default: u64) -> Seed {
        Seed::new(self.seed.unwrap_or(default), self.replication)
    }

    fn plain(&self, targets: Vec<Target>, zero: Nanos) -> LoadConfig {
        let class = ClassConfig {
            name: "all".to_owned(),
            path: String::new(),
            method: self.method.clone(),
            share: Ratio(1.0),
            body: self.body,
        };
        let client = ClientConfig {
            connections: self.connections,
            requests_per_connection: self.requests_per_connection,
            timeout: self.timeout,
            in_flight_cap: self.in_flight_cap,
        };
        LoadConfig {
            traffic: TrafficConfig {
                source: self.source(),
                classes: vec![class],
                keys: None,
                client,
            },
            hash_key: None,
            end: Nanos(self.duration.0),
            targets,
            backends: Vec::new(),
            seed: self.seed(1),
            replication: 0,
            zero,
            spool: None,
            pace: Pace::Exact,
            extras: Extras::default(),
        }
    }

    fn source(&self) -> Source {
        if let Some(users) = self.users {
            return Source::Closed { users, think: self.think.clone() };
        }
        let rate = self.rate.unwrap_or_default();
        let arrival = match self.arrival {
            Arrival::Poisson => ArrivalConfig::Poisson,
            Arrival::Uniform => ArrivalConfig::Uniform,
        };
        let stage = Stage {
            name: "all".to_owned(),
            from: Nanos::ZERO,
            until: Nanos(self.duration.0),
            rate_from: rate,
            rate_until: rate,
        };
        Source::Open { arrival, stages: vec![stage] }
    }

    fn finish(&self, outcome: &Outcome) -> ExitCode {
        if self.supervised {
            // Plain numbers: this cannot fail.
            println!("{}", serde_json::to_string(&outcome.report).unwrap_or_default());
            return ExitCode::SUCCESS;
        }
        if self.json {
            println!("{}", outcome.to_json());
        } else {
            print!("{outcome}");
        }
        match &outcome.report {
            report if report.partial => ExitCode::from(130),
            report if report.requests > 0 && outcome.tally.statuses.is_empty() => {
                fail(Exit::Failed, &"no request was answered")
            }
            _ => ExitCode::SUCCESS,
        }
    }
}
