//! The threads of a run: started, asked how far they are, told to stop.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::super::config::LoadError;
use super::super::run::{DRAIN, LOOK, Sent};
use super::super::tally::Tally;
use super::super::watch::{Seen, Watch};
use super::shared::Shared;
use super::worker::Worker;
use crate::host::poll::{Poll, Waker};
use crate::host::{clock, priority, usage};
use crate::units::Span;

/// Token of the waker among the events of a thread.
pub(super) const WAKE: u64 = u64::MAX;

const STOP: u8 = 1;
const GIVE_UP: u8 = 2;
const CUT: u8 = 4;

/// What a thread is asked for, by others.
#[derive(Debug)]
pub(super) struct Orders {
    asked: AtomicU8,
    spare: Mutex<Tally>,
    waker: Waker,
    index: usize,
    tell: UnboundedSender<Word>,
}

/// What to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// Send no more.
    pub(super) stop: bool,
    /// Wait for nothing more.
    pub(super) give_up: bool,
    /// Hand over what was counted.
    pub(super) cut: bool,
}

/// What a thread says.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a few each second, and most are the large one")]
enum Word {
    Cut { index: usize, tally: Tally },
    Ended { index: usize, work: Result<Box<Work>, LoadError> },
}

/// What a thread did.
#[derive(Debug)]
struct Work {
    tally: Tally,
    opened: u64,
    resent: u64,
    starved: u64,
    most_open: u64,
    cpu: Span,
    /// Part of it that went into spinning.
    spun: Span,
    waited_for_core: Span,
}

impl Orders {
    /// `poll` hears of them.
    pub(super) fn heard_by(&self, poll: &Poll) -> io::Result<()> {
        poll.add(&self.waker, WAKE)
    }

    /// Takes what is asked for.
    pub(super) fn take(&self) -> Asked {
        let asked = match self.asked.load(Ordering::Relaxed) {
            0 => 0,
            _ => self.asked.swap(0, Ordering::Acquire),
        };
        let has = |order| asked & order != 0;
        Asked { stop: has(STOP), give_up: has(GIVE_UP), cut: has(CUT) }
    }

