//! What an upstream machine wants done: wake-ups, turns in its line, health checks, and news.

use super::event::Event;
use super::observe::{Observe, Seen};
use super::world::World;
use crate::policy::{Event as Wish, Next, PeerId, PeerState};
use crate::record::{AttemptSource, EventKind, PickedBecause, Sink};
use crate::units::draw::unit_open;
use crate::units::{Nanos, Purpose, World as Which};

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// Does what the machine of `view` wants done after it was told something, and sees to it
    /// that it is woken in time.
    #[inline(always)]
    pub(super) fn settle(&mut self, view: u32) {
        if !self.views[view as usize].upstream.is_quiet() {
            self.settle_wishes(view);
        }
    }

    #[inline(never)]
    fn settle_wishes(&mut self, view: u32) {
        while let Some(wish) = self.views[view as usize].upstream.poll_event() {
            self.grant(view, wish);
        }
        let state = &mut self.views[view as usize];
        if let Some(at) = state.upstream.next_timeout()
            && at < state.armed
        {
            state.armed = at;
            self.queue.push(at.max(self.now), Event::Wake(view));
        }
    }

    fn grant(&mut self, view: u32, wish: Wish) {
        match wish {
            Wish::Turn(ticket, attempt) => {
                let slot = self.views[view as usize].redeem(ticket).expect("a ticket has a slot");
                self.follow(slot, Next::Retry(attempt), PickedBecause::Turn);
            }
            Wish::Expired(ticket, refusal) => {
                let slot = self.views[view as usize].redeem(ticket).expect("a ticket has a slot");
                self.refuse(slot, refusal);
            }
            Wish::ProbeDue(peer) => self.probe(view, peer),
            Wish::LoadProbeDue(peer) => self.probe_load(view, peer),
            Wish::RetryWithheld { id } => self.retry_withheld(view, id),
            Wish::Panic(begins) => self.panic(view, begins),
            Wish::Changed { peer, state, reason } => self.peer_changed(view, peer, state, reason),
        }
    }

    /// The wake-up of `view` is due; a later one may be in the queue as well, which does no harm.
    pub(super) fn wake(&mut self, view: u32) {
        let state = &mut self.views[view as usize];
        if state.armed <= self.now {
            state.armed = Nanos::MAX;
        }
        state.upstream.handle_timeout(self.now);
        self.settle(view);
    }

    /// Asks a backend for its health.
    fn probe(&mut self, view: u32, peer: PeerId) {
        let backend = peer.0;
        let instance = &self.fleet[peer.index()];
        let timeout = self.scenario.balancer.upstream.health.as_ref().map(|health| health.timeout);
        let gives_up = self.now + timeout.unwrap_or_default();
        let deaf_until = instance.deaf_until();
        if instance.crashed {
            self.views[view as usize].upstream.probe_result(self.now, peer, false);
        } else if deaf_until <= self.now {
            self.answer_probe(view, backend);
        } else {
            let answered = deaf_until <= gives_up;
            let at = if answered { deaf_until } else { gives_up };
            self.queue.push(at, Event::Probe { view, backend, answered });
        }
    }

    /// The answer to a health check that had to wait is known.
    pub(super) fn end_probe(&mut self, view: u32, backend: u32, answered: bool) {
        if answered && !self.fleet[backend as usize].crashed {
            self.answer_probe(view, backend);
        } else {
            self.views[view as usize].upstream.probe_result(self.now, PeerId(backend), false);
        }
        self.settle(view);
    }

    fn answer_probe(&mut self, view: u32, backend: u32) {
        let instance = &mut self.fleet[backend as usize];
        let index = (u64::from(backend) << 32) | instance.checks;
        instance.checks += 1;
        let word = self.seed.words(Purpose::Health, index)[0];
        let passed = unit_open(word) >= instance.health_failure;
        let upstream = &mut self.views[view as usize].upstream;
        if passed {
            upstream.probe_result(self.now, PeerId(backend), true);
        } else {
            upstream.probe_answered_badly(self.now, PeerId(backend));
        }
    }

    /// The budget allows a request no retry.
    fn retry_withheld(&mut self, view: u32, id: u64) {
        self.see(view, Seen::Withheld { id });
        if S::ATTEMPTS {
            self.sink.attempt(&self.source(view).retry_withheld(self.now, id));
        }
    }

    /// Who writes the rows of `view`.
    pub(super) const fn source(&self, view: u32) -> AttemptSource {
        let view = (view % self.serving) as u16;
        AttemptSource { world: Which::Sim, replication: self.replication, view }
    }

    fn panic(&mut self, view: u32, begins: bool) {
        self.see(view, Seen::Panic(begins));
        let (kind, reason) = EventKind::of_panic(begins);
        self.record_event(kind, String::new(), reason.to_owned());
    }

    fn peer_changed(&mut self, view: u32, peer: PeerId, state: PeerState, reason: &'static str) {
        self.see(view, Seen::Changed { peer, state, reason });
        let upstream = &self.views[view as usize].upstream;
        let subject = upstream.peer(peer).map_or_else(String::new, |peer| peer.config.name.clone());
        let reason = match self.serving {
            1 => reason.to_owned(),
            _ => format!("{reason} (balancer view {view})"),
        };
        self.record_event(state.into(), subject, reason);
    }

    /// Lets the observer, if there is one, look at the machine of `view` before it decides.
    #[inline]
    pub(super) fn prepare(&mut self, view: u32) {
        if O::WATCHES {
            self.observer.prepare(&self.views[view as usize].upstream);
        }
    }

    /// Tells the observer, if there is one.
    #[inline]
    pub(super) fn see(&mut self, view: u32, seen: Seen<'_>) {
        if O::WATCHES {
            self.observer.see(self.now, view, &self.views[view as usize].upstream, seen);
        }
    }
}
