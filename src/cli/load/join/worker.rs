//! One of several generators: `lab load --join`.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::net::TcpStream;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Part, ToCoordinator, ToWorker, VERSION, hear, say};
use crate::cli::exit::Exit;
use crate::cli::terminal::fail;
use crate::host::clock;
use crate::load::{LoadConfig, LoadReport, Seen, Watch, program};
use crate::units::{Nanos, Span};

use super::super::validity::Before;

/// How long a coordinator that is not there yet is waited for.
const PATIENCE: Span = Span::from_secs(10);
const AGAIN: Duration = Duration::from_millis(100);
const REPORT_EVERY: Span = Span::from_secs(1);

/// Sends the share that the coordinator at `address` hands out.
pub(in crate::cli::load) fn run(address: &str) -> ExitCode {
    match work(address) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => Exit::Interrupted.into(),
        Err(error) => fail(Exit::Failed, &format!("as a generator of {address}: {error}")),
    }
}

/// Whether it came to its end.
fn work(address: &str) -> io::Result<bool> {
    let mut stream = connect(address)?;
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    say(&mut stream, &ToCoordinator::Hello { version: VERSION })?;
    let mut config: Option<LoadConfig> = None;
    let mut spool = None;
    let zero = loop {
        match hear(&mut lines)? {
            ToWorker::Clock => say(&mut stream, &ToCoordinator::Clock { now: clock::now() })?,
            ToWorker::Order { job, share, rows } => {
                let made = job.config(Nanos::ZERO, share).and_then(|(config, _)| {
                    program::reach(&config)?;
                    Ok(config)
                });
                spool = rows.then(Spool::new);
                match made {
                    Ok(made) => config = Some(made),
                    Err(error) => return refuse(&mut stream, &error.to_string()),
                }
                say(&mut stream, &ToCoordinator::Ready)?;
            }
            ToWorker::Start { zero } => break zero,
            ToWorker::Stop => return Ok(false),
        }
    };
    let Some(mut config) = config else { return refuse(&mut stream, "there was no order") };
    config.zero = zero;
    config.spool = spool.as_ref().map(|spool| spool.0.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let (told, gone) = (Arc::clone(&stop), Arc::new(AtomicBool::new(false)));
    let lost = Arc::clone(&gone);
    std::thread::spawn(move || {
        let orderly = matches!(hear(&mut lines), Ok(ToWorker::Stop));
        lost.store(!orderly, Ordering::Relaxed);
        told.store(true, Ordering::Relaxed);
    });
    let before = Before::now();
    let mut teller = Teller { stream: stream.try_clone()?, stop, zero, told: Span::ZERO, before };
    let outcome = match program::generate(config, false, &mut teller) {
        Ok(outcome) => outcome,
        Err(error) => return refuse(&mut stream, &error.to_string()),
    };
    let validity = teller.before.judge(&outcome);
    let mut tally = outcome.tally;
    tally.relative_to(zero);
    let whole = !outcome.report.partial;
    let part = Part { report: outcome.report, tally, servers: outcome.servers };
    if let Some(spool) = &spool {
        spool.hand_over(&mut stream)?;
    }
    let said = say(&mut stream, &ToCoordinator::Done { part: Box::new(part), validity });
    if gone.load(Ordering::Relaxed) && !whole {
        return Err(io::Error::other("the coordinator is gone, so nothing more was sent"));
    }
    said.map(|()| whole)
}

/// A person may start the generators first.
fn connect(address: &str) -> io::Result<TcpStream> {
    let until = clock::now() + PATIENCE;
    loop {
        match TcpStream::connect(address) {
            Err(error)
                if error.kind() == io::ErrorKind::ConnectionRefused && clock::now() < until =>
            {
                std::thread::sleep(AGAIN);
            }
            outcome => return outcome,
        }
    }
}

fn refuse(stream: &mut TcpStream, why: &str) -> io::Result<bool> {
    say(stream, &ToCoordinator::Failed { why: why.to_owned() })?;
    Err(io::Error::other(why.to_owned()))
}

/// The rows, until they are handed over. Dropped, the file is removed.
struct Spool(PathBuf);

impl Spool {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("lab-load-rows-{}.jsonl", std::process::id())))
    }

    fn hand_over(&self, stream: &mut TcpStream) -> io::Result<()> {
        let rows = File::open(&self.0)?;
        let bytes = rows.metadata()?.len();
        say(stream, &ToCoordinator::Rows { bytes })?;
        match io::copy(&mut rows.take(bytes), stream)? {
            copied if copied == bytes => Ok(()),
            copied => Err(io::Error::other(format!("{copied} of {bytes} bytes of rows are left"))),
        }
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Tells the coordinator how it goes, and ends the run when it says so or is gone.
struct Teller {
    stream: TcpStream,
    stop: Arc<AtomicBool>,
    zero: Nanos,
    told: Span,
    before: Before,
}

impl Watch for Teller {
    fn look(&mut self, seen: &Seen<'_>) -> ControlFlow<()> {
        self.before.look();
        if self.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        if seen.at < self.told + REPORT_EVERY {
            return ControlFlow::Continue(());
        }
        self.told = seen.at;
        let mut tally = seen.tally.clone();
        tally.relative_to(self.zero);
        let report = LoadReport::default();
        let part = Box::new(Part { report, tally, servers: seen.servers.to_vec() });
        match say(&mut self.stream, &ToCoordinator::Progress(part)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}
