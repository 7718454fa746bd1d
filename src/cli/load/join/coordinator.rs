//! The coordinator of several generators: `lab load --listen-join`.

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::{Part, SILENCE, ToCoordinator, ToWorker, VERSION, hear, say};
use crate::compare::{Validity, ValidityItem};
use crate::host::{clock, interrupt};
use crate::load::{LoadConfig, Outcome, Seen, Share, Tally, Watch};
use crate::traffic::Source;
use crate::units::{Nanos, Span};

use super::super::{Finished, LoadArgs, Onlooker, Refused, failed, usage};

/// How often a clock is asked; the quickest answer counts.
const CLOCK_ASKED: u32 = 8;
/// From the last word to all generators to their common zero.
const LEAD: Span = Span::from_millis(300);
const LOOK: Duration = Duration::from_millis(250);

/// One generator.
struct Worker {
    address: SocketAddr,
    stream: TcpStream,
    /// Its clock minus ours, in nanoseconds.
    ahead: i128,
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
    let order = arguments.order().map_err(usage)?;
    let config = order.config(Nanos::ZERO, Share::default()).map_err(usage)?;
    let stop = interrupt::flag().map_err(failed)?;
    let mut workers = gather(address, arguments.generators, &stop).map_err(failed)?;
    let (events, heard) = mpsc::channel();
    for (worker, index) in workers.iter_mut().zip(0..) {
        let share = Share { index, of: arguments.generators };
        prepare(worker, &order, share).map_err(|error| {
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
    let words = format!("{}, {} generators", order.words(), workers.len());
    let mut onlooker = Onlooker::new(arguments, Span(config.end.0), words);
    let mut judged = Vec::new();
    follow(&mut workers, &heard, &mut onlooker, zero, &config, &stop, &mut judged);
    onlooker.clear();
    Ok(finish(arguments, &config, workers, judged, onlooker))
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
    Ok(Worker { address, stream, ahead, part: None, state: State::Working })
}

fn prepare(worker: &mut Worker, order: &super::Order, share: Share) -> io::Result<()> {
    let order = Box::new(order.clone());
    say(&mut worker.stream, &ToWorker::Order { order, share })?;
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
    std::thread::spawn(move || {
        loop {
            let message = hear(&mut lines);
            let last = !matches!(message, Ok(ToCoordinator::Progress(_)));
            if events.send((index, message)).is_err() || last {
                return;
            }
        }
    });
    Ok(())
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
    workers: Vec<Worker>,
    judged: Vec<Validity>,
    onlooker: Onlooker,
) -> Finished {
    let outcome = merged(&workers, config);
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
    for worker in &workers {
        if let State::Lost(why) = &worker.state {
            finished.incomplete = true;
            let counted = worker.part.as_ref().map_or(0, |part| part.tally.requests);
            finished.remarks.push(format!(
                "the generator at {} was lost: {why}; of its requests only the first {counted} \
                 are counted",
                worker.address
            ));
        }
    }
    finished
}
