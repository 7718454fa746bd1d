//! `lab import`: an access log as a trace, and a scenario that plays it.

mod shown;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};

use clap::Args;

use super::exit::Exit;
use super::terminal::{complain, print};
use crate::import::fit::{ArrivalFit, ServiceFit};
use crate::import::log::{Arrivals, Format, FormatError, Log, Trace};
use crate::scenario::{self, Diagnostics};
use crate::units::{Nanos, Quantity, Ratio, Span};

/// Lines by which the format is recognised.
const FIRST_LINES: usize = 50;

/// Arguments of `lab import`.
#[derive(Args, Debug)]
pub(super) struct ImportArgs {
    /// The access log; `-` reads from stdin
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// auto, combined, common, nginx, haproxy, envoy, json, or the pattern of a log_format
    #[arg(long, value_name = "FORMAT", default_value = "auto", allow_hyphen_values = true)]
    format: String,
    /// Write the trace to this file: Parquet if it ends in .parquet, else CSV
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a scenario that plays the trace, or without --output the fitted arrivals
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Keep this many kinds of requests apart; all others are one
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1000))]
    classes: u16,
    /// Refuse the log if more than this share of its lines cannot be read
    #[arg(long, value_name = "SHARE", default_value = "1%", value_parser = share)]
    max_bad: Ratio,
    /// Seed of the draws that spread stamps of whole seconds
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

fn share(text: &str) -> Result<Ratio, String> {
    let share = Ratio::parse(text).map_err(|error| error.to_string())?;
    if (0.0..=1.0).contains(&share.0) { Ok(share) } else { Err("not from 0% to 100%".to_owned()) }
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("cannot read {}: {error}", .path.display())]
    Read { path: PathBuf, error: io::Error },
    #[error("cannot write {}: {error}", .path.display())]
    Write { path: PathBuf, error: io::Error },
    #[error("{}: {error}", .path.display())]
    Format { path: PathBuf, error: FormatError },
    #[error(
        "{}: {bad} of {lines} lines do not have the format {format}, more than --max-bad {most}:{shown}",
        .path.display()
    )]
    Bad { path: PathBuf, bad: u64, lines: u64, format: &'static str, most: Ratio, shown: String },
    #[error("{}: there is no request in it", .path.display())]
    Empty { path: PathBuf },
    #[error("the trace and the scenario cannot both go to {}", .0.display())]
    Same(PathBuf),
    #[error("{} is there already; give another name, or remove it", .0.display())]
    Exists(PathBuf),
    #[error("what was written would be no right scenario; please report this:\n{0}")]
    Wrong(Diagnostics),
}

/// Reads the log, says what it found, and writes what was asked for.
pub(super) fn run(args: &ImportArgs) -> Exit {
    match import(args) {
        Ok(()) => Exit::Held,
        Err(error) => {
            complain(&error);
            let failed = matches!(error, Refused::Write { .. } | Refused::Wrong(_));
            if failed { Exit::Failed } else { Exit::Usage }
        }
    }
}

/// What a log says, in whole.
struct Found {
    format: &'static str,
    log: Log,
    trace: Trace,
    arrival: Option<ArrivalFit>,
    service: Option<ServiceFit>,
}

fn import(args: &ImportArgs) -> Result<(), Refused> {
    if let Some(path) = args.output.as_ref().filter(|path| Some(*path) == args.scenario.as_ref()) {
        return Err(Refused::Same(path.clone()));
    }
    // Before the log is read, and both or none.
    let mut outputs = args.output.iter().chain(&args.scenario);
    if let Some(path) = outputs.find(|path| path.is_file() && !path.starts_with("/dev")) {
        return Err(Refused::Exists(path.clone()));
    }
    let (format, log) = read(args)?;
    refuse_bad(args, format, &log)?;
    let trace = log.trace(usize::from(args.classes), args.seed);
    let arrivals: Vec<Nanos> = trace.rows.iter().map(|row| row.at).collect();
    let demands: Vec<Span> = trace.rows.iter().filter_map(|row| row.demand).collect();
    let arrival = ArrivalFit::of(&arrivals, log.whole_seconds());
    let service = ServiceFit::of(&demands);
    let found = Found { format, log, trace, arrival, service };
    let wrote = write(args, &found)?;
    print(&if args.json { shown::json(&found) } else { shown::text(&found, &wrote) });
    Ok(())
}

