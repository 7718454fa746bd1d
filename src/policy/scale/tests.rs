//! What holds of the machine as a whole.

mod several;

use proptest::prelude::*;

use super::*;
use crate::policy::backoff::BackoffConfig;
use crate::units::{Nanos, Seed, Span};

const SEED: u64 = 11;

/// A group that does at once what it is told.
struct Fleet {
    scaler: Scaler,
    instances: Vec<InstanceSample>,
    now: Nanos,
}

impl Fleet {
    fn new(config: ScaleConfig) -> Self {
        let scaler = Scaler::new(config, Seed::new(SEED, 0));
        let instances = (0..scaler.desired()).map(|slot| ready(slot, Nanos::ZERO)).collect();
        Self { scaler, instances, now: Nanos::ZERO }
    }

    /// The next poll, of `usage` at every instance, not yet carried out.
    fn decision(&mut self, usage: Option<f64>) -> ScaleDecision {
        self.now = self.scaler.next_poll();
        let readings = [Ok(everywhere(&self.instances, self.now, usage))];
        self.scaler.poll(self.now, Ok((&self.instances, &readings)))
    }

    /// The next poll, carried out at once.
    fn poll(&mut self, usage: Option<f64>) -> ScaleDecision {
        let decision = self.decision(usage);
        self.carry_out(&decision.change);
        decision
    }

    fn carry_out(&mut self, change: &Change) {
        match change {
            Change::None => return,
            Change::Out(slots) => {
                self.instances.retain(|instance| !slots.contains(&instance.slot));
                self.instances.extend(slots.iter().map(|slot| ready(*slot, self.now)));
            }
            Change::In(slots) => self.instances.retain(|one| !slots.contains(&one.slot)),
        }
        self.scaler.acted(self.now, change, Ok(()));
    }

    fn kill(&mut self, slot: u32) {
        self.instances
            .iter_mut()
            .filter(|one| one.slot == slot)
            .for_each(|one| one.phase = Phase::Dead);
    }
}

/// The same value at every instance, over the last 15 s.
fn everywhere(instances: &[InstanceSample], until: Nanos, usage: Option<f64>) -> Reading {
    let from = until - Span::from_secs(15);
    let of = |one: &InstanceSample| Some((one.slot, Usage { value: usage?, from, until }));
    Reading::Instances(instances.iter().filter_map(of).collect())
}

fn ready(slot: u32, at: Nanos) -> InstanceSample {
    InstanceSample { slot, phase: Phase::Ready, started_at: at, readiness_changed_at: at }
}

fn secs(seconds: u64) -> Nanos {
    Nanos::ZERO + Span::from_secs(seconds)
}

#[test]
fn above_seventy_percent_adds_the_lowest_free_slot_and_says_why() {
    let mut fleet = Fleet::new(ScaleConfig { initial: 3, ..ScaleConfig::new(1, 10) });
    fleet.instances.remove(1);
    fleet.instances.push(ready(5, Nanos::ZERO));
    let decision = fleet.poll(Some(0.782));
    assert_eq!(decision.change, Change::Out(vec![1]));
    assert_eq!(
        decision.to_string(),
        "3 → 4 (start 2): mean utilization 78.2 % of 3 ready instances is above 70 %"
    );
}

/// The comparison is strict, and what lies between the bounds changes nothing.
#[test]
fn the_bounds_themselves_change_nothing() {
    for usage in [0.70, 0.5, 0.30] {
        let mut fleet = Fleet::new(ScaleConfig { initial: 3, ..ScaleConfig::new(1, 10) });
        assert_eq!(fleet.poll(Some(usage)).change, Change::None, "{usage}");
    }
}

#[test]
fn below_thirty_percent_takes_the_youngest_and_of_equals_the_highest_slot() {
    let mut fleet = Fleet::new(ScaleConfig { initial: 3, ..ScaleConfig::new(1, 10) });
    assert_eq!(fleet.poll(Some(0.8)).change, Change::Out(vec![3]));
    assert_eq!(fleet.poll(Some(0.8)).change, Change::Out(vec![4]));
    fleet.instances[1].phase = Phase::Unready;
    let taken: Vec<_> = (0..5).map(|_| fleet.poll(Some(0.1)).change).collect();
    let expected = [vec![1], vec![4], vec![3], vec![2]].map(Change::In);
    assert_eq!(taken[..4], expected);
    assert_eq!(taken[4], Change::None);
    assert_eq!(fleet.scaler.desired(), 1);
}