    /// An empty tally to go on with.
    pub(super) fn spare(&self) -> Tally {
        std::mem::take(&mut *self.spare.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What was counted until now.
    pub(super) fn answer(&self, tally: Tally) {
        let _ = self.tell.send(Word::Cut { index: self.index, tally });
    }

    fn give_back(&self, mut tally: Tally) {
        tally.clear();
        *self.spare.lock().unwrap_or_else(PoisonError::into_inner) = tally;
    }

    fn ask(&self, order: u8) {
        self.asked.fetch_or(order, Ordering::Release);
        self.waker.wake();
    }
}

/// All threads. Dropped, they end at once.
struct Crew {
    orders: Vec<Arc<Orders>>,
    /// Threads that were asked for a cut and have not answered.
    owing: Vec<bool>,
    /// Requests in flight of each, when it was last heard of.
    in_flight: Vec<u64>,
    working: usize,
}

impl Crew {
    fn start(shared: &Arc<Shared>) -> io::Result<(Self, UnboundedReceiver<Word>)> {
        let (tell, heard) = unbounded_channel();
        let count = shared.threads as usize;
        let (owing, in_flight) = (vec![false; count], vec![0; count]);
        let mut crew = Self { orders: Vec::new(), owing, in_flight, working: 0 };
        for index in 0..count {
            let orders = Arc::new(Orders {
                asked: AtomicU8::new(0),
                spare: Mutex::new(shared.tally()),
                waker: Waker::new()?,
                index,
                tell: tell.clone(),
            });
            crew.orders.push(Arc::clone(&orders));
            let shared = Arc::clone(shared);
            let name = format!("load-{index}");
            thread::Builder::new().name(name).spawn(move || {
                let work = work(&shared, &orders).map(Box::new);
                let _ = orders.tell.send(Word::Ended { index, work });
            })?;
            crew.working += 1;
        }
        Ok((crew, heard))
    }

    fn ask(&self, order: u8) {
        self.orders.iter().for_each(|orders| orders.ask(order));
    }

    /// Asks all for what they counted, unless one still owes the last answer.
    fn ask_for_cut(&mut self) {
        if !self.is_owed() {
            self.owing.fill(true);
            self.ask(CUT);
        }
    }

    fn is_owed(&self) -> bool {
        self.owing.contains(&true)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.ask(STOP | GIVE_UP);
    }
}

/// The life of a thread.
fn work(shared: &Shared, orders: &Orders) -> Result<Work, LoadError> {
    priority::precise_timers();
    if shared.real_time {
        priority::real_time().map_err(LoadError::RealTime)?;
    }
    let mut worker = Worker::new(shared, orders, orders.index as u32).map_err(LoadError::Timer)?;
    let tally = worker.work().map_err(LoadError::Timer)?;
    let cpu = usage::thread_cpu_time();
    Ok(Work {
        tally,
        opened: worker.opened,
        resent: worker.resent,
        starved: worker.starved,
        most_open: worker.most_open(),
        cpu,
        // It is counted by the clock, and others may have had the core meanwhile.
        spun: worker.spun().min(cpu),
        waited_for_core: usage::thread_waited_for_core(),
    })
}

/// Sends the plan. When `stop` resolves, or `watch` breaks, arrivals end, and what is not answered
/// soon is interrupted; tells whether that came about.
///
/// # Errors
/// See [`LoadError`].
pub(in crate::load) async fn run(
    shared: Shared,
    watch: &mut dyn Watch,
    stop: impl Future<Output = ()>,
) -> Result<(Sent, bool), LoadError> {
    let shared = Arc::new(shared);
    let (mut crew, mut heard) = Crew::start(&shared).map_err(LoadError::Timer)?;
    let mut sent = Sent { tally: shared.tally(), ..Sent::default() };
    let mut stop = pin!(stop);
    let mut tick = tokio::time::interval(LOOK);
    let mut patience = None;
    let mut partial = false;
    while crew.working > 0 {
        tokio::select! {
            biased;
            word = heard.recv() => {
                hear(word, &mut crew, &mut sent)?;
                if !crew.is_owed() && look(&shared, &crew, &mut sent, watch) && !partial {
                    partial = true;
                    patience = Some(Instant::now() + DRAIN);
                    crew.ask(STOP);
                }
            }
            () = stop.as_mut(), if !partial => {
                partial = true;
                patience = Some(Instant::now() + DRAIN);
                crew.ask(STOP);
            }
            () = until(patience) => {
                patience = None;
                crew.ask(GIVE_UP);
            }
            _ = tick.tick() => {
                shared.flush();
                crew.ask_for_cut();
            }
        }
    }
    shared.flush();
    if let Some(error) = shared.failure() {
        return Err(error.into());
    }
    sent.tally.shows_in_flight(0);
    sent.servers.clone_from(&shared.servers().names);
    Ok((sent, partial))
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

fn hear(word: Option<Word>, crew: &mut Crew, sent: &mut Sent) -> Result<(), LoadError> {
    match word {
        Some(Word::Cut { index, tally }) => {
            crew.owing[index] = false;
            crew.in_flight[index] = tally.in_flight();
            sent.tally.add(&tally);
            crew.orders[index].give_back(tally);
        }
        Some(Word::Ended { index, work }) => {
            let work = work?;
            crew.owing[index] = false;
            crew.in_flight[index] = 0;
            crew.working -= 1;
            sent.tally.add(&work.tally);
            sent.opened += work.opened;
            sent.resent += work.resent;
            sent.starved += work.starved;
            sent.most_open += work.most_open;
            sent.busiest = sent.busiest.max(Span(work.cpu.0 - work.spun.0));
            sent.spun += work.spun;
            sent.waited_for_core += work.waited_for_core;
        }
        // Whoever ends says so, unless it panics.
        None => {
            return Err(LoadError::Timer(io::Error::other("a thread of the generator is gone")));
        }
    }
    Ok(())
}

/// Shows what was counted so far; whether the run is to end.
fn look(shared: &Shared, crew: &Crew, sent: &mut Sent, watch: &mut dyn Watch) -> bool {
    sent.tally.shows_in_flight(crew.in_flight.iter().sum());
    let servers = shared.servers();
    let at = clock::now().since(shared.config.zero);
    let seen = Seen { at, tally: &sent.tally, servers: &servers.names };
    watch.look(&seen).is_break()
}
