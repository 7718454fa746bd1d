//! Faults: how they begin, what they do to what is in flight, and how they end.

use super::flight::Phase;
use super::observe::{Observe, Seen};
use super::world::World;
use crate::policy::{Outcome, PeerChange, PeerId};
use crate::record::{EventKind, EventRow, Sink};
use crate::traffic::{Fault, FaultKind};
use crate::units::World as Which;

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// Fault number `number` begins or ends.
    pub(super) fn change_fault(&mut self, number: usize, begins: bool) {
        let fault = &self.scenario.faults[number];
        self.see(0, Seen::Fault(&fault.name, begins));
        let kind = if begins { EventKind::FaultBegan } else { EventKind::FaultEnded };
        self.record_event(kind, fault.name.clone(), self.describe(fault));
        for &target in &fault.targets {
            // One that an autoscaler has not started, or has stopped, feels nothing.
            if self.fleet[target].is_gone() {
                continue;
            }
            if begins {
                self.begin_fault(number, fault, target);
            } else {
                self.end_fault(number, fault, target);
            }
        }
        (0..self.views.len()).for_each(|view| self.settle(view as u32));
    }

    fn begin_fault(&mut self, number: usize, fault: &Fault, target: usize) {
        self.fleet[target].disturb(self.now, number, fault);
        match fault.kind {
            FaultKind::Crash => {
                self.break_connections(PeerId(target as u32));
                self.instance_died(target);
            }
            FaultKind::Hang | FaultKind::Slow(_) => self.plan_flights_again(target as u32),
            FaultKind::Drain => {
                self.change_peer(target, &PeerChange::Drain(PeerId(target as u32)));
            }
            // The answers on their way do not get through: no flight is plain that may be held up.
            FaultKind::Partition => {
                let _all_whole = self.trying(PeerId(target as u32));
            }
            FaultKind::ErrorRate(_) | FaultKind::HealthFlap(_) => {}
        }
    }

    fn end_fault(&mut self, number: usize, fault: &Fault, target: usize) {
        self.fleet[target].calm(self.now, number);
        match fault.kind {
            FaultKind::Hang | FaultKind::Partition => self.release_held(target as u32),
            FaultKind::Slow(_) => self.plan_flights_again(target as u32),
            FaultKind::Drain => {
                self.change_peer(target, &PeerChange::Resume(PeerId(target as u32)));
            }
            FaultKind::Crash | FaultKind::ErrorRate(_) | FaultKind::HealthFlap(_) => {}
        }
    }

    fn change_peer(&mut self, target: usize, change: &PeerChange) {
        if self.scenario.balancer.engine.reloads() {
            self.reload();
            let is_drained = self.fleet[target].is_drained();
            let kind = if is_drained { EventKind::Drained } else { EventKind::Restored };
            let name = self.scenario.backends[target].name.clone();
            return self.record_event(kind, name, "reloaded".to_owned());
        }
        for view in &mut self.views {
            let _no_new_peer = view.upstream.apply(self.now, change.clone());
        }
    }

    /// The process of `peer` died: whatever was on a connection to it ends now. An answer that
    /// had left still arrives; a connection that does not stand yet is refused when it knocks.
    pub(super) fn break_connections(&mut self, peer: PeerId) {
        self.views.iter_mut().for_each(|view| view.pool.lose(peer));
        for slot in self.trying(peer) {
            let flight = &self.flights[slot];
            let lost = match flight.phase {
                Phase::Sent => true,
                Phase::Served => flight.departs > self.now,
                _ => false,
            };
            if lost {
                let reused = flight.reused;
                self.end_and_follow(slot, Outcome::Closed { reused });
            }
        }
    }

    fn describe(&self, fault: &Fault) -> String {
        let names: Vec<_> = fault
            .targets
            .iter()
            .map(|&target| self.scenario.backends[target].name.as_str())
            .collect();
        let names = names.join(", ");
        match fault.kind {
            FaultKind::Crash => format!("crash of {names}"),
            FaultKind::Hang => format!("hang of {names}"),
            FaultKind::Slow(factor) => format!("service of {names} takes {factor} times as long"),
            FaultKind::ErrorRate(rate) => format!("{rate} of the answers of {names} are 500"),
            FaultKind::HealthFlap(rate) => format!("{rate} of the health checks of {names} fail"),
            FaultKind::Partition => format!("nothing gets to or from {names}"),
            FaultKind::Drain => format!("{names} drained by an operator"),
        }
    }

    /// Records something rare.
    pub(super) fn record_event(&mut self, kind: EventKind, subject: String, reason: String) {
        self.sink.event(&EventRow {
            world: Which::Sim,
            replication: self.replication,
            at_ns: self.now.0,
            kind,
            subject,
            reason,
        });
    }
}