#[test]
fn what_starts_counts_in_the_size_and_not_in_the_mean() {
    let mut fleet = Fleet::new(ScaleConfig { initial: 2, ..ScaleConfig::new(1, 10) });
    let out = fleet.decision(Some(0.9)).change;
    assert_eq!(out, Change::Out(vec![2]));
    // Not listed yet, and already counted.
    let decision = fleet.decision(Some(0.9));
    assert_eq!((decision.size, decision.change), (3, Change::None));
    assert_eq!(decision.reason.limits, [Limit::Busy]);
    fleet.carry_out(&out);
    assert_eq!(fleet.poll(Some(0.9)).change, Change::Out(vec![3]));
}

#[test]
fn polls_in_a_row_are_counted_and_broken_by_one_that_finds_otherwise() {
    let rule = ThresholdConfig { up_polls: 3, ..ThresholdConfig::default() };
    let config = ScaleConfig { rule: ScaleRule::Threshold(rule), ..ScaleConfig::new(1, 10) };
    let mut fleet = Fleet::new(config);
    let sizes: Vec<_> =
        [0.9, 0.9, 0.5, 0.9, 0.9, 0.9, 0.9].map(|usage| fleet.poll(Some(usage)).desired).into();
    assert_eq!(sizes, [1, 1, 1, 1, 1, 2, 3]);
}

/// A scale-out does not wait for the cooldown of scale-in, and begins one.
#[test]
fn cooldowns_count_from_the_change_that_was_carried_out() {
    let mut fleet = Fleet::new(ScaleConfig {
        initial: 3,
        cooldown_up: Span::from_secs(30),
        cooldown_down: Span::from_secs(60),
        ..ScaleConfig::new(1, 10)
    });
    assert_eq!(fleet.poll(Some(0.1)).change, Change::In(vec![2]));
    assert_eq!(fleet.now, secs(15));
    assert_eq!(fleet.poll(Some(0.9)).change, Change::Out(vec![2]));
    let held = fleet.poll(Some(0.9));
    assert_eq!(held.reason.limits, [Limit::CoolingUp { until: secs(60) }]);
    assert_eq!(fleet.poll(Some(0.9)).change, Change::Out(vec![3]));
    let waits = (0..4).map(|_| fleet.poll(Some(0.1)).change).collect::<Vec<_>>();
    assert_eq!(waits[..3], [Change::None, Change::None, Change::None]);
    assert_eq!((fleet.now, &waits[3]), (secs(120), &Change::In(vec![3])));
}

#[test]
fn one_that_died_is_replaced_at_once_in_its_slot_whatever_the_cooldown_and_the_metrics() {
    let config =
        ScaleConfig { initial: 3, cooldown_up: Span::from_secs(600), ..ScaleConfig::new(1, 4) };
    let mut fleet = Fleet::new(config);
    assert_eq!(fleet.poll(Some(0.9)).change, Change::Out(vec![3]));
    fleet.kill(1);
    let decision = fleet.poll(None);
    assert_eq!(decision.change, Change::Out(vec![1]));
    assert_eq!(decision.reason.finding, Finding::Died { count: 1 });
    fleet.kill(0);
    let decision = fleet.scaler.replace(fleet.now, &fleet.instances);
    assert_eq!(decision.to_string(), "3 → 4 (start 1): an instance died");
}

/// One that died while fewer are wanted is not started again.
#[test]
fn what_died_goes_first_when_fewer_are_wanted() {
    let mut fleet = Fleet::new(ScaleConfig { initial: 3, ..ScaleConfig::new(1, 4) });
    fleet.kill(0);
    assert_eq!(fleet.poll(Some(0.1)).change, Change::In(vec![0]));
    assert_eq!(fleet.scaler.desired(), 2);
}

