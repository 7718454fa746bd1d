//! The options of `lab load`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::forms::{self, Data, StageForm};
use super::order;
use super::thresholds::Threshold;
use crate::backend::law::LAW_FORMS;
use crate::cli::baseline::BaselineArgs;
use crate::cli::overrides::Overrides;
use crate::load::Pace;
use crate::units::{Bytes, Rate, Span};

const EXAMPLES: &str = "\
Examples:
  lab load http://127.0.0.1:8080/                         50 users for 10 s, as fast as they can
  lab load -R 800/s -d 30s http://127.0.0.1:8080/         800 requests a second, whatever comes back
  lab load --stage 10s:100/s --stage 30s:100..800/s --stage 1m:800/s http://127.0.0.1:8080/
  lab load -u 200 --think exponential:1s http://127.0.0.1:8080/     users who think
  lab load -R 50/s -X POST -H 'Content-Type: application/json' --data @order.json URL
  lab load -R 500/s --urls list.txt --server-header X-Served-By --out results/monday
  lab load -R 2000/s --http2 -c 4 https://shop.example/   streams on four connections
  lab load -u 100 --think 1s ws://127.0.0.1:9000/echo     WebSocket messages and their echo
  lab load -R 500/s --check 'p99 < 300ms' --check 'errors < 0.1%' --abort-on-fail URL
  lab load -R 9000/s --listen-join 0.0.0.0:7000 --generators 3 URL   and on each of three hosts:
  lab load --join 10.0.0.1:7000

Exit codes: 0 fine, 1 it could not run or nothing was answered, 2 wrong usage, 3 a threshold failed,
4 an open loop was not kept well enough to be believed, 130 interrupted.";

