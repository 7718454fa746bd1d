//! The coordinator of several generators: `lab load --listen-join`.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::{Part, SILENCE, ToCoordinator, ToWorker, VERSION, hear, say};
use crate::compare::{Validity, ValidityItem};
use crate::host::{clock, interrupt};
use crate::load::{LoadConfig, Outcome, Seen, Share, Tally, Watch};
use crate::record::RequestRow;
use crate::record::spool::SpoolWriter;
use crate::traffic::Source;
use crate::units::{Nanos, Span};

use super::super::files::{Files, FilesError};
use super::super::job::Job;
use super::super::{Finished, LoadArgs, Onlooker, Refused, failed, usage};
use super::rows::{self, Rows};

/// How often a clock is asked; the quickest answer counts.
const CLOCK_ASKED: u32 = 8;
/// From the last word to all generators to their common zero.
const LEAD: Span = Span::from_millis(300);
const LOOK: Duration = Duration::from_millis(250);

/// Where the rows of all generators go.
struct Results {
    files: Option<Files>,
    /// One spool of all.
    spool: Option<PathBuf>,
}

impl Results {
    fn begin(arguments: &LoadArgs) -> Result<Self, Box<dyn std::error::Error>> {
        let files = arguments.files()?;
        let spool = files.as_ref().map(Files::spool).or_else(|| arguments.spool.clone());
        // What cannot be written is better known before the run.
        spool.as_deref().map(SpoolWriter::<RequestRow>::create).transpose()?;
        Ok(Self { files, spool })
    }

    /// Where the rows of generator `index` go until all are there.
    fn rows_of(&self, index: u32) -> Option<PathBuf> {
        let spool = self.spool.as_ref()?;
        let mut name = spool.as_os_str().to_owned();
        name.push(format!(".{index}"));
        Some(name.into())
    }

    /// Puts the rows together. Those of a lost generator are not there.
    fn finish(
        self,
        config: &LoadConfig,
        workers: &[Worker],
        finished: &mut Finished,
        started: Nanos,
        seed: u64,
    ) -> Result<(), FilesError> {
        let Some(spool) = &self.spool else { return Ok(()) };
        let all = &finished.outcome.servers;
        let rows = |worker: &Worker| {
            let part = worker.part.as_ref().filter(|_| worker.state == State::Done)?;
            let place = |name| all.iter().position(|one| one == name).unwrap_or(usize::MAX);
            let servers = part.servers.iter().map(place).collect();
            Some(Rows { spool: worker.rows.clone()?, servers })
        };
        let parts: Vec<Rows> = workers.iter().filter_map(rows).collect();
        rows::merge(&parts, spool)?;
        for path in workers.iter().filter_map(|worker| worker.rows.as_ref()) {
            // Of a lost generator there may be none.
            let _ = std::fs::remove_file(path);
        }
        self.files.map_or(Ok(()), |files| files.finish(config, finished, started, seed))
    }
}

/// One generator.
struct Worker {
    address: SocketAddr,
    stream: TcpStream,
    /// Its clock minus ours, in nanoseconds.
    ahead: i128,
    /// Where its rows go, if they are wanted.
    rows: Option<PathBuf>,
    /// What it counted, as far as it said.
    part: Option<Part>,
    state: State,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Working,
    Done,
    Lost(String),
}