#[test]
fn failed_polls_pause_longer_and_longer_on_the_grid_of_polls_and_a_good_one_ends_that() {
    let backoff = BackoffConfig { base: Span::from_secs(30), max: Span::from_secs(240) };
    let mut fleet = Fleet::new(ScaleConfig { backoff, ..ScaleConfig::new(1, 4) });
    let mut longest = 0;
    for _ in 0..200 {
        let before = fleet.now;
        let decision = fleet.decision(None);
        assert_eq!(decision.change, Change::None);
        assert_eq!(fleet.now.0 % Span::from_secs(15).0, 0);
        longest = longest.max(fleet.now.since(before).0);
    }
    assert!((180..=255).contains(&(longest / 1_000_000_000)), "{longest}");
    assert_eq!(fleet.decision(Some(0.9)).change, Change::Out(vec![1]));
    assert_eq!(fleet.scaler.next_poll().since(fleet.now), Span::from_secs(15));
}

#[test]
fn a_failed_action_is_repeated_after_a_pause_and_says_so() {
    let backoff = BackoffConfig { base: Span::from_secs(60), max: Span::from_secs(60) };
    let mut fleet = Fleet::new(ScaleConfig { backoff, ..ScaleConfig::new(1, 4) });
    let out = fleet.decision(Some(0.9)).change;
    let error = ActionError("no such image".to_owned());
    fleet.scaler.acted(fleet.now, &out, Err(error.clone()));
    let mut refused = 0;
    let again = loop {
        let decision = fleet.poll(Some(0.5));
        if decision.change != Change::None {
            break decision;
        }
        assert!(
            decision.to_string().contains("the last action failed (no such image)"),
            "{decision}"
        );
        refused += 1;
    };
    assert!(refused < 4, "{refused}");
    assert_eq!(again.change, Change::Out(vec![1]));
    assert_eq!(again.reason.finding, Finding::OffTarget { size: 1, desired: 2 });
}

#[test]
fn without_an_answer_nothing_is_done() {
    let mut fleet = Fleet::new(ScaleConfig { initial: 2, ..ScaleConfig::new(1, 4) });
    let error = MetricsError("connection refused".to_owned());
    let decision = fleet.scaler.poll(secs(15), Err(error));
    assert_eq!(decision.to_string(), "2 → 2: no metrics: connection refused");
    assert_eq!(decision.change, Change::None);
}

/// SEMANTICS of the 70/30 rule: one fewer of n at 30 % is 0.30·n/(n − 1) ≤ 0.70 for n ≥ 2, so that
/// no constant load makes it go back and forth.
#[test]
fn a_constant_load_makes_the_threshold_rule_settle() {
    for load in 1..700 {
        let load = f64::from(load) / 100.0;
        for initial in [1, 5, 10] {
            let mut fleet = Fleet::new(ScaleConfig { initial, ..ScaleConfig::new(1, 10) });
            let mut directions = Vec::new();
            for _ in 0..30 {
                let usage = (load / f64::from(fleet.scaler.desired())).min(1.0);
                directions.extend(fleet.poll(Some(usage)).change.direction());
            }
            assert!(directions.windows(2).all(|pair| pair[0] == pair[1]), "{load} {directions:?}");
            let settled = (load / f64::from(fleet.scaler.desired())).min(1.0);
            assert_eq!(fleet.poll(Some(settled)).change, Change::None);
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Poll(Option<f64>),
    Fail(f64),
    Slow(f64),
    Finish,
    Die(u32),
    Replace,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0.0..1.5f64).prop_map(|usage| Step::Poll(Some(usage))),
        1 => Just(Step::Poll(None)),
        1 => (0.0..1.5f64).prop_map(Step::Fail),
        2 => (0.0..1.5f64).prop_map(Step::Slow),
        2 => Just(Step::Finish),
        1 => (0..8u32).prop_map(Step::Die),
        1 => Just(Step::Replace),
    ]
}

