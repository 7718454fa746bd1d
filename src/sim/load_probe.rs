//! Load probes: on their way to a backend, and back with its answer.
//!
//! A probe takes the two legs between balancer and backend that a request takes, as calibrated.
//! What is dead, stopped or cut off does not answer, and an answer after the time-out is lost.

use super::event::Event;
use super::observe::Observe;
use super::world::World;
use crate::policy::{Algorithm, LoadReport, PeerId};
use crate::record::Sink;
use crate::units::{Nanos, Span};

/// A probe under way.
#[derive(Clone, Copy, Debug)]
struct Probe {
    view: u32,
    peer: PeerId,
    leg: Span,
    /// Known on the way back.
    answer: Option<LoadReport>,
}

/// The probes under way, in slots that are used again, and how many there were.
#[derive(Debug)]
pub(super) struct LoadProbes {
    slots: Vec<Probe>,
    free: Vec<u32>,
    sent: u64,
    timeout: Span,
}

impl LoadProbes {
    /// None yet; what takes longer than the time-out of `algorithm` is lost.
    pub(super) const fn new(algorithm: Algorithm) -> Self {
        let timeout = match algorithm.load_probe_timeout() {
            Some(timeout) => timeout,
            None => Span::MAX,
        };
        Self { slots: Vec::new(), free: Vec::new(), sent: 0, timeout }
    }

    fn keep(&mut self, probe: Probe) -> u32 {
        if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = probe;
            return slot;
        }
        self.slots.push(probe);
        self.slots.len() as u32 - 1
    }
}

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// A view's machine asks a peer for its load.
    pub(super) fn probe_load(&mut self, view: u32, peer: PeerId) {
        let number = self.load_probes.sent;
        self.load_probes.sent += 1;
        let leg = self.hops.probe_leg(number);
        if leg * 2 > self.load_probes.timeout {
            return;
        }
        if leg == Span::ZERO {
            if let Some(load) = self.load_of(peer) {
                self.views[view as usize].upstream.load_probe_result(self.now, peer, load);
            }
            return;
        }
        let slot = self.load_probes.keep(Probe { view, peer, leg, answer: None });
        self.queue.push(self.now + leg, Event::LoadProbe(slot));
    }

    /// A probe has reached its backend, or its answer the balancer.
    pub(super) fn go_on_probing(&mut self, slot: u32) {
        let probe = self.load_probes.slots[slot as usize];
        let answer = match probe.answer {
            None => self.load_of(probe.peer),
            Some(load) => {
                let upstream = &mut self.views[probe.view as usize].upstream;
                upstream.load_probe_result(self.now, probe.peer, load);
                None
            }
        };
        self.load_probes.slots[slot as usize].answer = answer;
        if answer.is_some() {
            self.queue.push(self.now + probe.leg, Event::LoadProbe(slot));
        } else {
            self.load_probes.free.push(slot);
        }
    }

    /// What a peer answers now, if it does.
    fn load_of(&mut self, peer: PeerId) -> Option<LoadReport> {
        let now: Nanos = self.now;
        let instance = self.fleet.get_mut(peer.index())?;
        let answers = !instance.crashed && instance.deaf_until() <= now;
        answers.then(|| instance.station.load(now))
    }
}
