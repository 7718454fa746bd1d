//! One thread: sends what is due, reads what comes, and counts both.

use std::collections::VecDeque;
use std::io;

use super::super::alarm::Alarm;
use super::super::config::Pace;
use super::super::rules;
use super::super::tally::Tally;
use super::connection::{Connection, Flight};
use super::crew::{Orders, WAKE};
use super::deadlines::Deadlines;
use super::idle::{Idle, Taken};
use super::response::Answer;
use super::schedule::{Due, Schedule};
use super::shared::{Names, Shared};
use crate::host::clock;
use crate::host::poll::Poll;
use crate::record::{RequestError, RequestRow};
use crate::traffic::Source;
use crate::units::{Nanos, Span, World};

/// Read at once, of all connections.
const BUFFER: usize = 64 << 10;
/// Requests that may go out behind the schedule before responses get a turn.
const STREAK: u32 = 16;
/// So shortly before an instant, sockets wait for their turn.
const LAST: Span = Span::from_micros(4);

/// A thread of the generator.
pub(super) struct Worker<'a> {
    pub(super) shared: &'a Shared,
    orders: &'a Orders,
    pub(super) poll: Poll,
    schedule: Schedule<'a>,
    /// To meet instants exactly.
    alarm: Option<Alarm>,
    pub(super) connections: Vec<Connection>,
    pub(super) vacant: Vec<u32>,
    pub(super) idle: Idle,
    /// Requests that wait for a connection.
    waiting: VecDeque<Flight>,
    pub(super) deadlines: Deadlines,
    pub(super) names: Names,
    tally: Tally,
    pub(super) buffer: Box<[u8]>,
    /// Requests on a connection before it is closed.
    per_connection: u32,
    /// Connections opened.
    pub(super) opened: u64,
    /// Requests sent again on another connection.
    pub(super) resent: u64,
    /// Connections that could not be opened for want of a port or a descriptor.
    pub(super) starved: u64,
}

