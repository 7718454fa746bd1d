//! The autoscaler in the model: it looks at the instances and decides as in the live world, and
//! what it decides takes as long as there.
//!
//! | an instance | what happens to it next |
//! |---|---|
//! | starting | after `start_up` every view is told, and it serves |
//! | draining | gets nothing new; once nothing is in flight, or `drain_timeout` is over, it is removed from the views and is gone |
//! | dead | the scaler is asked at once, and one in its place is started |
//!
//! Only instances that serve are scraped, and at one instant the scrape goes before the poll. What
//! is decided is the [`Scaler`]'s alone.

use super::event::Event;
use super::observe::{Observe, Seen};
use super::world::World;
use crate::policy::scale::series::Series;
use crate::policy::scale::{
    ActionError, Change, InstanceSample, Metric, MetricsError, Phase, Reading, ScaleDecision,
    ScaleMetric, Scaler, Usage,
};
use crate::policy::{PeerChange, PeerConfig, PeerId};
use crate::record::Sink;
use crate::record::scaling::{InstanceNews, decided, happened};
use crate::scenario::AutoscalerFacts;
use crate::units::time::NANOS_PER_SECOND;
use crate::units::{Nanos, Seed, Span, World as Which};

/// How often one that drains is asked whether it has finished: as in the live world.
const STEP: Span = Span::from_millis(50);

/// Of a metric of the balancer.
const NO_SAMPLES: &str = "it was not looked at often enough";
/// Of an external metric.
const NO_SERIES: &str = "the model has no series of it";
const NOT_YET: &str = "its series begins later";

/// The autoscaler and what it knows of its group.
#[derive(Clone, Debug)]
pub(super) struct Scaling<'a> {
    facts: &'a AutoscalerFacts,
    scaler: Scaler,
    slots: Vec<Slot>,
    next_scrape: Nanos,
    /// Of each metric of the balancer, by its place among the metrics.
    balancer: Vec<(usize, Series)>,
}

/// A slot of the group, and the instance in it.
#[derive(Clone, Debug)]
struct Slot {
    stage: Stage,
    started_at: Nanos,
    readiness_changed_at: Nanos,
    /// Instances that this slot has had; events of an earlier one are void.
    instance: u32,
    /// The scaler waits to hear how its change ended.
    is_pending: bool,
    /// One for each metric; only those of the instances are filled.
    series: Vec<Series>,
}

/// How far an instance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Absent,
    Starting,
    Serving { is_healthy: bool },
    Draining { until: Nanos },
    Dead,
}

/// One for each metric, with nothing in it.
fn no_series(facts: &AutoscalerFacts) -> Vec<Series> {
    facts.scale.metrics.iter().map(|_| Series::new(facts.rate_window)).collect()
}

impl Slot {
    fn new(stage: Stage, series: Vec<Series>) -> Self {
        Self {
            stage,
            started_at: Nanos::ZERO,
            readiness_changed_at: Nanos::ZERO,
            instance: 0,
            is_pending: false,
            series,
        }
    }

    /// An instance starts.
    fn start(&mut self, now: Nanos, series: Vec<Series>) {
        let instance = self.instance.wrapping_add(1);
        let (started_at, readiness_changed_at) = (now, now);
        let fresh = Self::new(Stage::Starting, series);
        *self = Self { started_at, readiness_changed_at, instance, ..fresh };
        self.is_pending = true;
    }

    fn enter(&mut self, now: Nanos, stage: Stage) {
        (self.stage, self.readiness_changed_at) = (stage, now);
    }

    const fn serves(&self) -> bool {
        matches!(self.stage, Stage::Serving { .. })
    }

    const fn phase(&self) -> Option<Phase> {
        Some(match self.stage {
            Stage::Absent => return None,
            Stage::Starting => Phase::Starting,
            Stage::Serving { is_healthy: true } => Phase::Ready,
            Stage::Serving { is_healthy: false } => Phase::Unready,
            Stage::Draining { .. } => Phase::Draining,
            Stage::Dead => Phase::Dead,
        })
    }
}

