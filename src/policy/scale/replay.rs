//! What a rule would have done about a load that was recorded.
//!
//! The recording says what each instance that there was did; the load of all of them together is
//! what there was to do, and the instances that the rule would have had share it evenly. That holds
//! for what adds up (utilization, requests, requests in flight); a queue that would not have been is
//! not known. Where the instances recorded were all busy, what more would have come is not known
//! either.

use std::collections::BTreeMap;

use super::config::ScaleConfig;
use super::decision::{Change, Direction, ScaleDecision};
use super::flap::Flaps;
use super::instance::{InstanceSample, Phase, Usage};
use super::metric::Reading;
use super::scaler::Scaler;
use super::series::LOOKBACK;
use crate::units::{Nanos, Seed, Span};

/// What was measured of a group over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// In order of time.
    pub rows: Vec<RecordedRow>,
}

/// One moment of a recording.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordedRow {
    /// When, since the beginning of the recording.
    pub at: Nanos,
    /// Instances that there were.
    pub instances: u32,
    /// Their mean, in the metric's unit; `None` if nothing was measured.
    pub mean: Option<f64>,
}

/// What a rule would have done.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// Each decision that changes something, and each that fails for want of metrics; when.
    pub decisions: Vec<(Nanos, ScaleDecision)>,
    /// Changes of size, up and down.
    pub changes: u32,
    /// Those of them that are [flaps](Flaps) beside the load recorded.
    pub flaps: u32,
    /// Instances over time, those that start included.
    pub instance_time: Span,
    /// The same of the recording.
    pub recorded_instance_time: Span,
    /// Time in which the ready instances would have had more than all they can do; for shares alone.
    pub overloaded: Span,
    /// Smallest and largest size.
    pub sizes: (u32, u32),
    /// How long the recording is.
    pub length: Span,
}

impl Recording {
    /// From its first row to its last.
    #[must_use]
    pub fn length(&self) -> Span {
        match (self.rows.first(), self.rows.last()) {
            (Some(first), Some(last)) => last.at.since(first.at),
            _ => Span::ZERO,
        }
    }

    /// The last row at or before `now`, unless it is too old to count.
    fn row(&self, now: Nanos) -> Option<&RecordedRow> {
        let after = self.rows.partition_point(|row| row.at <= now);
        let row = &self.rows[after.checked_sub(1)?];
        (now.since(row.at) <= LOOKBACK).then_some(row)
    }
}

impl Replay {
    /// Plays `recording` to the rule of `config`, which goes by one metric, of the instances
    /// ([`ScaleConfig::by_instances`]), and whose instances take `start_up` to be ready. The
    /// group begins with as many as were recorded first, within the bounds.
    #[must_use]
    pub fn of(recording: &Recording, config: &ScaleConfig, start_up: Span, seed: Seed) -> Self {
        let first = recording.rows.first().map_or(config.initial, |row| row.instances);
        let initial = first.clamp(config.min.max(1), config.max.max(config.min.max(1)));
        let config = ScaleConfig { initial, ..config.clone() };
        let end = recording.rows.last().map_or(Nanos::ZERO, |row| row.at);
        let mut play = Play {
            recording,
            scaler: Scaler::new(config, seed),
            start_up,
            instances: (0..initial).map(|slot| (slot, Nanos::ZERO)).collect(),
            flaps: Flaps::default(),
            replay: Self {
                decisions: Vec::new(),
                changes: 0,
                flaps: 0,
                instance_time: Span::ZERO,
                recorded_instance_time: recorded_time(recording),
                overloaded: Span::ZERO,
                sizes: (initial, initial),
                length: recording.length(),
            },
        };
        let mut now = Nanos::ZERO;
        while now < end {
            let until = play.next(now).min(end);
            play.pass(now, until);
            now = until;
            play.arrive(now);
        }
        play.replay
    }

    /// Flaps per hour; 0 for an empty recording.
    #[must_use]
    pub fn flaps_per_hour(&self) -> f64 {
        let hours = self.length.as_secs_f64() / 3600.0;
        if hours > 0.0 { f64::from(self.flaps) / hours } else { 0.0 }
    }
}