/// Send load to an HTTP server and say how long it takes to answer
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct LoadArgs {
    /// Where to send: http://, https://, ws:// or wss://host[:port][/path]; several share the requests by draw
    #[arg(value_name = "URL", required_unless_present_any = ["target", "urls_file", "join"])]
    pub(super) urls: Vec<String>,
    /// As URL, for use beside --scenario
    #[arg(long, value_name = "URL,…", value_delimiter = ',', conflicts_with = "urls")]
    pub(super) target: Vec<String>,
    /// Send to the URLs of this file, one a line, each with a METHOD in front if need be; - is stdin
    #[arg(long = "urls", id = "urls_file", value_name = "FILE", conflicts_with_all = ["urls", "target", "scenario"])]
    pub(super) urls_file: Option<PathBuf>,
    /// Take traffic and client from this scenario
    #[arg(long, value_name = "FILE")]
    pub(super) scenario: Option<PathBuf>,

    /// Open loop: requests per second, whatever the responses do (such as 800/s)
    #[arg(short = 'R', long, help_heading = "Traffic", value_parser = forms::rate, conflicts_with_all = ["users", "scenario", "stage", "trace"])]
    pub(super) rate: Option<Rate>,
    /// Open loop in stages, in order: 30s:500/s, or 30s:100..800/s for a ramp
    #[arg(long, help_heading = "Traffic", value_name = "STAGE", value_parser = forms::stage, conflicts_with_all = ["users", "scenario", "trace", "duration"])]
    pub(super) stage: Vec<StageForm>,
    /// Open loop with the arrivals of this CSV or Parquet file: column at (and class, a URL's path)
    #[arg(long, help_heading = "Traffic", value_name = "FILE", conflicts_with_all = ["users", "scenario"])]
    pub(super) trace: Option<PathBuf>,
    /// A trace runs this many times as fast as recorded
    #[arg(
        long,
        help_heading = "Traffic",
        value_name = "FACTOR",
        default_value_t = 1.0,
        requires = "trace"
    )]
    pub(super) speed: f64,
    /// Law of the gaps of the open loop
    #[arg(
        long,
        help_heading = "Traffic",
        value_enum,
        default_value = "poisson",
        conflicts_with = "scenario"
    )]
    pub(super) arrival: Arrival,
    /// Closed loop: so many users, each waiting for its response [default without a rate: 50]
    #[arg(short, long, help_heading = "Traffic", conflicts_with = "scenario", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) users: Option<u32>,
    /// How long a user thinks before each request
    #[arg(long, help_heading = "Traffic", value_name = "LAW", default_value = "0s", value_parser = order::think, requires = "users", long_help = format!("How long a user thinks before each request: {LAW_FORMS}"))]
    pub(super) think: String,
    /// How long requests are sent [default: 10s, or as long as the trace]
    #[arg(short, long, help_heading = "Traffic", conflicts_with = "scenario")]
    pub(super) duration: Option<Span>,
    /// Send before that for so long, and leave it out of the results
    #[arg(
        long,
        help_heading = "Traffic",
        value_name = "TIME",
        default_value = "0s",
        conflicts_with = "scenario"
    )]
    pub(super) warm_up: Span,
    /// End after so many requests
    #[arg(
        short = 'n',
        long,
        help_heading = "Traffic",
        value_name = "COUNT",
        conflicts_with = "scenario"
    )]
    pub(super) requests: Option<u64>,
    /// How exactly the open loop keeps its schedule, and what that costs
    #[arg(long, help_heading = "Traffic", value_enum, default_value = "exact")]
    pub(super) pace: PaceArg,
    /// Threads that send [default: what the load asks for, at most one per core]
    #[arg(long, help_heading = "Traffic", conflicts_with = "scenario", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(super) threads: Option<u32>,
    /// Seed of all draws [default: the scenario's, or 1]
    #[arg(long, help_heading = "Traffic")]
    pub(super) seed: Option<u64>,
    /// Replication of the seed
    #[arg(long, help_heading = "Traffic", default_value_t = 0)]
    pub(super) replication: u32,
    #[command(flatten)]
    pub(super) overrides: Overrides,

    /// HTTP method [default: GET, or POST with --data]
    #[arg(short = 'X', long, help_heading = "Requests", conflicts_with = "scenario", value_parser = forms::method)]
    pub(super) method: Option<String>,
    /// A line of the head, such as 'Accept: text/html'; may be given several times
    #[arg(short = 'H', long = "header", help_heading = "Requests", value_name = "NAME: VALUE", conflicts_with = "scenario", value_parser = forms::header)]
    pub(super) headers: Vec<(String, String)>,
    /// The body: text, or @FILE
    #[arg(long, help_heading = "Requests", value_name = "TEXT", conflicts_with = "scenario", value_parser = forms::data)]
    pub(super) data: Option<Data>,
    /// Size of a body of no meaning
    #[arg(long, help_heading = "Requests", value_name = "SIZE", default_value = "0B", conflicts_with_all = ["scenario", "data"])]
    pub(super) body: Bytes,
    /// Give up so long after the request was due
    #[arg(
        short,
        long,
        help_heading = "Requests",
        default_value = "10s",
        conflicts_with = "scenario"
    )]
    pub(super) timeout: Span,
    /// Drop requests beyond so many in flight (they count as failed); 0 is no limit
    #[arg(
        long,
        help_heading = "Requests",
        value_name = "REQUESTS",
        default_value_t = 0,
        conflicts_with = "scenario"
    )]
    pub(super) in_flight_cap: u32,

    /// Most connections; 0 opens as many as are needed (HTTP/2: 1)
    #[arg(
        short,
        long,
        help_heading = "Connections",
        default_value_t = 0,
        conflicts_with = "scenario"
    )]
    pub(super) connections: u32,
    /// Requests on a connection before it is closed; 0 is no limit
    #[arg(long, help_heading = "Connections", default_value_t = 0, conflicts_with = "scenario")]
    pub(super) requests_per_connection: u32,
    /// Speak HTTP/2: by ALPN to https://, with prior knowledge (h2c) to http://
    #[arg(long, help_heading = "Connections", conflicts_with = "scenario")]
    pub(super) http2: bool,
    /// Most streams at once on a connection of HTTP/2; the server may allow fewer
    #[arg(long, help_heading = "Connections", default_value_t = 100, requires = "http2", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) streams: u32,
    /// Believe any certificate
    #[arg(short = 'k', long, help_heading = "Connections", conflicts_with = "ca")]
    pub(super) insecure: bool,
    /// Believe the certificates in this PEM file, instead of the host's authorities
    #[arg(long, help_heading = "Connections", value_name = "FILE")]
    pub(super) ca: Option<PathBuf>,
    /// Run with real-time priority, so that busy neighbours do not delay requests
    #[arg(long, help_heading = "Connections")]
    pub(super) real_time: bool,

    /// The response header that names the server that answered [default: lab's own]
    #[arg(long, help_heading = "Results", value_name = "NAME", value_parser = forms::header_name)]
    pub(super) server_header: Option<String>,
    /// Exit with 3 unless this holds, such as 'p99 < 300ms' or 'errors < 0.1%'; as checks of a scenario
    #[arg(long, help_heading = "Results", value_name = "CHECK", value_parser = Threshold::must)]
    pub(super) check: Vec<Threshold>,
    /// Exit with 3 if this holds, such as 'p99 > 300ms'
    #[arg(long, help_heading = "Results", value_name = "CHECK", value_parser = Threshold::must_not)]
    pub(super) fail_if: Vec<Threshold>,
    /// End the run once a threshold has failed for a second, and 100 requests are through
    #[arg(long, help_heading = "Results")]
    pub(super) abort_on_fail: bool,
    #[command(flatten, next_help_heading = "Results")]
    pub(super) baseline: BaselineArgs,
    /// Write rows (Parquet, CSV), an .hlog, charts, load.json and summary.json to this new folder
    #[arg(short, long, help_heading = "Results", value_name = "DIR", conflicts_with = "spool")]
    pub(super) out: Option<PathBuf>,
    /// Write a row for each request to this file, as JSON lines
    #[arg(long, help_heading = "Results", value_name = "FILE")]
    pub(super) spool: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, help_heading = "Results")]
    pub(super) json: bool,
    /// Show no live view
    #[arg(short, long, help_heading = "Results")]
    pub(super) quiet: bool,

    /// Have other generators send the load together: wait for them here
    #[arg(
        long,
        help_heading = "Several generators",
        value_name = "ADDRESS",
        conflicts_with = "join"
    )]
    pub(super) listen_join: Option<SocketAddr>,
    /// How many generators to wait for
    #[arg(long, help_heading = "Several generators", value_name = "COUNT", default_value_t = 1, requires = "listen_join", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) generators: u32,
    /// Be one of the generators of the lab load that listens there
    #[arg(long, help_heading = "Several generators", value_name = "ADDRESS", exclusive = true)]
    pub(super) join: Option<String>,

    /// Zero of the run on the monotonic clock, in nanoseconds
    #[arg(long, value_name = "NANOS", hide = true)]
    pub(super) zero: Option<u64>,
    /// Started by lab: print a closing report in JSON, and die with the parent
    #[arg(long, hide = true)]
    pub(super) supervised: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Arrival {
    /// Exponential gaps: independent clients
    Poisson,
    /// Equal gaps
    Uniform,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum PaceArg {
    /// To a few microseconds: wakes ahead of each request and spins for the rest
    Exact,
    /// To some tens of microseconds: a timer for each request, no spinning
    Timer,
    /// To a millisecond: one wake-up for all requests of it
    Batch,
}

/// Width of the grid of `--pace batch`.
const BATCH: Span = Span::from_millis(1);

impl From<PaceArg> for Pace {
    fn from(asked: PaceArg) -> Self {
        match asked {
            PaceArg::Exact => Self::Exact,
            PaceArg::Timer => Self::Timer,
            PaceArg::Batch => Self::Batch(BATCH),
        }
    }
}
