//! The backends: a station each, and what faults have made of them.

use super::station::{Fifo, Sharing, Station, Work};
use crate::scenario::{Backend, Discipline, Scenario};
use crate::traffic::{Fault, FaultKind, Law};
use crate::units::{Nanos, Span};

/// A backend in the model. What an arrival reads comes first and fills one line of the processor's
/// cache.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(super) struct Instance<'a> {
    speed: f64,
    /// Takes up what comes and serves it: not dead, stopped, cut off, or answering with errors.
    pub(super) calm: bool,
    /// Its workers and its queue.
    pub(super) station: Station,
    /// Dead or not there: connections are refused.
    pub(super) crashed: bool,
    /// Not started yet, or stopped, by an autoscaler.
    gone: bool,
    /// Stopped: it takes and answers nothing before this.
    pub(super) hung_until: Nanos,
    /// Cut off: nothing gets through before this.
    pub(super) cut_until: Nanos,
    /// Share of the attempts that are answered with 500 at once.
    pub(super) error_rate: f64,
    /// Probability that a health check fails.
    pub(super) health_failure: f64,
    /// Work that was sent while it could not be taken up, in order of sending.
    pub(super) held: Vec<Work>,
    /// Health checks answered so far.
    pub(super) checks: u64,
    law: &'a Law,
    calm_health_failure: f64,
    active: Vec<(usize, FaultKind, Nanos)>,
    /// Worker time used since it started, and since the second began, ns; as of the last look.
    busy: f64,
    busy_in_second: f64,
}

impl<'a> Instance<'a> {
    fn new(backend: &'a Backend, watched: bool, probed: bool) -> Self {
        let station = match backend.discipline {
            Discipline::Fifo => {
                Station::Fifo(Fifo::new(backend.workers, backend.queue_limit, watched, probed))
            }
            Discipline::Ps => {
                Station::Sharing(Sharing::new(backend.workers, backend.queue_limit, probed))
            }
        };
        let mut instance = Self {
            station,
            calm: true,
            crashed: false,
            gone: backend.absent,
            hung_until: Nanos::ZERO,
            cut_until: Nanos::ZERO,
            error_rate: 0.0,
            health_failure: 0.0,
            held: Vec::new(),
            checks: 0,
            law: &backend.service,
            speed: backend.speed,
            calm_health_failure: backend.health_failure.0,
            active: Vec::new(),
            busy: 0.0,
            busy_in_second: 0.0,
        };
        instance.derive(Nanos::ZERO);
        instance
    }

    /// The demand that `word` stands for under its law.
    #[inline]
    pub(super) fn demand(&self, word: u64) -> Span {
        self.law.sample(word)
    }

    /// How long `demand` takes here, without a slowdown.
    #[inline]
    pub(super) fn service(&self, demand: Span) -> Span {
        if self.speed == 1.0 { demand } else { demand.scaled(1.0 / self.speed) }
    }

    /// Until when it takes nothing up; an instant not after now if it does.
    #[inline]
    pub(super) fn deaf_until(&self) -> Nanos {
        self.hung_until.max(self.cut_until)
    }

    /// Whether an autoscaler has not started it yet, or has stopped it.
    pub(super) const fn is_gone(&self) -> bool {
        self.gone
    }

    /// Its process starts, with nothing of the one before.
    pub(super) fn begin(&mut self, now: Nanos) {
        self.gone = false;
        self.start_anew(now);
    }

    /// Its process is stopped, and what it had is lost.
    pub(super) fn end(&mut self, now: Nanos) {
        self.gone = true;
        self.start_anew(now);
    }

    fn start_anew(&mut self, now: Nanos) {
        self.active.clear();
        self.account(now);
        self.station.clear(now);
        self.held.clear();
        (self.checks, self.busy) = (0, 0.0);
        self.derive(now);
    }

    /// Worker time used since it started, ns.
    pub(super) fn busy(&mut self, now: Nanos) -> f64 {
        self.account(now);
        self.busy
    }