/// Waits for the generators, has them send the plan, and puts together what they counted.
pub(in crate::cli::load) fn run(
    arguments: &LoadArgs,
    address: SocketAddr,
) -> Result<Finished, Refused> {
    let job = arguments.job().map_err(usage)?;
    let (config, seed) = job.config(Nanos::ZERO, Share::default()).map_err(usage)?;
    let results = Results::begin(arguments).map_err(usage)?;
    let stop = interrupt::flag().map_err(failed)?;
    let mut workers = gather(address, arguments.generators, &stop).map_err(failed)?;
    let (events, heard) = mpsc::channel();
    for (worker, index) in workers.iter_mut().zip(0..) {
        let share = Share { index, of: arguments.generators };
        worker.rows = results.rows_of(index);
        prepare(worker, &job, share).map_err(|error| {
            failed(format!("the generator at {} cannot: {error}", worker.address))
        })?;
    }
    let zero = clock::now() + LEAD;
    for (worker, index) in workers.iter_mut().zip(0..) {
        let theirs = Nanos((i128::from(zero.0) + worker.ahead).max(0) as u64);
        say(&mut worker.stream, &ToWorker::Start { zero: theirs }).map_err(failed)?;
        listen(worker, index, &events).map_err(failed)?;
    }
    drop(events);
    let words = format!("{}, {} generators", job.words(&config), workers.len());
    let started = clock::wall() + zero.since(clock::now());
    let mut onlooker = Onlooker::new(arguments, Span(config.end.0), words);
    let mut judged = Vec::new();
    follow(&mut workers, &heard, &mut onlooker, zero, &config, &stop, &mut judged);
    onlooker.clear();
    let mut finished = finish(arguments, &config, &workers, judged, onlooker);
    results.finish(&config, &workers, &mut finished, started, seed).map_err(failed)?;
    Ok(finished)
}

/// Accepts `count` generators, and reads their clocks.
fn gather(address: SocketAddr, count: u32, stop: &AtomicBool) -> io::Result<Vec<Worker>> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let listening = listener.local_addr()?;
    eprintln!("lab: waiting at {listening} for {count} generators: lab load --join {listening}");
    let mut workers = Vec::new();
    while workers.len() < count as usize {
        if stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted while waiting for generators"));
        }
        match listener.accept() {
            Ok((stream, address)) => match greet(stream, address) {
                Ok(worker) => {
                    eprintln!("lab: {address} joined, {} of {count}", workers.len() + 1);
                    workers.push(worker);
                }
                Err(error) => eprintln!("lab: {address} is no generator: {error}"),
            },
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(workers)
}

fn greet(mut stream: TcpStream, address: SocketAddr) -> io::Result<Worker> {
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    match hear(&mut lines)? {
        ToCoordinator::Hello { version: VERSION } => {}
        _ => return Err(io::Error::other("it is of another version of lab")),
    }
    let mut best: Option<(Span, i128)> = None;
    for _ in 0..CLOCK_ASKED {
        let asked = clock::now();
        say(&mut stream, &ToWorker::Clock)?;
        let ToCoordinator::Clock { now: theirs } = hear(&mut lines)? else {
            return Err(io::Error::other("it does not tell its clock"));
        };
        let took = clock::now().since(asked);
        let ahead = i128::from(theirs.0) - i128::from(asked.0) - i128::from(took.0 / 2);
        if best.is_none_or(|(quickest, _)| took < quickest) {
            best = Some((took, ahead));
        }
    }
    let ahead = best.map_or(0, |(_, ahead)| ahead);
    Ok(Worker { address, stream, ahead, rows: None, part: None, state: State::Working })
}

fn prepare(worker: &mut Worker, job: &Job, share: Share) -> io::Result<()> {
    let (job, rows) = (Box::new(job.clone()), worker.rows.is_some());
    say(&mut worker.stream, &ToWorker::Order { job, share, rows })?;
    let mut lines = BufReader::new(worker.stream.try_clone()?);
    // Looking names up and handshakes take their time.
    worker.stream.set_read_timeout(Some(SILENCE * 3))?;
    match hear(&mut lines)? {
        ToCoordinator::Ready => Ok(()),
        ToCoordinator::Failed { why } => Err(io::Error::other(why)),
        _ => Err(io::Error::other("it does not say that it is ready")),
    }
}

type Event = (usize, io::Result<ToCoordinator>);

/// Hands on what the generator says, until it is done or lost.
fn listen(worker: &Worker, index: usize, events: &Sender<Event>) -> io::Result<()> {
    let stream = worker.stream.try_clone()?;
    stream.set_read_timeout(Some(SILENCE))?;
    let (mut lines, events) = (BufReader::new(stream), events.clone());
    let rows = worker.rows.clone();
    std::thread::spawn(move || {
        loop {
            let mut message = hear(&mut lines);
            if let Ok(ToCoordinator::Rows { bytes }) = message {
                match keep(&mut lines, bytes, rows.as_deref()) {
                    Ok(()) => continue,
                    Err(error) => message = Err(error),
                }
            }
            let last = !matches!(message, Ok(ToCoordinator::Progress(_)));
            if events.send((index, message)).is_err() || last {
                return;
            }
        }
    });
    Ok(())
}

