//! What one run says of its autoscaler: its rows, and how busy each instance was.

use super::{Row, ScalingEvent, ScalingLayout};
use crate::compare::layout::Layout;
use crate::policy::scale::series::Series;
use crate::policy::scale::{Direction, Flaps};
use crate::record::scaling::{self, InstanceNews, Scaled};
use crate::record::{EventRow, RequestRow};
use crate::units::Nanos;

/// Pieces of time later than this many are damaged rows, and must not fill the memory.
const PIECES_AT_MOST: u64 = 1_000_000;

/// The rows of one run about its autoscaler.
#[derive(Clone, Debug, Default)]
pub(in crate::compare) struct Tally {
    rows: Vec<Row>,
    /// Time for which each slot's workers were busy in each scrape interval, ns.
    busy: Vec<Vec<u64>>,
    pub(super) end: Nanos,
}

impl Tally {
    pub(in crate::compare) fn new(facts: &ScalingLayout, end: Nanos) -> Self {
        Self { rows: Vec::new(), busy: vec![Vec::new(); facts.slots.len()], end }
    }

    /// The run was cut short.
    pub(in crate::compare) fn end_at(&mut self, end: Nanos) {
        self.end = self.end.min(end);
    }

    pub(in crate::compare) fn event(&mut self, facts: &ScalingLayout, row: &EventRow) {
        if let Some(scaled) = scaling::read(row, &facts.group) {
            let at = Nanos(row.at_ns);
            let place = self.rows.partition_point(|(before, _)| *before <= at);
            self.rows.insert(place, (at, scaled));
        }
    }

    /// Counts for how long a request held a worker: up to the first byte of its answer.
    pub(in crate::compare) fn request(&mut self, facts: &ScalingLayout, row: &RequestRow) {
        let Some(slot) = (row.upstream as usize).checked_sub(facts.slots.start) else { return };
        let Some(pieces) = self.busy.get_mut(slot) else { return };
        let end = if row.first_byte_ns > 0 { row.first_byte_ns } else { row.finished_ns };
        let (piece, mut from) =
            (facts.scrape_interval.0.max(1), end.saturating_sub(row.service_ns));
        if end / piece >= PIECES_AT_MOST {
            return;
        }
        while from < end {
            let number = from / piece;
            let until = end.min((number + 1) * piece);
            let number = number as usize;
            if pieces.len() <= number {
                pieces.resize(number + 1, 0);
            }
            pieces[number] += until - from;
            from = until;
        }
    }

    /// The scaling events up to the end.
    pub(super) fn events(&self, facts: &ScalingLayout, layout: &Layout) -> Vec<ScalingEvent> {
        let mut events: Vec<ScalingEvent> = Vec::new();
        let mut flaps = Flaps::default();
        let mut wanted = facts.initial;
        for (at, row) in self.rows.iter().take_while(|(at, _)| *at <= self.end) {
            let Scaled::Decided { to, reason, .. } = row else { continue };
            if *to == wanted {
                continue;
            }
            let grows = *to > wanted;
            let direction = if grows { Direction::Out } else { Direction::In };
            let flap = flaps.is_flap(direction, layout.planned_rate(*at));
            events.push(ScalingEvent {
                at_ns: at.0,
                from: wanted,
                to: *to,
                flap,
                reason: reason.clone(),
            });
            wanted = *to;
        }
        events
    }

    /// Instances times seconds, up to the end.
    pub(super) fn instance_seconds(&self, facts: &ScalingLayout) -> f64 {
        let mut since: Vec<Option<Nanos>> = vec![None; facts.slots.len()];
        since.iter_mut().take(facts.initial as usize).for_each(|slot| *slot = Some(Nanos::ZERO));
        let mut total = 0;
        for (at, row) in self.rows.iter().take_while(|(at, _)| *at <= self.end) {
            match row {
                Scaled::Decided { started, .. } => {
                    for slot in started {
                        let Some(slot) = since.get_mut(*slot as usize) else { continue };
                        slot.get_or_insert(*at);
                    }
                }
                Scaled::Instance(_, InstanceNews::Ready) => {}
                Scaled::Instance(slot, _) => {
                    let slot = since.get_mut(*slot as usize).and_then(Option::take);
                    total += slot.map_or(0, |since| at.since(since).0);
                }
            }
        }
        total += since.iter().flatten().map(|since| self.end.since(*since).0).sum::<u64>();
        total as f64 / 1e9
    }