proptest! {
    /// Whatever happens: what is wanted stays within the bounds, nothing is decided without
    /// metrics, scale-in waits for its cooldown, no slot is started twice or stopped twice, and
    /// none outside the slots there are.
    #[test]
    fn the_machine_keeps_its_promises(
        steps in prop::collection::vec(step(), 1..120),
        (min, room) in (1..4u32, 0..5u32),
        (up, down) in (0..90u64, 0..90u64),
        config_rule in rules(),
    ) {
        let config = ScaleConfig {
            cooldown_up: Span::from_secs(up),
            cooldown_down: Span::from_secs(down),
            rule: config_rule,
            ..ScaleConfig::new(min, min + room)
        };
        let mut fleet = Fleet::new(config);
        let mut under_way: Vec<Change> = Vec::new();
        let mut last_done: Option<Nanos> = None;
        for step in steps {
            let before = fleet.scaler.desired();
            let decision = match step {
                Step::Poll(usage) => fleet.decision(usage),
                Step::Fail(usage) | Step::Slow(usage) => fleet.decision(Some(usage)),
                Step::Replace => fleet.scaler.replace(fleet.now, &fleet.instances),
                Step::Finish => {
                    for change in under_way.drain(..) {
                        fleet.carry_out(&change);
                        last_done = Some(fleet.now);
                    }
                    continue;
                }
                Step::Die(slot) => {
                    fleet.kill(slot);
                    continue;
                }
            };
            prop_assert!((min..=min + room).contains(&decision.desired));
            prop_assert_eq!(decision.desired, fleet.scaler.desired());
            if matches!(step, Step::Poll(None) | Step::Replace) {
                prop_assert_eq!(decision.desired, before);
            }
            if decision.desired < before {
                prop_assert!(last_done.is_none_or(|at| fleet.now.since(at) >= Span::from_secs(down)));
            }
            if let Change::In(taken) = &decision.change {
                // A rule that does not wait may take back what still starts: that is not started.
                for change in &mut under_way {
                    if let Change::Out(slots) = change {
                        slots.retain(|slot| !taken.contains(slot));
                    }
                }
            }
            let mut slots = decision.change.slots().to_vec();
            slots.extend(under_way.iter().flat_map(|change| change.slots()));
            slots.sort_unstable();
            let number = slots.len();
            slots.dedup();
            prop_assert_eq!(slots.len(), number, "a slot is in two changes");
            prop_assert!(slots.iter().all(|slot| *slot < min + room));
            match step {
                Step::Fail(_) => {
                    let error = ActionError("broken".to_owned());
                    fleet.scaler.acted(fleet.now, &decision.change, Err(error));
                }
                _ if decision.change == Change::None => {}
                Step::Slow(_) => under_way.push(decision.change),
                _ => {
                    fleet.carry_out(&decision.change);
                    last_done = Some(fleet.now);
                }
            }
        }
        // In peace the group comes to what is wanted.
        under_way.drain(..).for_each(|change| fleet.carry_out(&change));
        for _ in 0..200 {
            fleet.poll(None);
        }
        let members = fleet.instances.iter().filter(|one| one.is_member()).count();
        prop_assert_eq!(members as u32, fleet.scaler.desired());
    }
}

fn rules() -> impl Strategy<Value = ScaleRule> {
    let threshold = |(up_polls, down_polls, step)| {
        let bounds = ThresholdConfig::default();
        ScaleRule::Threshold(ThresholdConfig { up_polls, down_polls, step, ..bounds })
    };
    let target = |(percent, behaves, window): (u32, bool, u64)| {
        let stabilization = Span::from_secs(window);
        let behavior = behaves.then(Behavior::default);
        let value = f64::from(percent) / 100.0;
        ScaleRule::Target(TargetConfig { stabilization, behavior, ..TargetConfig::new(value) })
    };
    let tracking = |(percent, up_periods, down_periods): (u32, u32, u32)| {
        let config = TargetTrackingConfig::new(f64::from(percent) / 100.0);
        ScaleRule::TargetTracking(TargetTrackingConfig { up_periods, down_periods, ..config })
    };
    prop_oneof![
        (1..4u32, 1..4u32, 1..4u32).prop_map(threshold),
        (20..90u32, any::<bool>(), 0..200u64).prop_map(target),
        (20..90u32, 1..4u32, 1..6u32).prop_map(tracking),
    ]
}

/// As [`Fleet::poll`] under a load that the instances share.
fn poll_under(fleet: &mut Fleet, load: f64) -> ScaleDecision {
    let size = fleet.instances.len() as f64;
    fleet.poll(Some((load / size).min(1.0)))
}

fn with_rule(rule: ScaleRule) -> Fleet {
    Fleet::new(ScaleConfig { rule, ..ScaleConfig::new(1, 20) })
}