impl<'a> Scaling<'a> {
    /// The autoscaler at the start of a run, when those that are there serve.
    pub(super) fn new(facts: &'a AutoscalerFacts, seed: Seed) -> Self {
        let slot = |number| {
            let there = number < facts.scale.initial as usize;
            let stage = if there { Stage::Serving { is_healthy: true } } else { Stage::Absent };
            Slot::new(stage, no_series(facts))
        };
        let metrics = facts.scale.metrics.iter().enumerate();
        let of_balancer = metrics.filter(|(_, metric)| matches!(metric, Metric::Balancer(_)));
        Self {
            facts,
            scaler: Scaler::new(facts.scale.clone(), seed),
            slots: (0..facts.slots.len()).map(slot).collect(),
            next_scrape: Nanos::ZERO,
            balancer: of_balancer
                .map(|(place, _)| (place, Series::new(facts.rate_window)))
                .collect(),
        }
    }

    /// When the first decision is due.
    pub(super) const fn next_poll(&self) -> Nanos {
        self.scaler.next_poll()
    }

    /// The slot of a backend, if it is one of the group.
    fn slot_of(&self, place: usize) -> Option<u32> {
        self.facts.slots.contains(&place).then(|| (place - self.facts.slots.start) as u32)
    }

    const fn place(&self, slot: u32) -> usize {
        self.facts.slots.start + slot as usize
    }

    /// Whether the balancers send requests to a backend; those outside the group always get some.
    pub(super) fn is_balanced(&self, place: usize) -> bool {
        self.slot_of(place).is_none_or(|slot| {
            let stage = self.slots[slot as usize].stage;
            matches!(stage, Stage::Serving { .. } | Stage::Dead)
        })
    }

    /// Whether a backend is an instance that is ready; those outside the group always are.
    pub(super) fn is_ready(&self, place: usize) -> bool {
        self.slot_of(place).is_none_or(|slot| self.slots[slot as usize].serves())
    }

    fn samples(&self) -> Vec<InstanceSample> {
        let sample = |(number, slot): (usize, &Slot)| {
            Some(InstanceSample {
                slot: number as u32,
                phase: slot.phase()?,
                started_at: slot.started_at,
                readiness_changed_at: slot.readiness_changed_at,
            })
        };
        self.slots.iter().enumerate().filter_map(sample).collect()
    }

    /// What is known of each metric.
    fn readings(&self, now: Nanos) -> Vec<Result<Reading, MetricsError>> {
        let metrics = self.facts.scale.metrics.iter().enumerate();
        let reading = |(place, metric): (usize, &Metric)| match metric {
            Metric::Instances(metric) => {
                let usage = |(number, slot): (usize, &Slot)| {
                    Some((number as u32, self.usage(&slot.series[place], *metric, now)?))
                };
                Ok(Reading::Instances(self.slots.iter().enumerate().filter_map(usage).collect()))
            }
            Metric::Balancer(metric) => {
                let series = self.balancer.iter().find(|(of, _)| *of == place);
                let usage = series.and_then(|(_, series)| self.usage(series, *metric, now));
                let none = || MetricsError(NO_SAMPLES.to_owned());
                usage.map(|usage| Reading::Whole(usage.value)).ok_or_else(none)
            }
            Metric::External(external) => {
                let none = || {
                    let why = if external.series.is_empty() { NO_SERIES } else { NOT_YET };
                    MetricsError(why.to_owned())
                };
                external.given(now).map(Reading::Whole).ok_or_else(none)
            }
        };
        metrics.map(reading).collect()
    }

    fn usage(&self, series: &Series, metric: ScaleMetric, now: Nanos) -> Option<Usage> {
        series.value(now, self.facts.rate_window, metric.is_rate())
    }