impl<'a> Worker<'a> {
    /// Thread `index` of the run.
    ///
    /// # Errors
    /// When the process is out of descriptors.
    pub(super) fn new(shared: &'a Shared, orders: &'a Orders, index: u32) -> io::Result<Self> {
        let poll = Poll::new()?;
        orders.heard_by(&poll)?;
        let config = &shared.config;
        let source = &config.traffic.source;
        let per_connection = match config.traffic.client.requests_per_connection {
            0 => u32::MAX,
            limit => limit,
        };
        let exact = config.pace == Pace::Exact && matches!(source, Source::Open { .. });
        Ok(Self {
            alarm: exact.then(Alarm::new),
            schedule: Schedule::new(&shared.plan, source, config.zero, shared.part(index)),
            idle: Idle::new(shared.connections(index)),
            shared,
            orders,
            poll,
            connections: Vec::new(),
            vacant: Vec::new(),
            waiting: VecDeque::new(),
            deadlines: Deadlines::default(),
            names: Names::default(),
            tally: shared.tally(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
            per_connection,
            opened: 0,
            resent: 0,
            starved: 0,
        })
    }

    /// Works until nothing is due and nothing in flight; what it counted since the last cut.
    ///
    /// # Errors
    /// When the kernel refuses to wait.
    pub(super) fn work(&mut self) -> io::Result<Tally> {
        loop {
            self.obey();
            self.expire();
            let wake = self.send_due();
            if self.tally.in_flight() == 0 && self.schedule.next().is_none() {
                return Ok(std::mem::take(&mut self.tally));
            }
            let waiting = self.waiting.front().map(|flight| flight.deadline);
            let others = [waiting, self.deadlines.next()].into_iter().flatten().min();
            let count = self.wait(wake, others)?;
            for index in 0..count {
                let ready = self.poll.ready(index);
                if ready.token != WAKE {
                    self.react(ready);
                }
            }
        }
    }

    /// Waits for events, at most until `wake`, when a request is due, or until one of the `others`
    /// is over; how many there are.
    fn wait(&mut self, wake: Option<Nanos>, others: Option<Nanos>) -> io::Result<usize> {
        let now = clock::now();
        let (Some(wake), Some(alarm)) = (wake, &mut self.alarm) else {
            let next = [wake, others].into_iter().flatten().min();
            return self.poll.wait(next.map(|at| at.since(now)));
        };
        let early = alarm.before(wake);
        let next = others.map_or(early, |others| others.min(early));
        if now < next {
            let count = self.poll.wait(Some(next.since(now)))?;
            if count == 0 && next == early {
                alarm.rang(early, clock::now());
            }
            return Ok(count);
        }
        let mut count = 0;
        if now < wake && wake <= now + LAST {
            while clock::now() < wake {
                std::hint::spin_loop();
            }
        } else {
            // Also behind the schedule, or answers would never be read.
            count = self.poll.wait(Some(Span::ZERO))?;
        }
        if count == 0 && now < wake {
            alarm.spun(clock::elapsed(now));
        }
        Ok(count)
    }

    /// CPU time that went into spinning.
    pub(super) fn spun(&self) -> Span {
        self.alarm.map_or(Span::ZERO, |alarm| alarm.cost())
    }

    /// Most connections open at once.
    pub(super) fn most_open(&self) -> u64 {
        self.connections.len() as u64
    }

    /// Does what other threads ask for.
    fn obey(&mut self) {
        let asked = self.orders.take();
        if asked.stop || self.shared.has_failed() {
            self.schedule.stop();
        }
        if asked.give_up {
            self.give_up();
        }
        if asked.cut {
            let now = clock::now();
            let cut = self.tally.cut(now, self.orders.spare());
            self.orders.answer(cut);
        }
    }

    /// Ends what is in flight as interrupted.
    fn give_up(&mut self) {
        let now = clock::now();
        while let Some(flight) = self.waiting.pop_front() {
            self.conclude(flight, Err(RequestError::Interrupted), now);
        }
        for slot in 0..self.connections.len() as u32 {
            self.finish(slot, Err(RequestError::Interrupted), now);
        }
    }

    /// Ends what has waited for too long.
    fn expire(&mut self) {
        let first = self.waiting.front().map(|flight| flight.deadline);
        let Some(next) = first.into_iter().chain(self.deadlines.next()).min() else { return };
        let now = clock::now();
        if now < next {
            return;
        }
        while let Some(place) = self.deadlines.pop(now) {
            if self.connections[place.slot as usize].generation == place.generation {
                self.finish(place.slot, Err(RequestError::Timeout), now);
            }
        }
        while self.waiting.front().is_some_and(|flight| flight.deadline <= now) {
            if let Some(flight) = self.waiting.pop_front() {
                self.conclude(flight, Err(RequestError::Timeout), now);
            }
        }
        self.serve_waiting();
    }

    /// Sends what is due; when to come back.
    fn send_due(&mut self) -> Option<Nanos> {
        for _ in 0..STREAK {
            let due = self.schedule.next()?;
            let wake = match self.shared.config.pace {
                Pace::Exact | Pace::Timer => due,
                Pace::Batch(Span(grid)) => Nanos(due.0.div_ceil(grid.max(1)).saturating_mul(grid)),
            };
            let now = clock::now();
            if now < wake {
                return Some(wake);
            }
            let taken = self.schedule.take()?;
            self.launch(taken, now);
        }
        Some(Nanos::ZERO)
    }

    /// Sends a request now.
    fn launch(&mut self, (request, due): Due, now: Nanos) {
        let shared = self.shared;
        self.tally.due(shared.config.zero, due, now);
        let deadline = due + shared.config.traffic.client.timeout;
        let mut row = RequestRow {
            world: World::Live,
            replication: shared.config.replication,
            id: request.id,
            class: request.class,
            scheduled_ns: shared.relative(due),
            ..RequestRow::BLANK
        };
        let Some(in_flight) = shared.admit() else {
            row.error = RequestError::Dropped;
            row.finished_ns = shared.relative(deadline);
            return self.settle(&row, now);
        };
        self.tally.began(now);
        self.tally.max_in_flight = self.tally.max_in_flight.max(in_flight);
        let route = shared.route(&request);
        let template = shared.template(route.target, request.class);
        let (no_body, idempotent) = (template.is_head, template.is_idempotent);
        let flight = Flight { row, request, route, began: now, deadline, no_body, idempotent };
        match self.idle.take(route) {
            Taken::Connection(slot) => self.send(slot, flight, now),
            Taken::Open { instead_of } => {
                if let Some(slot) = instead_of {
                    self.vacate(slot);
                }
                self.open(flight, now);
            }
            Taken::Wait => self.waiting.push_back(flight),
        }
    }

    /// The request in `slot` ended at `now`; without one, nothing happens.
    pub(super) fn finish(&mut self, slot: u32, outcome: Result<Answer, RequestError>, now: Nanos) {
        let connection = &mut self.connections[slot as usize];
        let Some(flight) = connection.flight.take() else { return };
        connection.generation = connection.generation.wrapping_add(1);
        let keep = outcome.is_ok_and(|answer| answer.keep_alive);
        if keep && connection.carried < self.per_connection {
            self.idle.put(connection.route, slot);
        } else {
            self.idle.closed();
            self.vacate(slot);
        }
        self.conclude(flight, outcome, now);
    }

    /// Closes the connection in `slot`.
    pub(super) fn vacate(&mut self, slot: u32) {
        self.connections[slot as usize].close();
        self.vacant.push(slot);
    }

    /// What became of a request that was in flight.
    fn conclude(&mut self, flight: Flight, outcome: Result<Answer, RequestError>, now: Nanos) {
        let mut row = flight.row;
        let finished = match outcome {
            Ok(answer) => {
                (row.status, row.bytes) = (answer.status, answer.bytes);
                now
            }
            Err(error) => {
                row.error = error;
                rules::failed_at(error, now, flight.deadline)
            }
        };
        row.finished_ns = self.shared.relative(finished);
        self.tally.ended(flight.began, now);
        self.shared.release();
        self.settle(&row, now);
    }

    /// Puts a row into the books, and lets its user go on.
    fn settle(&mut self, row: &RequestRow, now: Nanos) {
        self.tally.outcome(row);
        self.shared.keep(row, now);
        self.schedule.ended(row.id, self.shared.instant(row.finished_ns));
    }

    /// Gives free connections to those who wait for one.
    pub(super) fn serve_waiting(&mut self) {
        while self.idle.is_available()
            && let Some(flight) = self.waiting.pop_front()
        {
            let now = clock::now();
            match self.idle.take(flight.route) {
                Taken::Connection(slot) => self.send(slot, flight, now),
                Taken::Open { instead_of } => {
                    if let Some(slot) = instead_of {
                        self.vacate(slot);
                    }
                    self.open(flight, now);
                }
                Taken::Wait => {
                    self.waiting.push_front(flight);
                    return;
                }
            }
        }
    }

    /// A user who does not think sends the next request as soon as the last one is answered, on the
    /// same connection.
    pub(super) fn send_at_once(&mut self) {
        let Schedule::Closed(_) = self.schedule else { return };
        if self.schedule.next().is_none() {
            return;
        }
        let _ = self.send_due();
    }
}
