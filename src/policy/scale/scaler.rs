//! The machine: rule, bounds, cooldowns, replacement and back-off joined.

use std::collections::BTreeMap;

use super::config::ScaleConfig;
use super::decision::{ActionError, Change, Direction, MetricsError, ScaleDecision};
use super::instance::{InstanceSample, Phase};
use super::metric::Readings;
use super::reason::{Finding, Limit, Reason};
use super::rule::{Judgement, Rule};
use super::slots;
use crate::units::{Nanos, Purpose, Seed, Span};

/// How many instances there should be.
///
/// [`Self::poll`] it at [`Self::next_poll`], carry out the [`Change`] it gives, and tell it by
/// [`Self::acted`] how that ended; when an instance ends on its own meanwhile, ask
/// [`Self::replace`]. A change that is being carried out counts as done in what follows, whether or
/// not the instances handed in show it yet.
#[derive(Clone, Debug)]
pub struct Scaler {
    config: ScaleConfig,
    seed: Seed,
    rule: Rule,
    desired: u32,
    next_poll: Nanos,
    /// Polls in a row that found no metrics.
    failed_polls: u16,
    /// Slots of changes that are being carried out, and since when.
    pending: BTreeMap<u32, (Direction, Nanos)>,
    /// When the last scale-out, and the last change of either direction, was carried out.
    last_out: Option<Nanos>,
    last_change: Option<Nanos>,
    trouble: Option<Trouble>,
    /// Pauses drawn so far.
    pauses: u64,
}

/// Actions that failed in a row, and until when none is tried.
#[derive(Clone, Debug)]
struct Trouble {
    error: ActionError,
    failures: u16,
    until: Nanos,
}

impl Scaler {
    /// `seed` addresses the draws of its back-off. The first poll is one interval after zero.
    ///
    /// Bounds that contradict each other are put right: `min` is at least 1, `max` at least `min`,
    /// and `initial` within them.
    #[must_use]
    pub fn new(mut config: ScaleConfig, seed: Seed) -> Self {
        config.min = config.min.max(1);
        config.max = config.max.max(config.min);
        config.initial = config.initial.clamp(config.min, config.max);
        config.poll = config.poll.max(Span(1));
        Self {
            rule: Rule::new(&config.rule),
            desired: config.initial,
            next_poll: Nanos::ZERO + config.poll,
            failed_polls: 0,
            pending: BTreeMap::new(),
            last_out: None,
            last_change: None,
            trouble: None,
            pauses: 0,
            config,
            seed,
        }
    }

    /// The autoscaler as configured.
    #[must_use]
    pub const fn config(&self) -> &ScaleConfig {
        &self.config
    }

    /// Instances that there should be.
    #[must_use]
    pub const fn desired(&self) -> u32 {
        self.desired
    }

    /// When it wants to be polled: at a multiple of the poll interval. After polls that found no
    /// metrics, at the first one after a pause that doubles with each of them, with jitter.
    #[must_use]
    pub const fn next_poll(&self) -> Nanos {
        self.next_poll
    }

    /// Decides by the `instances` that there are at `now`, and what was measured: a reading for each
    /// metric of the configuration. Without metrics the number that is wanted stays as it is;
    /// instances that died are replaced all the same, if any are listed.
    pub fn poll(
        &mut self,
        now: Nanos,
        known: Result<(&[InstanceSample], &Readings), MetricsError>,
    ) -> ScaleDecision {
        let (listed, readings) = match known {
            Ok(known) => known,
            Err(error) => {
                self.poll_again(now, true);
                let reason = Reason { finding: Finding::NoMetrics(error), limits: Vec::new() };
                let desired = self.desired;
                return ScaleDecision { size: desired, desired, change: Change::None, reason };
            }
        };
        let instances = self.with_pending(listed);
        let judgement = self.rule.judge(now, &self.config, (&instances, readings), self.desired);
        self.poll_again(now, judgement.wanted.is_none());
        self.decide(now, &instances, judgement)
    }

    /// Replaces instances that died, at once and whatever was measured; wants no other number than
    /// before. Harmless at any time.
    pub fn replace(&mut self, now: Nanos, instances: &[InstanceSample]) -> ScaleDecision {
        let instances = self.with_pending(instances);
        self.decide(now, &instances, Judgement::none(Finding::Unasked))
    }

    /// A change, or those of its slots that are named, was carried out or failed.
    pub fn acted(&mut self, now: Nanos, change: &Change, result: Result<(), ActionError>) {
        for slot in change.slots() {
            self.pending.remove(slot);
        }
        match (result, change.direction()) {
            (_, None) => {}
            (Ok(()), Some(direction)) => {
                self.trouble = None;
                self.last_change = Some(now);
                if direction == Direction::Out {
                    self.last_out = Some(now);
                }
            }
            (Err(error), Some(_)) => {
                let before = self.trouble.as_ref().map_or(0, |trouble| trouble.failures);
                let failures = before.saturating_add(1);
                let until = now + self.pause(failures);
                self.trouble = Some(Trouble { error, failures, until });
            }
        }
    }