/// Writes the rows that follow to `path`.
fn keep(lines: &mut impl io::Read, bytes: u64, path: Option<&Path>) -> io::Result<()> {
    let path = path.ok_or_else(|| io::Error::other("it sends rows that nobody asked for"))?;
    match io::copy(&mut lines.take(bytes), &mut File::create(path)?)? {
        copied if copied == bytes => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Until every generator is done or lost.
fn follow(
    workers: &mut [Worker],
    heard: &Receiver<Event>,
    onlooker: &mut Onlooker,
    zero: Nanos,
    config: &LoadConfig,
    stop: &AtomicBool,
    judged: &mut Vec<Validity>,
) {
    let mut stopping = false;
    let mut looked = clock::now();
    while workers.iter().any(|worker| worker.state == State::Working) {
        match heard.recv_timeout(LOOK) {
            Ok((index, message)) => take(&mut workers[index], message, judged),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let due = clock::now().since(looked).to_std() >= LOOK;
        let mut end = stop.load(Ordering::Relaxed);
        if due {
            looked = clock::now();
            let so_far = merged(workers, config);
            let at = clock::now().since(zero);
            let seen = Seen { at, tally: &so_far.tally, servers: &so_far.servers };
            end |= onlooker.look(&seen) == ControlFlow::Break(());
        }
        if end && !stopping {
            stopping = true;
            for worker in workers.iter_mut().filter(|worker| worker.state == State::Working) {
                // Whoever cannot hear it is lost, which its connection tells.
                let _ = say(&mut worker.stream, &ToWorker::Stop);
            }
        }
    }
}

fn take(worker: &mut Worker, message: io::Result<ToCoordinator>, judged: &mut Vec<Validity>) {
    match message {
        Ok(ToCoordinator::Progress(part)) => worker.part = Some(*part),
        Ok(ToCoordinator::Done { part, validity }) => {
            worker.part = Some(*part);
            worker.state = State::Done;
            judged.push(validity);
        }
        Ok(ToCoordinator::Failed { why }) => worker.state = State::Lost(why),
        Ok(_) => worker.state = State::Lost("it spoke out of turn".to_owned()),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                    "its connection ended".to_owned()
                }
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    format!("it said nothing for {} s", SILENCE.as_secs())
                }
                _ => error.to_string(),
            };
            worker.state = State::Lost(why);
        }
    }
}

fn merged(workers: &[Worker], config: &LoadConfig) -> Outcome {
    let parts = workers.iter().filter_map(|worker| worker.part.clone());
    let parts: Vec<Outcome> = parts.map(Outcome::from).collect();
    Outcome::merged(&parts, Tally::new(&config.traffic, config.extras.warm_up))
}

fn finish(
    arguments: &LoadArgs,
    config: &LoadConfig,
    workers: &[Worker],
    judged: Vec<Validity>,
    onlooker: Onlooker,
) -> Finished {
    let outcome = merged(workers, config);
    let open = matches!(config.traffic.source, Source::Open { .. });
    let mut finished = arguments.judge(outcome, onlooker.before, open, onlooker.abort);
    let done = workers.iter().filter(|worker| worker.state == State::Done).count();
    finished.validity = Validity::worst(judged).unwrap_or_default();
    finished.validity.items.push(ValidityItem {
        name: "generators".to_owned(),
        measured: format!("{done} to the end"),
        limit: format!("all {}", workers.len()),
        held: done == workers.len(),
    });
    for worker in workers {
        if let State::Lost(why) = &worker.state {
            finished.incomplete = true;
            let counted = worker.part.as_ref().map_or(0, |part| part.tally.requests);
            finished.remarks.push(format!(
                "the generator at {} was lost: {why}; of its requests only the first {counted} \
                 are counted{}",
                worker.address,
                if worker.rows.is_some() { ", and none is among the rows" } else { "" }
            ));
        }
    }
    finished
}