    /// Which slots serve, from an instant on.
    pub(in crate::compare) fn serving(&self, facts: &ScalingLayout) -> Vec<(Nanos, Vec<bool>)> {
        let mut serves: Vec<bool> =
            (0..facts.slots.len()).map(|slot| slot < facts.initial as usize).collect();
        let mut changes = vec![(Nanos::ZERO, serves.clone())];
        for (at, row) in &self.rows {
            let Scaled::Instance(slot, news) = row else { continue };
            let Some(slot) = serves.get_mut(*slot as usize) else { continue };
            *slot = *news == InstanceNews::Ready;
            changes.push((*at, serves.clone()));
        }
        changes
    }

    /// Ready instances from an instant on.
    pub(super) fn ready(&self, facts: &ScalingLayout) -> Vec<(u64, u32)> {
        let count = |serves: &[bool]| serves.iter().filter(|serves| **serves).count() as u32;
        let mut ready: Vec<(u64, u32)> =
            self.serving(facts).iter().map(|(at, serves)| (at.0, count(serves))).collect();
        ready.dedup_by_key(|(_, count)| *count);
        ready
    }

    /// When the last of the instances that were ordered at `at` got ready.
    pub(super) fn ready_after(&self, at: u64) -> Option<Nanos> {
        let started = self.rows.iter().find_map(|(when, row)| match row {
            Scaled::Decided { started, .. } if when.0 == at => Some(started),
            _ => None,
        })?;
        let ready = |slot: &u32| {
            let wanted = Scaled::Instance(*slot, InstanceNews::Ready);
            let found = self.rows.iter().find(|(when, row)| when.0 >= at && *row == wanted);
            found.map(|(when, _)| *when)
        };
        started.iter().map(ready).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Share of the ready instances' workers that was busy, piece by piece.
    pub(super) fn utilization(&self, facts: &ScalingLayout) -> Vec<f64> {
        let piece = facts.scrape_interval.0.max(1);
        let serving = self.serving(facts);
        let pieces = self.end.0.div_ceil(piece).min(PIECES_AT_MOST);
        let of = |number: u64| {
            let (from, until) = (number * piece, ((number + 1) * piece).min(self.end.0));
            let busy: u64 = self.busy.iter().filter_map(|pieces| pieces.get(number as usize)).sum();
            let there = available(&serving, Nanos(from), Nanos(until));
            let share = busy as f64 / (there * f64::from(facts.workers)).max(1.0);
            share.min(1.0)
        };
        (0..pieces).map(of).collect()
    }

    /// The metric as the autoscaler sees it: the mean over the instances that serve, at each scrape.
    pub(super) fn scraped(&self, facts: &ScalingLayout) -> Vec<(Nanos, f64)> {
        let piece = facts.scrape_interval.0.max(1);
        let serving = self.serving(facts);
        let fresh = || Series::new(facts.rate_window);
        let mut known: Vec<(Series, f64)> = vec![(fresh(), 0.0); facts.slots.len()];
        let mut means = Vec::new();
        let mut place = 0;
        for number in 0..=(self.end.0 / piece).min(PIECES_AT_MOST) {
            let at = Nanos(number * piece);
            while serving.get(place + 1).is_some_and(|(from, _)| *from <= at) {
                place += 1;
            }
            let (mut sum, mut count) = (0.0, 0);
            for (slot, (series, total)) in known.iter_mut().enumerate() {
                let before = number.checked_sub(1).map(|number| number as usize);
                let busy = before.and_then(|before| self.busy[slot].get(before)).unwrap_or(&0);
                *total += *busy as f64 / 1e9 / f64::from(facts.workers);
                if !serving[place].1[slot] {
                    *series = fresh();
                    continue;
                }
                series.push(at, *total);
                if let Some(rate) = series.rate(at, facts.rate_window) {
                    (sum, count) = (sum + rate.value, count + 1);
                }
            }
            if count > 0 {
                means.push((at, sum / f64::from(count)));
            }
        }
        means
    }
}

/// Instances times time that serve from `from` to `until`, ns.
fn available(serving: &[(Nanos, Vec<bool>)], from: Nanos, until: Nanos) -> f64 {
    let ends = serving.iter().skip(1).map(|(at, _)| *at).chain([Nanos::MAX]);
    let part = |((begin, serves), end): (&(Nanos, Vec<bool>), Nanos)| {
        let (begin, end) = ((*begin).max(from), end.min(until));
        let count = serves.iter().filter(|serves| **serves).count();
        if begin < end { end.since(begin).0 as f64 * count as f64 } else { 0.0 }
    };
    serving.iter().zip(ends).map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::super::steps;
    use super::*;
    use crate::compare::digest::tests::row;
    use crate::compare::layout::tests::layout as plain;
    use crate::record::EventKind;
    use crate::units::{Span, World};

    const SECOND: u64 = 1_000_000_000;

    /// From one instance to four, busy for more than 70 % is too much; the load doubles at 30 s.
    fn facts() -> ScalingLayout {
        ScalingLayout {
            group: "api".to_owned(),
            slots: 0..4,
            workers: 1,
            initial: 1,
            poll: Span::from_secs(2),
            scrape_interval: Span::from_secs(1),
            rate_window: Span::from_secs(4),
            up: Some(0.7),
            down: Some(0.3),
            slo: None,
        }
    }

    fn layout() -> Layout {
        let mut layout = plain();
        (layout.stages[0].from_rate, layout.stages[0].until_rate) = (50.0, 50.0);
        layout
    }

    fn tally(rows: &[(u64, &str, &str)]) -> Tally {
        let mut tally = Tally::new(&facts(), layout().end);
        for (at, subject, reason) in rows {
            tally.event(
                &facts(),
                &EventRow {
                    world: World::Live,
                    replication: 0,
                    at_ns: at * SECOND,
                    kind: EventKind::Scaled,
                    subject: (*subject).to_owned(),
                    reason: (*reason).to_owned(),
                },
            );
        }
        tally
    }

    #[test]
    fn instances_cost_from_their_start_to_their_stop() {
        let tally = tally(&[
            (10, "api", "1 → 3 (start 2, 3): busy"),
            (12, "api-2", "is ready and serves"),
            (13, "api-3", "is ready and serves"),
            (20, "api-1", "ended (signal 9)"),
            (20, "api", "2 → 3 (start 1): an instance died and is replaced"),
            (22, "api-1", "is ready and serves"),
            (40, "api", "3 → 2 (stop 3): idle"),
            (41, "api-3", "was drained and stopped"),
        ]);
        // 20 and 40 s of the first, 50 of the second, 31 of the third.
        assert_eq!(tally.instance_seconds(&facts()), 20.0 + 40.0 + 50.0 + 31.0);
        let ready = tally.ready(&facts()).into_iter().map(|(at, count)| (at / SECOND, count));
        let ready: Vec<_> = ready.collect();
        assert_eq!(ready, [(0, 1), (12, 2), (13, 3), (20, 2), (22, 3), (41, 2)]);
        let sizes: Vec<_> =
            tally.events(&facts(), &layout()).iter().map(|e| (e.from, e.to)).collect();
        assert_eq!(sizes, [(1, 3), (3, 2)], "a replacement is no scaling event");
    }

    #[test]
    fn a_reversal_is_a_flap_unless_the_load_asked_for_it() {
        let up = |at| (at, "api", "1 → 2 (start 2): busy");
        let down = |at| (at, "api", "2 → 1 (stop 2): idle");
        // The load grows at 30 s.
        let events = tally(&[up(10), down(20), up(35), down(45)]).events(&facts(), &layout());
        let flaps: Vec<_> = events.iter().map(|event| event.flap).collect();
        assert_eq!(flaps, [false, true, false, true]);
    }

    /// At 30 s the instance gets busy for all of its time. The window of 4 s is above 70 % when
    /// three of them are over.
    #[test]
    fn the_time_to_capacity_is_split_where_the_metric_showed_it() {
        let mut tally =
            tally(&[(36, "api", "1 → 2 (start 2): busy"), (39, "api-2", "is ready and serves")]);
        for second in 30..39 {
            let full = row(second, second * SECOND, SECOND);
            tally.request(&facts(), &full);
        }
        let (facts, layout) = (facts(), layout());
        let steps = steps(&facts, &layout, &tally, &tally.events(&facts, &layout));
        let [step] = &steps[..] else { panic!("{steps:?}") };
        assert_eq!(step.stage, "high");
        let lag = step.metric_lag_ns.expect("known");
        assert_eq!((lag, step.decision_ns, step.start_up_ns), (3 * SECOND, 3 * SECOND, 3 * SECOND));
        let utilization = tally.utilization(&facts);
        assert_eq!((utilization[29], utilization[30], utilization[38]), (0.0, 1.0, 1.0));
    }

    #[test]
    fn damaged_rows_do_no_harm() {
        let mut tally =
            tally(&[(5, "api-77", "is ready and serves"), (6, "api", "9 → 8 (start 99): x")]);
        let mut damaged = row(0, u64::MAX, 0);
        damaged.service_ns = 5;
        tally.request(&facts(), &damaged);
        damaged.upstream = u32::MAX;
        tally.request(&facts(), &damaged);
        assert_eq!(tally.instance_seconds(&facts()), 60.0);
        assert_eq!(tally.utilization(&facts()).len(), 60);
    }
}