    /// Worker time used since the last call, ns.
    pub(super) fn take_busy_in_second(&mut self, now: Nanos) -> f64 {
        self.account(now);
        std::mem::take(&mut self.busy_in_second)
    }

    fn account(&mut self, now: Nanos) {
        let used = self.station.take_busy(now);
        self.busy += used;
        self.busy_in_second += used;
    }

    /// Fault number `number` begins.
    pub(super) fn disturb(&mut self, now: Nanos, number: usize, fault: &Fault) {
        if fault.kind == FaultKind::Crash {
            // Who was stopped is dead now, and will be started as a process of its own.
            self.active.retain(|(_, kind, _)| *kind != FaultKind::Hang);
            self.station.clear(now);
            self.held.clear();
        }
        self.active.push((number, fault.kind, fault.until));
        self.derive(now);
        if let (FaultKind::Hang, Station::Fifo(fifo)) = (fault.kind, &mut self.station) {
            fifo.stop_until(now, self.hung_until);
        }
    }

    /// Fault number `number` ends.
    pub(super) fn calm(&mut self, now: Nanos, number: usize) {
        let returns = |(active, kind, _): &(usize, FaultKind, Nanos)| {
            *active == number && *kind == FaultKind::Crash
        };
        if self.active.iter().any(returns) {
            // It is a process of its own, and counts from its start.
            self.checks = 0;
        }
        self.active.retain(|(active, ..)| *active != number);
        self.derive(now);
    }

    /// Whether an operator has taken it out of the balancers' rotation.
    pub(super) fn is_drained(&self) -> bool {
        self.active.iter().any(|(_, kind, _)| *kind == FaultKind::Drain)
    }

    /// Works out what the active faults come to: slowdowns multiply, errors are independent, the
    /// last health flap counts, and the longest hang or partition.
    fn derive(&mut self, now: Nanos) {
        let until = |wanted: FaultKind| {
            let of_kind = self.active.iter().filter(|(_, kind, _)| *kind == wanted);
            of_kind.map(|(.., until)| *until).max().unwrap_or(Nanos::ZERO)
        };
        self.hung_until = until(FaultKind::Hang);
        self.cut_until = until(FaultKind::Partition);
        self.crashed = self.gone || until(FaultKind::Crash) > Nanos::ZERO;
        let (mut slowdown, mut passing) = (1.0, 1.0);
        self.health_failure = self.calm_health_failure;
        for (_, kind, _) in &self.active {
            match kind {
                FaultKind::Slow(factor) => slowdown *= factor,
                FaultKind::ErrorRate(rate) => passing *= 1.0 - rate.0,
                FaultKind::HealthFlap(probability) => self.health_failure = probability.0,
                _ => {}
            }
        }
        self.error_rate = 1.0 - passing;
        self.calm = !self.crashed && self.deaf_until() <= now && self.error_rate <= 0.0;
        self.station.set_slowdown(now, slowdown);
    }
}

/// The backends of a scenario, in its order. A station remembers its jobs if a fault may hit it
/// or the timeline or an autoscaler watches it, or if it may be asked for its load.
pub(super) fn fleet(scenario: &Scenario, watched: bool) -> Vec<Instance<'_>> {
    let hit = |place: usize| {
        scenario.faults.iter().any(|fault| {
            fault.targets.contains(&place)
                && matches!(fault.kind, FaultKind::Crash | FaultKind::Hang | FaultKind::Slow(_))
        })
    };
    let probed = scenario.balancer.upstream.algorithm.probes_load();
    let instances = scenario.backends.iter().enumerate();
    let scaled = |place: &usize| {
        scenario.autoscaler.as_ref().is_some_and(|scaler| scaler.slots.contains(place))
    };
    let instance =
        |(place, backend)| Instance::new(backend, watched || hit(place) || scaled(&place), probed);
    instances.map(instance).collect()
}

/// Whether it can matter which connections the balancer keeps: only where they can break or be
/// cut.
pub(super) fn connections_matter(scenario: &Scenario) -> bool {
    let breaks = |kind| matches!(kind, FaultKind::Crash | FaultKind::Partition);
    scenario.faults.iter().any(|fault| breaks(fault.kind))
}