fn read(args: &ImportArgs) -> Result<(&'static str, Log), Refused> {
    let path = &args.log;
    let fail = |error| Refused::Read { path: path.clone(), error };
    let mut lines: Box<dyn BufRead> = if path.as_os_str() == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(BufReader::with_capacity(1 << 16, File::open(path).map_err(fail)?))
    };
    let mut first = Vec::new();
    while first.len() < FIRST_LINES
        && let Some(line) = next_line(&mut lines).map_err(fail)?
    {
        first.push(line);
    }
    let format = match args.format.as_str() {
        "auto" if first.is_empty() => return Err(Refused::Empty { path: path.clone() }),
        "auto" => Format::of(first.iter().map(String::as_str)),
        named => Format::named(named),
    };
    let format = format.map_err(|error| Refused::Format { path: path.clone(), error })?;
    let mut log = Log::default();
    let mut number = 0;
    for line in &first {
        number += 1;
        log.line(&format, number, line);
    }
    while let Some(line) = next_line(&mut lines).map_err(fail)? {
        number += 1;
        log.line(&format, number, &line);
    }
    Ok((format.name, log))
}

/// Logs hold whatever bytes clients send, so what is no UTF-8 is replaced.
fn next_line(lines: &mut dyn BufRead) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if lines.read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn refuse_bad(args: &ImportArgs, format: &'static str, log: &Log) -> Result<(), Refused> {
    if log.bad_share() > args.max_bad.0 {
        let shown = log.first_bad.iter().map(|bad| format!("\n  line {}: {}", bad.line, bad.text));
        return Err(Refused::Bad {
            path: args.log.clone(),
            bad: log.bad,
            lines: log.lines,
            format,
            most: args.max_bad,
            shown: shown.collect(),
        });
    }
    if log.requests() == 0 {
        return Err(Refused::Empty { path: args.log.clone() });
    }
    Ok(())
}

/// Writes the trace and the scenario, and says so.
fn write(args: &ImportArgs, found: &Found) -> Result<Vec<String>, Refused> {
    let mut wrote = Vec::new();
    if let Some(path) = &args.output {
        write_trace(path, &found.trace)?;
        wrote.push(format!("wrote {}: {} arrivals", path.display(), found.trace.rows.len()));
    }
    if let Some(path) = &args.scenario {
        let beside = args.output.as_ref().map(|trace| relative(trace, path));
        let arrivals = beside.as_deref().map_or(Arrivals::Process, Arrivals::Trace);
        let log = args.log.display().to_string();
        let (arrival, service) = (found.arrival.as_ref(), found.service.as_ref());
        let text = found.trace.scenario(&log, arrivals, arrival, service);
        // It reads the trace, which was written above.
        scenario::parse(&text, path).map_err(Refused::Wrong)?;
        save(path, text.as_bytes())?;
        let shown = path.display();
        wrote.push(format!(
            "wrote {shown}; replace what is marked PLACEHOLDER, then\n  lab check {shown}\n  lab run {shown}"
        ));
    }
    Ok(wrote)
}

fn write_trace(path: &Path, trace: &Trace) -> Result<(), Refused> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet")) {
        let rows = trace.rows.iter();
        let columns = crate::record::trace::TraceColumns {
            at_ns: rows.clone().map(|row| row.at.0).collect(),
            demand_ns: rows.clone().map(|row| row.demand.map(|demand| demand.0)).collect(),
            class: rows.map(|row| row.class).collect(),
            classes: trace.classes.iter().map(|class| class.name.clone()).collect(),
        };
        return crate::record::trace::write(path, &columns).map_err(|error| Refused::Write {
            path: path.to_owned(),
            error: io::Error::other(error),
        });
    }
    save(path, trace.csv().as_bytes())
}

fn save(path: &Path, bytes: &[u8]) -> Result<(), Refused> {
    let written = File::create(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|error| Refused::Write { path: path.to_owned(), error })
}

/// How the scenario names the trace: relative to its own folder where both are in the same, else
/// by its whole path.
fn relative(trace: &Path, scenario: &Path) -> String {
    let folder = |path: &Path| std::path::absolute(path).ok()?.parent().map(Path::to_owned);
    let name = trace.file_name().map(PathBuf::from).filter(|_| folder(trace) == folder(scenario));
    let whole = || std::path::absolute(trace).unwrap_or_else(|_| trace.to_owned());
    name.unwrap_or_else(whole).display().to_string()
}
