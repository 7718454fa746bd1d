//! A real engine as an arm.

use lab::host::clock;
use lab::units::{Nanos, Span};

use super::play::{Arm, Saw};
use super::script::Server;
use crate::engines::Tried;
use crate::engines::stage::{Behaviour, Placed, Request, Seen, Stage};

/// A stage for these servers.
pub(crate) fn stage(servers: &[Server]) -> Stage {
    let refusing = (0..servers.len()).filter(|place| servers[*place].refuses);
    done(Stage::new(servers.len(), &refusing.collect::<Vec<usize>>()))
}

/// The value, or the end of the test with what went wrong.
#[track_caller]
pub(crate) fn done<T>(tried: Tried<T>) -> T {
    tried.unwrap_or_else(|problem| panic!("{problem}"))
}

/// `E` is the engine, which runs as long as the arm.
pub(crate) struct Real<E> {
    pub(crate) engine: E,
    pub(crate) stage: Stage,
    /// Servers that a request tried, those that refused it too.
    pub(crate) tried: fn(&Seen, &Stage) -> Vec<usize>,
    /// Waits until the engine has given the server back; the number still in flight.
    pub(crate) settle: fn(&E, usize),
    /// The wall clock's first second, if seconds matter.
    pub(crate) first_second: Option<u64>,
    in_flight: usize,
}

impl<E> Real<E> {
    pub(crate) fn new(engine: E, stage: Stage) -> Self {
        let hits = |seen: &Seen, _: &Stage| seen.hits.clone();
        Self { engine, stage, tried: hits, settle: |_, _| (), first_second: None, in_flight: 0 }
    }
}

impl<E> Arm for Real<E> {
    fn start(&mut self, id: u64, key: Option<&str>) -> Saw {
        let placed = done(self.stage.start(Request { key, ..Request::get(id) }));
        match placed {
            Placed::At { server, .. } => {
                self.in_flight += 1;
                Saw::At(server)
            }
            Placed::Refused(status) => Saw::Refused(status),
            Placed::Queued => Saw::Queued,
        }
    }

    fn finish(&mut self, id: u64) -> Vec<(u64, usize)> {
        done(self.stage.finish(id));
        self.in_flight -= 1;
        (self.settle)(&self.engine, self.in_flight);
        Vec::new()
    }

    fn ask(&mut self, id: u64, method: &str, behaviours: &[Behaviour]) -> Saw {
        for (server, behaviour) in behaviours.iter().enumerate() {
            self.stage.behave(server, *behaviour);
        }
        let seen = done(self.stage.ask(Request { method, ..Request::get(id) }));
        (self.settle)(&self.engine, self.in_flight);
        Saw::Answered { status: seen.status, tried: (self.tried)(&seen, &self.stage) }
    }

    fn pause(&mut self, milliseconds: u64) {
        clock::sleep_until(clock::now() + Span::from_millis(milliseconds));
    }

    /// Where seconds matter a step happens well inside one, so that there is no doubt in which.
    fn second(&mut self, _told: Option<u64>) -> u64 {
        let Some(first) = self.first_second else { return 0 };
        loop {
            let Nanos(wall) = clock::wall();
            if (20_000_000..900_000_000).contains(&(wall % 1_000_000_000)) {
                return wall / 1_000_000_000 - first;
            }
            self.pause(5);
        }
    }
}