    /// What is listed, with the changes that are being carried out as good as done.
    fn with_pending(&self, listed: &[InstanceSample]) -> Vec<InstanceSample> {
        let mut instances = listed.to_vec();
        for (&slot, &(direction, since)) in &self.pending {
            let listed = instances.iter_mut().find(|instance| instance.slot == slot);
            match (direction, listed) {
                (Direction::In, Some(instance)) => instance.phase = Phase::Draining,
                (Direction::In, None) => {}
                (Direction::Out, Some(instance)) if instance.is_member() => {}
                (Direction::Out, Some(instance)) => instance.phase = Phase::Starting,
                (Direction::Out, None) => instances.push(InstanceSample {
                    slot,
                    phase: Phase::Starting,
                    started_at: since,
                    readiness_changed_at: since,
                }),
            }
        }
        instances
    }

    /// Brings the number that is wanted, and the group to it, as far as the limits allow.
    fn decide(
        &mut self,
        now: Nanos,
        instances: &[InstanceSample],
        judgement: Judgement,
    ) -> ScaleDecision {
        let Judgement { wanted, finding, mut limits } = judgement;
        let before = self.desired;
        if let Some(wanted) = wanted {
            self.desired = self.limited(now, wanted, &mut limits);
        }
        if self.desired != before {
            self.rule.changed(now, before, self.desired);
        }
        let size = instances.iter().filter(|instance| instance.is_member()).count() as u32;
        let change = self.change(now, instances, size, &mut limits);
        let died = instances.iter().filter(|instance| instance.phase == Phase::Dead).count();
        let finding = if self.desired != before || (died == 0 && size == self.desired) {
            finding
        } else if died > 0 {
            Finding::Died { count: died as u32 }
        } else {
            Finding::OffTarget { size, desired: self.desired }
        };
        if let Some(direction) = change.direction() {
            let pending = change.slots().iter().map(|slot| (*slot, (direction, now)));
            self.pending.extend(pending);
        }
        ScaleDecision { size, desired: self.desired, change, reason: Reason { finding, limits } }
    }

    /// The number that is `wanted` by the rule, as near to it as may be.
    fn limited(&self, now: Nanos, wanted: u32, limits: &mut Vec<Limit>) -> u32 {
        let ScaleConfig { min, max, max_step_up, max_step_down, .. } = self.config;
        let desired = self.desired;
        if wanted == desired {
            return desired;
        }
        if let Some(limit) = self.holds_back(now, wanted > desired) {
            limits.push(limit);
            return desired;
        }
        let most = desired.saturating_add(max_step_up.map_or(u32::MAX, |step| step.max(1)));
        let least = desired.saturating_sub(max_step_down.map_or(u32::MAX, |step| step.max(1)));
        if wanted > most {
            limits.push(Limit::StepUp(most - desired));
        } else if wanted < least {
            limits.push(Limit::StepDown(desired - least));
        }
        let limited = wanted.clamp(least, most);
        if limited > max {
            limits.push(Limit::Max(max));
        } else if limited < min {
            limits.push(Limit::Min(min));
        }
        limited.clamp(min, max)
    }

    /// What keeps the number that is wanted from changing at all.
    fn holds_back(&self, now: Nanos, up: bool) -> Option<Limit> {
        if let Some(limit) = self.pausing(now) {
            return Some(limit);
        }
        let ScaleConfig { cooldown_up, cooldown_down, .. } = self.config;
        let (direction, cooldown) =
            if up { (Direction::Out, cooldown_up) } else { (Direction::In, cooldown_down) };
        if !self.pending.is_empty() && self.rule.waits(direction, cooldown) {
            return Some(Limit::Busy);
        }
        if up {
            let until = Limit::cooling(now, self.last_out, cooldown_up)?;
            Some(Limit::CoolingUp { until })
        } else {
            let until = Limit::cooling(now, self.last_change, cooldown_down)?;
            Some(Limit::CoolingDown { until })
        }
    }

    /// What brings a group of `size` to the number that is wanted.
    fn change(
        &self,
        now: Nanos,
        instances: &[InstanceSample],
        size: u32,
        limits: &mut Vec<Limit>,
    ) -> Change {
        let change = if size < self.desired {
            let missing = self.desired - size;
            let slots = slots::free(instances, self.config.max, missing);
            if slots.len() < missing as usize {
                limits.push(Limit::NoFreeSlot);
            }
            Change::Out(slots)
        } else {
            let mut slots = slots::dead(instances);
            slots.extend(slots::leaving(instances, size - self.desired));
            Change::In(slots)
        };
        if change.slots().is_empty() {
            return Change::None;
        }
        if let Some(limit) = self.pausing(now) {
            if !limits.contains(&limit) {
                limits.push(limit);
            }
            return Change::None;
        }
        change
    }

    /// The pause after an action that failed, if it lasts.
    fn pausing(&self, now: Nanos) -> Option<Limit> {
        let Trouble { error, failures, until } = self.trouble.clone()?;
        (now < until).then_some(Limit::Pausing { error, failures: failures.into(), until })
    }

    fn poll_again(&mut self, now: Nanos, failed: bool) {
        self.failed_polls = if failed { self.failed_polls.saturating_add(1) } else { 0 };
        let poll = self.config.poll.0;
        let next = (now.0 / poll).saturating_add(1).saturating_mul(poll);
        self.next_poll = Nanos(next);
        if failed {
            let until = now + self.pause(self.failed_polls);
            self.next_poll = self.next_poll.max(Nanos(until.0.div_ceil(poll).saturating_mul(poll)));
        }
    }

    /// The pause after failure `failures` in a row (from 1).
    fn pause(&mut self, failures: u16) -> Span {
        self.pauses += 1;
        let draw = self.seed.draw(Purpose::Scaling, self.pauses, 0);
        self.config.backoff.drawn(draw, failures)
    }
}