fn recorded_time(recording: &Recording) -> Span {
    let pairs = recording.rows.windows(2);
    pairs
        .map(|pair| pair[1].at.since(pair[0].at) * u64::from(pair[0].instances))
        .fold(Span::ZERO, |sum, span| sum + span)
}

struct Play<'a> {
    recording: &'a Recording,
    scaler: Scaler,
    start_up: Span,
    /// By slot: since when it has been there.
    instances: BTreeMap<u32, Nanos>,
    flaps: Flaps,
    replay: Replay,
}

impl Play<'_> {
    /// The next poll, or the next instance that gets ready.
    fn next(&self, now: Nanos) -> Nanos {
        let ready = self.instances.values().map(|since| *since + self.start_up);
        ready
            .filter(|at| *at > now)
            .min()
            .map_or(self.scaler.next_poll(), |at| at.min(self.scaler.next_poll()))
    }

    fn is_ready(&self, since: Nanos, now: Nanos) -> bool {
        since == Nanos::ZERO || since + self.start_up <= now
    }

    fn ready(&self, now: Nanos) -> u32 {
        self.instances.values().filter(|since| self.is_ready(**since, now)).count() as u32
    }

    /// What all instances together had to do, and whether there is a measurement at all.
    fn load(&self, now: Nanos) -> Option<f64> {
        let row = self.recording.row(now)?;
        Some(row.mean? * f64::from(row.instances))
    }

    fn pass(&mut self, from: Nanos, until: Nanos) {
        let span = until.since(from);
        self.replay.instance_time += span * self.instances.len() as u64;
        let too_much = self.load(from).is_some_and(|load| load > f64::from(self.ready(from)));
        if self.scaler.config().unit().is_share() && too_much {
            self.replay.overloaded += span;
        }
    }

    /// Instances that are ready by now, then the poll.
    fn arrive(&mut self, now: Nanos) {
        let got_ready = |since: &Nanos| *since != Nanos::ZERO && *since + self.start_up == now;
        let slots: Vec<u32> = self
            .instances
            .iter()
            .filter(|(_, since)| got_ready(since))
            .map(|(slot, _)| *slot)
            .collect();
        if self.start_up > Span::ZERO && !slots.is_empty() {
            self.scaler.acted(now, &Change::Out(slots), Ok(()));
        }
        if now < self.scaler.next_poll() {
            return;
        }
        let instances = self.samples(now);
        let usage = self.usage(now);
        let ready = instances.iter().filter(|one| one.phase == Phase::Ready);
        let usages = ready.filter_map(|one| Some((one.slot, usage?))).collect();
        let readings = [Ok(Reading::Instances(usages))];
        let decision = self.scaler.poll(now, Ok((&instances, &readings)));
        self.carry_out(now, &decision.change);
        let failed = self.load(now).is_none();
        if failed || decision.change != Change::None {
            self.replay.decisions.push((now, decision));
        }
    }

    /// What each that is ready would have had of the load.
    fn usage(&self, now: Nanos) -> Option<Usage> {
        let row = self.recording.row(now)?;
        let value = self.load(now)? / f64::from(self.ready(now).max(1));
        let share = self.scaler.config().unit().is_share();
        let value = if share { value.min(1.0) } else { value };
        let from = now - self.scaler.config().poll;
        Some(Usage { value, from, until: row.at.max(from) })
    }

    fn samples(&self, now: Nanos) -> Vec<InstanceSample> {
        let sample = |(slot, since): (&u32, &Nanos)| {
            let ready = self.is_ready(*since, now);
            let changed =
                if ready && *since != Nanos::ZERO { *since + self.start_up } else { *since };
            InstanceSample {
                slot: *slot,
                phase: if ready { Phase::Ready } else { Phase::Starting },
                started_at: *since,
                readiness_changed_at: changed,
            }
        };
        self.instances.iter().map(sample).collect()
    }

    fn carry_out(&mut self, now: Nanos, change: &Change) {
        let Some(direction) = change.direction() else { return };
        for slot in change.slots() {
            match direction {
                Direction::Out => drop(self.instances.insert(*slot, now)),
                Direction::In => drop(self.instances.remove(slot)),
            }
        }
        if direction == Direction::In || self.start_up == Span::ZERO {
            self.scaler.acted(now, change, Ok(()));
        }
        let load = self.load(now).unwrap_or(0.0);
        self.replay.flaps += u32::from(self.flaps.is_flap(direction, load));
        self.replay.changes += 1;
        let size = self.instances.len() as u32;
        let (least, most) = self.replay.sizes;
        self.replay.sizes = (least.min(size), most.max(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::scale::{ScaleRule, ThresholdConfig};

    /// A mean every 5 s of a group of 4.
    fn recording(means: impl IntoIterator<Item = f64>) -> Recording {
        let row = |(place, mean): (u64, f64)| RecordedRow {
            at: Nanos::ZERO + Span::from_secs(5 * place),
            instances: 4,
            mean: Some(mean),
        };
        Recording { rows: (0..).zip(means).map(row).collect() }
    }

    fn replay(recording: &Recording, config: &ScaleConfig, start_up: u64) -> Replay {
        Replay::of(recording, config, Span::from_secs(start_up), Seed::new(1, 0))
    }

    #[test]
    fn the_load_is_shared_by_those_that_would_have_been_there() {
        // 4 × 20 % is 80 % of one: two share it at 40 %.
        let recording = recording(std::iter::repeat_n(0.2, 121));
        let replay = replay(&recording, &ScaleConfig::new(1, 8), 0);
        assert_eq!((replay.changes, replay.flaps, replay.sizes), (2, 0, (2, 4)));
        assert_eq!(replay.recorded_instance_time, Span::from_secs(4 * 600));
        assert_eq!(replay.instance_time, Span::from_secs(4 * 15 + 3 * 15 + 2 * 570));
        assert_eq!(replay.overloaded, Span::ZERO);
    }

    #[test]
    fn an_instance_that_starts_costs_and_does_not_help_yet() {
        let recording = recording(std::iter::repeat_n(0.9, 121));
        let replay = replay(&recording, &ScaleConfig::new(1, 8), 40);
        let at: Vec<u64> = replay.decisions.iter().map(|(at, _)| at.whole_seconds()).collect();
        // 3.6 of 4, then of 5; at 6 it is 60 %. The second waits until the first is ready at 55 s.
        assert_eq!(at, [15, 60]);
        assert_eq!(replay.instance_time, Span::from_secs(4 * 15 + 5 * 45 + 6 * 540));
    }

    #[test]
    fn a_rule_without_room_between_its_bounds_flaps() {
        let recording = recording(std::iter::repeat_n(0.6, 721));
        let naive = ThresholdConfig { up: 0.62, down: 0.60, ..ThresholdConfig::default() };
        let rule = ScaleRule::Threshold(naive);
        let naive = replay(&recording, &ScaleConfig { rule, ..ScaleConfig::new(1, 8) }, 0);
        assert!(naive.flaps_per_hour() == 0.0, "60 % is not below 60 %");
        let worse = ThresholdConfig { up: 0.62, down: 0.605, ..ThresholdConfig::default() };
        let rule = ScaleRule::Threshold(worse);
        let worse = replay(&recording, &ScaleConfig { rule, ..ScaleConfig::new(1, 8) }, 0);
        assert!(worse.flaps_per_hour() > 200.0, "{}", worse.flaps_per_hour());
        assert_eq!(replay(&recording, &ScaleConfig::new(1, 8), 0).changes, 0);
    }

    #[test]
    fn without_samples_nothing_is_done_and_that_is_said() {
        let mut gap = recording(std::iter::repeat_n(0.2, 2));
        gap.rows[0].mean = None;
        gap.rows[1].mean = None;
        gap.rows.push(RecordedRow {
            at: Nanos::ZERO + Span::from_secs(60),
            instances: 4,
            mean: None,
        });
        let replay = replay(&gap, &ScaleConfig::new(1, 8), 0);
        assert_eq!(replay.changes, 0);
        assert!(replay.decisions.len() >= 2);
        assert!(replay.decisions[0].1.to_string().contains("no ready instance has a fresh sample"));
        let empty = Recording::default();
        assert_eq!(
            Replay::of(&empty, &ScaleConfig::new(1, 2), Span::ZERO, Seed::new(1, 0)).changes,
            0
        );
    }
}