#[test]
fn the_target_is_met_at_once_and_left_only_after_the_window() {
    let target = TargetConfig { initialization: Span::ZERO, ..TargetConfig::new(0.5) };
    let mut fleet = with_rule(ScaleRule::Target(target));
    let sizes: Vec<u32> = (0..4).map(|_| poll_under(&mut fleet, 6.0).desired).collect();
    // 100 % of each until there are enough: twice as many each time.
    assert_eq!(sizes, [2, 4, 8, 12]);
    let first = poll_under(&mut fleet, 2.0);
    assert_eq!(
        first.to_string(),
        "12 → 12: mean utilization 16 % of 12 ready instances beside a target of 50 % takes 4, but \
         12 were recommended within the last 300s"
    );
    let fell = loop {
        let decision = poll_under(&mut fleet, 2.0);
        if decision.desired < 12 {
            break decision;
        }
    };
    assert_eq!(fell.desired, 4);
    assert_eq!(fleet.now, secs(15 * 4 + 315), "the last 12 was recommended at 60 s");
}

#[test]
fn target_tracking_waits_for_its_alarms_and_shrinks_by_one() {
    let mut fleet = with_rule(ScaleRule::TargetTracking(TargetTrackingConfig::new(0.5)));
    let mut grew = None;
    while fleet.now < secs(600) {
        let decision = poll_under(&mut fleet, 3.0);
        if decision.change != Change::None {
            grew.get_or_insert((fleet.now, decision.desired));
        }
    }
    assert_eq!(grew, Some((secs(180), 2)), "three minutes at 100 % of one");
    assert_eq!(fleet.scaler.desired(), 6);
    let mut fell = Vec::new();
    while fleet.now < secs(3600) {
        let decision = poll_under(&mut fleet, 1.0);
        if decision.change != Change::None {
            fell.push((fleet.now, decision.desired));
        }
    }
    assert_eq!(fell[0].1, 5);
    assert!(fell.windows(2).all(|pair| pair[1].0.since(pair[0].0) >= Span::from_secs(900)));
    assert!(fleet.scaler.desired() >= 3, "40 % to 45 % is not below 90 % of 50 %");
}

proptest! {
    /// At a constant load no rule goes back and forth for ever.
    #[test]
    fn at_a_constant_load_every_rule_settles(rule in rules(), load in 0.05..12.0f64) {
        let by_one = match &rule {
            ScaleRule::Threshold(rule) => rule.step == 1,
            _ => true,
        };
        let mut fleet = with_rule(rule);
        let mut changes = Vec::new();
        for _ in 0..1500 {
            let decision = poll_under(&mut fleet, load);
            if let Some(direction) = decision.change.direction() {
                changes.push((fleet.now, direction));
            }
        }
        let late = changes.iter().filter(|(at, _)| *at > secs(15 * 1300)).count();
        prop_assert!(!by_one || late == 0, "{late} late changes");
    }

    /// The more was recommended within the window, the higher the size, and the longer the window,
    /// the later it falls.
    #[test]
    fn a_longer_window_never_gives_fewer(
        loads in prop::collection::vec(0.1..8.0f64, 1..60),
        (shorter, more) in (0..300u64, 0..300u64),
    ) {
        let run = |window: u64| {
            let target = TargetConfig {
                stabilization: Span::from_secs(window),
                initialization: Span::ZERO,
                ..TargetConfig::new(0.5)
            };
            let mut scaler = Scaler::new(
                ScaleConfig { rule: ScaleRule::Target(target), ..ScaleConfig::new(1, 20) },
                Seed::new(SEED, 0),
            );
            // What is recommended follows from the load alone: the usage of a group of one size.
            let sizes = loads.iter().map(|load| {
                let now = scaler.next_poll();
                let instances: Vec<_> = (0..4).map(|slot| ready(slot, Nanos::ZERO)).collect();
                let readings = [Ok(everywhere(&instances, now, Some(load / 8.0)))];
                let decision = scaler.poll(now, Ok((&instances, &readings)));
                scaler.acted(now, &decision.change, Ok(()));
                decision.desired
            });
            sizes.collect::<Vec<u32>>()
        };
        let (short, long) = (run(shorter), run(shorter + more));
        prop_assert!(short.iter().zip(&long).all(|(short, long)| short <= long));
    }
}
