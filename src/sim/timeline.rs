//! The timeline: what each upstream did in each second.

use super::observe::Observe;
use super::world::World;
use crate::policy::{PeerId, PeerState};
use crate::record::{NO_UPSTREAM, Sink, TimelineRow};
use crate::units::time::NANOS_PER_SECOND;
use crate::units::{Span, World as Which};

/// Attempts that ended in the present second, by upstream.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    second: u32,
    upstreams: Vec<Ended>,
}

#[derive(Clone, Debug, Default)]
struct Ended {
    durations: Vec<u64>,
    failed: u32,
}

impl Timeline {
    pub(super) fn new(upstreams: usize) -> Self {
        Self { second: 0, upstreams: vec![Ended::default(); upstreams] }
    }

    /// An attempt at `upstream` ended.
    pub(super) fn ended(&mut self, upstream: u32, took: Span, failed: bool) {
        let ended = &mut self.upstreams[upstream as usize];
        ended.durations.push(took.0);
        ended.failed += u32::from(failed);
    }

    /// Whether an attempt ended since the last whole second.
    pub(super) fn has_ended(&self) -> bool {
        self.upstreams.iter().any(|ended| !ended.durations.is_empty())
    }
}

/// The quantile `u` of `durations`: the smallest value that a share `u` does not exceed.
fn quantile(durations: &mut [u64], u: f64) -> u64 {
    if durations.is_empty() {
        return 0;
    }
    let rank = libm::ceil(durations.len() as f64 * u) as usize;
    let place = rank.clamp(1, durations.len()) - 1;
    *durations.select_nth_unstable(place).1
}

impl<S: Sink, O: Observe> World<'_, S, O> {
    /// A second is over: a row for each upstream, and one for all of them.
    pub(super) fn end_second(&mut self) {
        let mut all = Ended::default();
        let mut group = self.empty_row(NO_UPSTREAM);
        let (mut busy, mut workers) = (0.0, 0.0);
        for upstream in 0..self.fleet.len() {
            let mut ended = std::mem::take(&mut self.timeline.upstreams[upstream]);
            let mut row = self.empty_row(upstream as u32);
            fill(&mut row, &mut ended);
            let peer = PeerId(upstream as u32);
            let seen = self.views.iter().filter_map(|view| view.upstream.peer(peer));
            row.in_flight = seen.map(|peer| peer.in_flight()).sum();
            row.state = self.state_of(peer);
            let instance = &mut self.fleet[upstream];
            row.queue = instance.station.waiting(self.now) as u32;
            let used = instance.take_busy_in_second(self.now);
            let count = f64::from(self.scenario.backends[upstream].workers);
            row.cpu = (used / (count * NANOS_PER_SECOND as f64)) as f32;
            let there = if instance.is_gone() { 0.0 } else { count };
            (busy, workers) = (busy + used, workers + there);
            group.in_flight += row.in_flight;
            group.queue += row.queue;
            all.durations.append(&mut ended.durations);
            all.failed += ended.failed;
            self.sink.timeline(&row);
        }
        fill(&mut group, &mut all);
        group.cpu = (busy / (workers * NANOS_PER_SECOND as f64)) as f32;
        self.sink.timeline(&group);
        self.timeline.second += 1;
        let next = self.now + Span::from_secs(1);
        self.queue.push(next, super::event::Event::Second);
    }

    /// The worst that any view that takes requests thinks of a peer.
    fn state_of(&self, peer: PeerId) -> PeerState {
        let serving = &self.views[..self.serving as usize];
        let states = serving.iter().filter_map(|view| view.upstream.peer(peer));
        let out = states.map(|peer| peer.state(self.now)).find(|state| *state != PeerState::Up);
        out.unwrap_or(PeerState::Up)
    }

    /// Backends that serve, or would.
    fn ready_instances(&self) -> u16 {
        let ready = |place| self.scaling.as_ref().is_none_or(|scaling| scaling.is_ready(place));
        let fleet = self.fleet.iter().enumerate();
        fleet.filter(|(place, instance)| !instance.crashed && ready(*place)).count() as u16
    }

    fn empty_row(&self, upstream: u32) -> TimelineRow {
        TimelineRow {
            world: Which::Sim,
            replication: self.replication,
            second: self.timeline.second,
            upstream,
            finished: 0,
            failed: 0,
            in_flight: 0,
            queue: 0,
            p50_ns: 0,
            p99_ns: 0,
            cpu: f32::NAN,
            instances: self.ready_instances(),
            state: PeerState::Up,
        }
    }
}

fn fill(row: &mut TimelineRow, ended: &mut Ended) {
    row.finished = ended.durations.len() as u32;
    row.failed = ended.failed;
    row.p50_ns = quantile(&mut ended.durations, 0.50);
    row.p99_ns = quantile(&mut ended.durations, 0.99);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let mut durations: Vec<u64> = (1..=100).rev().collect();
        assert_eq!(quantile(&mut durations, 0.5), 50);
        assert_eq!(quantile(&mut durations, 0.99), 99);
        assert_eq!(quantile(&mut [7], 0.99), 7);
        assert_eq!(quantile(&mut [], 0.5), 0);
    }
}