    /// A change of one slot was carried out, or failed.
    fn acted(&mut self, now: Nanos, slot: u32, out: bool, result: Result<(), ActionError>) {
        if std::mem::take(&mut self.slots[slot as usize].is_pending) {
            let change = if out { Change::Out(vec![slot]) } else { Change::In(vec![slot]) };
            self.scaler.acted(now, &change, result);
        }
    }
}

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// Puts the first scrape and the first decision into the queue.
    pub(super) fn plan_scaling(&mut self) {
        let Some(scaling) = &self.scaling else { return };
        self.queue.push(scaling.next_scrape, Event::Scrape);
        self.queue.push(scaling.next_poll(), Event::Poll);
    }

    /// A scrape is due, unless a poll of the same instant has made it.
    pub(super) fn scrape(&mut self) {
        let now = self.now;
        let Some(scaling) = &mut self.scaling else { return };
        if now < scaling.next_scrape {
            return;
        }
        let metrics = &scaling.facts.scale.metrics;
        for (place, series) in &mut scaling.balancer {
            let value = match metrics[*place].unit() {
                ScaleMetric::Requests => (self.counts.planned - self.counts.dropped) as f64,
                ScaleMetric::Queue => {
                    self.views.iter().map(|view| view.upstream.waiting()).sum::<usize>() as f64
                }
                _ => {
                    let peers = self.views.iter().flat_map(|view| view.upstream.peers().iter());
                    peers.map(|peer| f64::from(peer.in_flight())).sum()
                }
            };
            series.push(now, value);
        }
        for number in 0..scaling.slots.len() as u32 {
            let place = scaling.place(number);
            let slot = &mut scaling.slots[number as usize];
            let instance = &mut self.fleet[place];
            if !slot.serves() {
                continue;
            }
            let workers = f64::from(self.scenario.backends[place].workers);
            for (series, metric) in slot.series.iter_mut().zip(metrics) {
                let Some(metric) = metric.of_instances() else { continue };
                if instance.deaf_until() > now {
                    // It does not answer.
                    series.end(now);
                    continue;
                }
                let value = match metric {
                    ScaleMetric::Utilization | ScaleMetric::Cpu => {
                        instance.busy(now) / NANOS_PER_SECOND as f64 / workers
                    }
                    ScaleMetric::InFlight => f64::from(instance.station.present(now)),
                    ScaleMetric::Queue => instance.station.waiting(now) as f64,
                    ScaleMetric::Requests => instance.station.completed(now) as f64,
                };
                series.push(now, value);
            }
        }
        scaling.next_scrape = now + scaling.facts.scrape_interval;
        self.queue.push(scaling.next_scrape, Event::Scrape);
    }

    /// A decision is due.
    pub(super) fn poll(&mut self) {
        self.scrape();
        let now = self.now;
        let Some(scaling) = &mut self.scaling else { return };
        for number in 0..scaling.slots.len() {
            let is_healthy = self.fleet[scaling.place(number as u32)].deaf_until() <= now;
            let slot = &mut scaling.slots[number];
            if slot.stage == (Stage::Serving { is_healthy: !is_healthy }) {
                slot.enter(now, Stage::Serving { is_healthy });
            }
        }
        let samples = scaling.samples();
        let readings = scaling.readings(now);
        let decision = scaling.scaler.poll(now, Ok((&samples, &readings)));
        self.queue.push(scaling.scaler.next_poll(), Event::Poll);
        self.carry_out(&decision);
    }

    /// The process of a backend died.
    pub(super) fn instance_died(&mut self, place: usize) {
        let now = self.now;
        let Some(scaling) = &mut self.scaling else { return };
        let Some(number) = scaling.slot_of(place) else { return };
        let slot = &mut scaling.slots[number as usize];
        let out = !matches!(slot.stage, Stage::Draining { .. });
        slot.enter(now, Stage::Dead);
        slot.series = no_series(scaling.facts);
        let name = &self.scenario.backends[place].name;
        let error = ActionError(format!("{name} ended (crash)"));
        scaling.acted(now, number, out, Err(error));
        self.tell_instance(place, &InstanceNews::Ended("crash".to_owned()));
        let Some(scaling) = &mut self.scaling else { return };
        let samples = scaling.samples();
        let decision = scaling.scaler.replace(now, &samples);
        self.carry_out(&decision);
    }

    fn carry_out(&mut self, decision: &ScaleDecision) {
        self.see(0, Seen::Scaled(decision));
        let Some(scaling) = &self.scaling else { return };
        if decision.change != Change::None {
            let here = (Which::Sim, self.replication);
            self.sink.event(&decided(here, self.now, &scaling.facts.group, decision));
        }
        match &decision.change {
            Change::None => {}
            Change::Out(slots) => slots.iter().for_each(|slot| self.start_instance(*slot)),
            Change::In(slots) => slots.iter().for_each(|slot| self.stop_instance(*slot)),
        }
    }

    fn start_instance(&mut self, number: u32) {
        let Some(scaling) = &mut self.scaling else { return };
        let (place, start_up) = (scaling.place(number), scaling.facts.start_up);
        let slot = &mut scaling.slots[number as usize];
        let was = slot.stage;
        slot.start(self.now, no_series(scaling.facts));
        let instance = slot.instance;
        if was == Stage::Dead {
            // The balancers know the dead one, and would know the new one in its place.
            self.change_members(&PeerChange::Remove(PeerId(place as u32)));
        }
        self.fleet[place].begin(self.now);
        self.queue.push(self.now + start_up, Event::InstanceReady { slot: number, instance });
    }

    /// An instance is ready, if it is still there.
    pub(super) fn instance_ready(&mut self, number: u32, instance: u32) {
        let now = self.now;
        let Some(scaling) = &mut self.scaling else { return };
        let place = scaling.place(number);
        let slot = &mut scaling.slots[number as usize];
        if slot.instance != instance || slot.stage != Stage::Starting {
            return;
        }
        slot.enter(now, Stage::Serving { is_healthy: true });
        scaling.acted(now, number, true, Ok(()));
        let config = &self.scenario.balancer.upstream.peers[place];
        self.change_members(&PeerChange::Add(PeerConfig { absent: false, ..config.clone() }));
        self.tell_instance(place, &InstanceNews::Ready);
    }

    fn stop_instance(&mut self, number: u32) {
        let now = self.now;
        let Some(scaling) = &mut self.scaling else { return };
        let (place, timeout) = (scaling.place(number), scaling.facts.drain_timeout);
        let slot = &mut scaling.slots[number as usize];
        slot.is_pending = true;
        let was = slot.stage;
        slot.enter(now, Stage::Draining { until: now + timeout });
        let instance = slot.instance;
        match was {
            // Nobody waits for what was in flight at one that is dead.
            Stage::Dead => {
                self.change_members(&PeerChange::Remove(PeerId(place as u32)));
                self.end_instance(number);
            }
            // No balancer knows of it.
            Stage::Starting | Stage::Absent => self.end_instance(number),
            Stage::Serving { .. } | Stage::Draining { .. } => {
                self.change_members(&PeerChange::Drain(PeerId(place as u32)));
                self.instance_leaves(number, instance);
            }
        }
    }

    /// An instance that drains has finished, or goes on.
    pub(super) fn instance_leaves(&mut self, number: u32, instance: u32) {
        let Some(scaling) = &self.scaling else { return };
        let slot = &scaling.slots[number as usize];
        let Stage::Draining { until } = slot.stage else { return };
        if slot.instance != instance {
            return;
        }
        let peer = PeerId(scaling.place(number) as u32);
        let peers = self.views.iter().filter_map(|view| view.upstream.peer(peer));
        if self.now < until && peers.map(|peer| peer.in_flight()).sum::<u32>() > 0 {
            let at = (self.now + STEP).min(until);
            return self.queue.push(at, Event::InstanceLeaves { slot: number, instance });
        }
        // A configuration without one that drains has lost it already.
        if !self.scenario.balancer.engine.reloads() {
            self.change_members(&PeerChange::Remove(peer));
        }
        self.end_instance(number);
    }

    /// An instance is stopped; what it still had is lost.
    fn end_instance(&mut self, number: u32) {
        let now = self.now;
        let Some(scaling) = &mut self.scaling else { return };
        let place = scaling.place(number);
        let slot = &mut scaling.slots[number as usize];
        slot.enter(now, Stage::Absent);
        slot.series = no_series(scaling.facts);
        scaling.acted(now, number, false, Ok(()));
        self.fleet[place].end(now);
        self.break_connections(PeerId(place as u32));
        self.tell_instance(place, &InstanceNews::Stopped);
        self.settle_all();
    }

    /// Tells every balancer, in the way of its engine.
    fn change_members(&mut self, change: &PeerChange) {
        if self.scenario.balancer.engine.reloads() {
            self.reload();
        } else {
            for view in &mut self.views {
                let _its_number = view.upstream.apply(self.now, change.clone());
            }
        }
        self.settle_all();
    }

    fn settle_all(&mut self) {
        (0..self.views.len()).for_each(|view| self.settle(view as u32));
    }

    fn tell_instance(&mut self, place: usize, news: &InstanceNews) {
        let name = &self.scenario.backends[place].name;
        let here = (Which::Sim, self.replication);
        self.sink.event(&happened(here, self.now, name, news));
        self.see(0, Seen::Instance(name, news));
    }
}
