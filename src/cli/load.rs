//! `lab load`: the load generator of the live world, and a load tester for any HTTP server.

mod ask;
mod files;
mod forms;
mod join;
mod order;
mod thresholds;
mod urls;
mod validity;
mod view;

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::overrides::Overrides;
use super::terminal::{complain, fail, paint, print};
use crate::backend::law::LAW_FORMS;
use crate::compare::{CheckResult, Validity, Verdict};
use crate::host::child::die_with_parent;
use crate::host::clock;
use crate::load::{Outcome, Seen, Watch, program};
use crate::traffic::Source;
use crate::units::{Bytes, Rate, Span};
use files::Files;
use forms::{Data, StageForm};
use thresholds::{Abort, Threshold};
use validity::Before;
use view::View;

/// From the start of a person's run to its first instant.
const LEAD: Span = Span::from_millis(20);

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
pub(super) struct LoadArgs {
    /// Where to send: http://, https://, ws:// or wss://host[:port][/path]; several share the requests by draw
    #[arg(value_name = "URL", required_unless_present_any = ["target", "urls_file", "join"])]
    urls: Vec<String>,
    /// As URL, for use beside --scenario
    #[arg(long, value_name = "URL,…", value_delimiter = ',', conflicts_with = "urls")]
    target: Vec<String>,
    /// Send to the URLs of this file, one a line, each with a METHOD in front if need be; - is stdin
    #[arg(long = "urls", id = "urls_file", value_name = "FILE", conflicts_with_all = ["urls", "target", "scenario"])]
    urls_file: Option<PathBuf>,
    /// Take traffic and client from this scenario
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,

    /// Open loop: requests per second, whatever the responses do (such as 800/s)
    #[arg(short = 'R', long, help_heading = "Traffic", value_parser = forms::rate, conflicts_with_all = ["users", "scenario", "stage", "trace"])]
    rate: Option<Rate>,
    /// Open loop in stages, in order: 30s:500/s, or 30s:100..800/s for a ramp
    #[arg(long, help_heading = "Traffic", value_name = "STAGE", value_parser = forms::stage, conflicts_with_all = ["users", "scenario", "trace", "duration"])]
    stage: Vec<StageForm>,
    /// Open loop with the arrivals of this CSV or Parquet file: column at (and class, a URL's path)
    #[arg(long, help_heading = "Traffic", value_name = "FILE", conflicts_with_all = ["users", "scenario"])]
    trace: Option<PathBuf>,
    /// A trace runs this many times as fast as recorded
    #[arg(
        long,
        help_heading = "Traffic",
        value_name = "FACTOR",
        default_value_t = 1.0,
        requires = "trace"
    )]
    speed: f64,
    /// Law of the gaps of the open loop
    #[arg(
        long,
        help_heading = "Traffic",
        value_enum,
        default_value = "poisson",
        conflicts_with = "scenario"
    )]
    arrival: Arrival,
    /// Closed loop: so many users, each waiting for its response [default without a rate: 50]
    #[arg(short, long, help_heading = "Traffic", conflicts_with = "scenario", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: Option<u32>,
    /// How long a user thinks before each request
    #[arg(long, help_heading = "Traffic", value_name = "LAW", default_value = "0s", value_parser = order::think, requires = "users", long_help = format!("How long a user thinks before each request: {LAW_FORMS}"))]
    think: String,
    /// How long requests are sent [default: 10s, or as long as the trace]
    #[arg(short, long, help_heading = "Traffic", conflicts_with = "scenario")]
    duration: Option<Span>,
    /// Send before that for so long, and leave it out of the results
    #[arg(
        long,
        help_heading = "Traffic",
        value_name = "TIME",
        default_value = "0s",
        conflicts_with = "scenario"
    )]
    warm_up: Span,
    /// End after so many requests
    #[arg(
        short = 'n',
        long,
        help_heading = "Traffic",
        value_name = "COUNT",
        conflicts_with = "scenario"
    )]
    requests: Option<u64>,
    /// A wake-up for each request, or one each millisecond for all that are due by then
    #[arg(long, help_heading = "Traffic", value_enum, default_value = "exact")]
    pace: PaceArg,
    /// Threads that send [default: what the load asks for, at most one per core]
    #[arg(long, help_heading = "Traffic", conflicts_with = "scenario", value_parser = clap::value_parser!(u32).range(1..=1024))]
    threads: Option<u32>,
    /// Seed of all draws [default: the scenario's, or 1]
    #[arg(long, help_heading = "Traffic")]
    seed: Option<u64>,
    /// Replication of the seed
    #[arg(long, help_heading = "Traffic", default_value_t = 0)]
    replication: u32,
    #[command(flatten)]
    overrides: Overrides,

    /// HTTP method [default: GET, or POST with --data]
    #[arg(short = 'X', long, help_heading = "Requests", conflicts_with = "scenario", value_parser = forms::method)]
    method: Option<String>,
    /// A line of the head, such as 'Accept: text/html'; may be given several times
    #[arg(short = 'H', long = "header", help_heading = "Requests", value_name = "NAME: VALUE", conflicts_with = "scenario", value_parser = forms::header)]
    headers: Vec<(String, String)>,
    /// The body: text, or @FILE
    #[arg(long, help_heading = "Requests", value_name = "TEXT", conflicts_with = "scenario", value_parser = forms::data)]
    data: Option<Data>,
    /// Size of a body of no meaning
    #[arg(long, help_heading = "Requests", value_name = "SIZE", default_value = "0B", conflicts_with_all = ["scenario", "data"])]
    body: Bytes,
    /// Give up so long after the request was due
    #[arg(
        short,
        long,
        help_heading = "Requests",
        default_value = "10s",
        conflicts_with = "scenario"
    )]
    timeout: Span,
    /// Drop requests beyond so many in flight (they count as failed); 0 is no limit
    #[arg(
        long,
        help_heading = "Requests",
        value_name = "REQUESTS",
        default_value_t = 0,
        conflicts_with = "scenario"
    )]
    in_flight_cap: u32,

    /// Most connections; 0 opens as many as are needed (HTTP/2: 1)
    #[arg(
        short,
        long,
        help_heading = "Connections",
        default_value_t = 0,
        conflicts_with = "scenario"
    )]
    connections: u32,
    /// Requests on a connection before it is closed; 0 is no limit
    #[arg(long, help_heading = "Connections", default_value_t = 0, conflicts_with = "scenario")]
    requests_per_connection: u32,
    /// Speak HTTP/2: by ALPN to https://, with prior knowledge (h2c) to http://
    #[arg(long, help_heading = "Connections", conflicts_with = "scenario")]
    http2: bool,
    /// Most streams at once on a connection of HTTP/2; the server may allow fewer
    #[arg(long, help_heading = "Connections", default_value_t = 100, requires = "http2", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    streams: u32,
    /// Believe any certificate
    #[arg(short = 'k', long, help_heading = "Connections", conflicts_with = "ca")]
    insecure: bool,
    /// Believe the certificates in this PEM file, instead of the host's authorities
    #[arg(long, help_heading = "Connections", value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Run with real-time priority, so that busy neighbours do not delay requests
    #[arg(long, help_heading = "Connections")]
    real_time: bool,

    /// The response header that names the server that answered [default: lab's own]
    #[arg(long, help_heading = "Results", value_name = "NAME", value_parser = forms::header_name)]
    server_header: Option<String>,
    /// Exit with 3 unless this holds, such as 'p99 < 300ms' or 'errors < 0.1%'; as checks of a scenario
    #[arg(long, help_heading = "Results", value_name = "CHECK", value_parser = Threshold::must)]
    check: Vec<Threshold>,
    /// Exit with 3 if this holds, such as 'p99 > 300ms'
    #[arg(long, help_heading = "Results", value_name = "CHECK", value_parser = Threshold::must_not)]
    fail_if: Vec<Threshold>,
    /// End the run once a threshold has failed for a second, and 100 requests are through
    #[arg(long, help_heading = "Results")]
    abort_on_fail: bool,
    /// Write rows (Parquet, CSV), an .hlog, charts and load.json to this new folder
    #[arg(short, long, help_heading = "Results", value_name = "DIR", conflicts_with = "spool")]
    out: Option<PathBuf>,
    /// Write a row for each request to this file, as JSON lines
    #[arg(long, help_heading = "Results", value_name = "FILE")]
    spool: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long, help_heading = "Results")]
    json: bool,
    /// Show no live view
    #[arg(short, long, help_heading = "Results")]
    quiet: bool,

    /// Have other generators send the load together: wait for them here
    #[arg(long, help_heading = "Several generators", value_name = "ADDRESS", conflicts_with_all = ["scenario", "out", "spool", "join"])]
    listen_join: Option<SocketAddr>,
    /// How many generators to wait for
    #[arg(long, help_heading = "Several generators", value_name = "COUNT", default_value_t = 1, requires = "listen_join", value_parser = clap::value_parser!(u32).range(1..=1000))]
    generators: u32,
    /// Be one of the generators of the lab load that listens there
    #[arg(long, help_heading = "Several generators", value_name = "ADDRESS", exclusive = true)]
    join: Option<String>,

    /// Zero of the run on the monotonic clock, in nanoseconds
    #[arg(long, value_name = "NANOS", hide = true)]
    zero: Option<u64>,
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

/// Runs it, and tells how it ended: see [`EXAMPLES`].
#[must_use]
pub(super) fn run(arguments: &LoadArgs) -> ExitCode {
    if arguments.supervised {
        die_with_parent();
        return supervised(arguments);
    }
    if let Some(address) = &arguments.join {
        return join::worker::run(address);
    }
    let trial = match arguments.listen_join {
        Some(address) => join::coordinator::run(arguments, address),
        None => alone(arguments),
    };
    match trial {
        Ok(finished) => arguments.tell(&finished),
        Err((exit, error)) => fail(exit, &error),
    }
}

/// A run that did not come about, and why.
type Refused = (Exit, Box<dyn std::error::Error>);

fn usage(error: impl Into<Box<dyn std::error::Error>>) -> Refused {
    (Exit::Usage, error.into())
}

fn failed(error: impl Into<Box<dyn std::error::Error>>) -> Refused {
    (Exit::Failed, error.into())
}

/// Part of a run of a scenario: only the report for the program that started it.
fn supervised(arguments: &LoadArgs) -> ExitCode {
    let config = match arguments.config() {
        Ok((config, _)) => config,
        Err(error) => return fail(Exit::Usage, &error),
    };
    match program::generate(config, arguments.real_time, &mut ()) {
        Ok(outcome) => {
            // Plain numbers: this cannot fail.
            println!("{}", serde_json::to_string(&outcome.report).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(error) => fail(Exit::Failed, &error),
    }
}

/// A run and all that is to be said of it.
#[derive(Debug)]
struct Finished {
    outcome: Outcome,
    validity: Validity,
    /// Whether a schedule was to be kept.
    open: bool,
    thresholds: Vec<CheckResult>,
    /// The threshold that ended it.
    aborted: Option<CheckResult>,
    /// A part of what was sent is not counted.
    incomplete: bool,
    /// What to say besides, such as of a generator that was lost.
    remarks: Vec<String>,
}

/// This process sends all of it.
fn alone(arguments: &LoadArgs) -> Result<Finished, Refused> {
    let (mut config, words) = arguments.config().map_err(usage)?;
    let files = arguments.out.as_deref().map(Files::begin).transpose().map_err(usage)?;
    if let Some(files) = &files {
        config.spool = Some(files.spool());
    }
    program::reach(&config).map_err(failed)?;
    if arguments.zero.is_none() {
        config.zero = clock::now() + LEAD;
    }
    let started = clock::wall() + config.zero.since(clock::now());
    let mut onlooker = Onlooker::new(arguments, Span(config.end.0), words);
    let outcome = program::generate(config.clone(), arguments.real_time, &mut onlooker);
    onlooker.clear();
    let outcome = outcome.map_err(failed)?;
    let finished = arguments.judge(
        outcome,
        onlooker.before,
        matches!(config.traffic.source, Source::Open { .. }),
        onlooker.abort,
    );
    if let Some(files) = files {
        let (json, seed) = (finished.to_json(), arguments.seed.unwrap_or(1));
        let folder = files
            .finish(&config, &finished.outcome, &finished.validity, started, seed, &json)
            .map_err(failed)?;
        eprintln!("lab: wrote {}", folder.display());
    }
    Ok(finished)
}

/// Looks at a run: shows it, counts descriptors, and may end it.
struct Onlooker {
    view: Option<View>,
    abort: Option<Abort>,
    before: Before,
}

impl Onlooker {
    fn new(arguments: &LoadArgs, length: Span, words: String) -> Self {
        let view = if arguments.quiet { None } else { View::new(length, words) };
        let abort = arguments.abort_on_fail.then(|| Abort::new(&arguments.thresholds()));
        Self { view, abort, before: Before::now() }
    }

    fn clear(&self) {
        if let Some(view) = &self.view {
            view.clear();
        }
    }
}

impl Watch for Onlooker {
    fn look(&mut self, seen: &Seen<'_>) -> ControlFlow<()> {
        self.before.look();
        if let Some(view) = &mut self.view {
            view.show(seen);
        }
        match &mut self.abort {
            Some(abort) => abort.look(seen),
            None => ControlFlow::Continue(()),
        }
    }
}

impl LoadArgs {
    fn thresholds(&self) -> Vec<Threshold> {
        self.check.iter().chain(&self.fail_if).cloned().collect()
    }

    fn judge(
        &self,
        outcome: Outcome,
        before: Before,
        open: bool,
        abort: Option<Abort>,
    ) -> Finished {
        let judge = |one: &Threshold| one.judge(&outcome.tally, &outcome.servers);
        Finished {
            thresholds: self.thresholds().iter().map(judge).collect(),
            validity: before.judge(&outcome),
            open,
            aborted: abort.and_then(|abort| abort.because),
            incomplete: false,
            remarks: Vec::new(),
            outcome,
        }
    }

    /// Prints the result and gives the exit code.
    fn tell(&self, finished: &Finished) -> ExitCode {
        if self.json {
            print(&finished.to_json());
            print("\n");
        } else {
            print(&finished.to_text());
        }
        finished.remarks.iter().for_each(|remark| eprintln!("lab: {remark}"));
        finished.exit()
    }
}

impl Finished {
    fn to_json(&self) -> String {
        let mut value = self.outcome.to_value();
        let put = |result: &CheckResult| serde_json::to_value(result).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            let validity = serde_json::to_value(&self.validity).unwrap_or_default();
            object.insert("validity".to_owned(), validity);
            let thresholds = self.thresholds.iter().map(put).collect();
            object.insert("thresholds".to_owned(), thresholds);
            object.insert("aborted".to_owned(), self.aborted.as_ref().map(put).into());
        }
        // Numbers, strings and maps with keys of text: nothing here can fail.
        serde_json::to_string_pretty(&value).unwrap_or_default()
    }

    fn to_text(&self) -> String {
        let paint = paint();
        let mut text = self.outcome.to_string();
        if !self.thresholds.is_empty() {
            text.push_str("\nthresholds\n");
        }
        for result in &self.thresholds {
            let (word, measured) = (format!("{:<9}", word(result.verdict)), &result.measured);
            let word = match result.verdict {
                Verdict::Held => paint.good(&word),
                Verdict::Failed => paint.bad(&word),
                Verdict::Undecided => paint.warning(&word),
            };
            text.push_str(&format!("  {word} {:<32} {measured}\n", result.text));
        }
        if let Some(result) = &self.aborted {
            let words = format!("ended early: {} failed ({})", result.text, result.measured);
            text.push_str(&format!("\n{}\n", paint.bad(&words)));
        }
        if self.validity.valid() {
            text.push_str(&format!("\nmeasurement {}\n", paint.good("valid")));
        } else {
            let verdict = if self.open || self.incomplete {
                paint.bad("NOT VALID")
            } else {
                paint.warning("limited by this host")
            };
            text.push_str(&format!("\nmeasurement {verdict}\n"));
            for item in self.validity.items.iter().filter(|item| !item.held) {
                text.push_str(&format!("  {}: {} ({})\n", item.name, item.measured, item.limit));
            }
        }
        text
    }

    fn exit(&self) -> ExitCode {
        let (report, tally) = (&self.outcome.report, &self.outcome.tally);
        if report.partial && self.aborted.is_none() {
            return Exit::Interrupted.into();
        }
        if report.requests > 0 && tally.statuses.is_empty() {
            complain(&"no request was answered");
            return Exit::Failed.into();
        }
        // What cannot be decided, such as the share of a server that never answered, did not hold.
        let unheld = self.thresholds.iter().any(|result| result.verdict != Verdict::Held);
        match () {
            () if unheld || self.aborted.is_some() => Exit::CheckFailed.into(),
            // A closed loop promises no schedule: it goes as fast as both sides can.
            () if self.incomplete || (self.open && !self.validity.valid()) => Exit::Invalid.into(),
            () => ExitCode::SUCCESS,
        }
    }
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Failed => "FAILED",
        Verdict::Undecided => "undecided",
    }
}
