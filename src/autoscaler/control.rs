//! The loop: look, measure, decide, act.
//!
//! One step looks at the instances and takes each of them one stage further; a change goes on while
//! the next polls are made, since a start or a drain may take longer than the time between two.
//! Deciding is the [`Scaler`]'s alone.
//!
//! | an instance | what happens to it next |
//! |---|---|
//! | starting | once its health check passes, every balancer is told, and it serves |
//! | draining | every balancer gives it nothing new; once nothing is in flight, or `drain_timeout` is over, it is removed there and stopped |
//! | dead | the scaler is asked at once, and one in its place is started |

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;

use super::log::{Happening, Log};
use super::member::{Leaving, Member, Stage};
use super::source::Source;
use super::status::Status;
use super::{Balancing, Fleet, Health, Instance, InstanceState};
use crate::host::clock;
use crate::policy::scale::{
    ActionError, Change, InstanceSample, MetricsError, ScaleDecision, Scaler, Usage,
};
use crate::units::{Nanos, Span};

/// How much longer than the drain its retirement may take.
const RETIRE_SLACK: Span = Span::from_secs(10);

/// What surrounds the decisions.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// Name of the group: the instance in slot `k` is called `group-(k+1)`.
    pub group: String,
    /// The zero of all instants, on the host's monotonic clock.
    pub zero: Nanos,
    /// Time between two looks at the instances; positive.
    pub step: Span,
    /// An instance that is not healthy this long after its start is given up.
    pub start_limit: Span,
    /// Longest time for what an instance that leaves has in flight.
    pub drain_timeout: Span,
}

/// The autoscaler of one group.
#[derive(Debug)]
pub struct Control<F, B, S, L> {
    config: ControlConfig,
    scaler: Scaler,
    fleet: F,
    balancing: B,
    source: S,
    log: L,
    status: Status,
    members: BTreeMap<u32, Member>,
    next_step: Nanos,
}

impl<F: Fleet, B: Balancing, S: Source, L: Log> Control<F, B, S, L> {
    /// `serving` are the slots of those that are there, healthy, and known to the balancers; others
    /// that the fleet has are told to the balancers when they are found healthy.
    pub fn new(
        config: ControlConfig,
        scaler: Scaler,
        (fleet, balancing, source): (F, B, S),
        log: L,
        serving: impl IntoIterator<Item = u32>,
    ) -> Self {
        let members = serving.into_iter().map(|slot| (slot, Member::serving())).collect();
        let status = Status::new(scaler.config());
        let next_step = Nanos::ZERO;
        Self { config, scaler, fleet, balancing, source, log, status, members, next_step }
    }

    /// What its `/metrics` show; a copy shows the same.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.clone()
    }

    /// Runs until `stop`. What is being carried out then stays as it is.
    pub async fn run(&mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        // Where fewer are there than there should be from the start, they need not wait for a poll.
        self.turn().await;
        self.replace().await;
        loop {
            let polls = self.scaler.next_poll();
            let next = self.next_step.min(polls).min(self.source.next_look().unwrap_or(polls));
            let wait = (self.config.zero + next.since(Nanos::ZERO)).since(clock::now());
            tokio::select! {
                biased;
                () = &mut stop => return,
                () = tokio::time::sleep(wait.to_std()) => self.turn().await,
            }
        }
    }

    /// Drains and stops every instance, as one does whose fleet ends with it.
    pub async fn retire(&mut self) {
        let slots: Vec<u32> = self.members.keys().copied().collect();
        self.leave_all(slots).await;
        let deadline = self.now() + self.config.drain_timeout + RETIRE_SLACK;
        while !self.members.is_empty() && self.now() < deadline {
            if let Ok(listed) = self.list().await {
                self.compare(&listed);
                self.advance(&listed).await;
            }
            tokio::time::sleep(self.config.step.to_std()).await;
        }
    }

    /// Does what is due. At one instant a look at the metrics goes before a decision on them.
    async fn turn(&mut self) {
        let now = self.now();
        let listed = self.list().await;
        let look = self.source.next_look().filter(|look| *look <= now);
        if let (Some(look), Ok(instances)) = (look, &listed) {
            let measured: Vec<_> = instances.iter().filter(|one| self.is_measured(one)).collect();
            self.source.look(look, &measured).await;
        } else if look.is_some() {
            self.source.look(now, &[]).await;
        }
        if let Ok(instances) = &listed {
            self.compare(instances);
            self.advance(instances).await;
        }
        let due = self.scaler.next_poll();
        if due <= now {
            // Decided for the instant that was meant: waking up late is no part of the rules.
            let poll = self.scaler.config().poll;
            self.poll(if now.since(due) < poll { due } else { now }, listed.as_deref()).await;
        } else if self.members.values().any(|member| member.stage == Stage::Dead) {
            self.replace().await;
        }
        self.next_step = self.now() + self.config.step;
        self.show();
    }

    fn now(&self) -> Nanos {
        Nanos(clock::now().since(self.config.zero).0)
    }

    async fn list(&mut self) -> Result<Vec<Instance>, MetricsError> {
        match self.fleet.list().await {
            Ok(listed) => Ok(listed),
            Err(error) => {
                self.fail(format!("look at the instances: {error}"));
                Err(MetricsError(error.to_string()))
            }
        }
    }

    /// Whether its metrics are asked for: those of an instance that starts are none yet.
    fn is_measured(&self, instance: &Instance) -> bool {
        let member = self.members.get(&instance.slot);
        instance.state == InstanceState::Running && member.is_some_and(Member::is_serving)
    }

    /// Takes notice of instances that came, ended, or are gone.
    fn compare(&mut self, listed: &[Instance]) {
        let now = self.now();
        for instance in listed {
            let known = self.members.entry(instance.slot);
            let member = known.or_insert_with(|| Member::starting(now, false));
            if let (InstanceState::Ended(how), true) = (&instance.state, member.is_alive()) {
                let how = how.clone();
                self.died(instance.slot, how);
            }
        }
        let gone = |slot: &u32| listed.iter().all(|instance| instance.slot != *slot);
        let slots: Vec<u32> = self.members.keys().copied().filter(gone).collect();
        for slot in slots {
            let member = &self.members[&slot];
            match member.stage {
                Stage::Leaving(Leaving::Stopped) => self.stopped(slot),
                _ if member.is_alive() => self.died(slot, "it is gone".to_owned()),
                _ => {}
            }
        }
    }

    fn died(&mut self, slot: u32, how: String) {
        let now = self.now();
        let Some(member) = self.members.get_mut(&slot) else { return };
        let was = std::mem::replace(&mut member.stage, Stage::Dead);
        let pending = std::mem::take(&mut member.is_pending);
        member.readiness_changed_at = now;
        self.source.forget(slot);
        let name = self.name(slot);
        if pending {
            let change = match was {
                Stage::Leaving(_) => Change::In(vec![slot]),
                _ => Change::Out(vec![slot]),
            };
            let error = ActionError(format!("{name} ended ({how})"));
            self.scaler.acted(now, &change, Err(error));
        }
        self.hear(Happening::Died(name, how));
    }

    fn stopped(&mut self, slot: u32) {
        self.members.remove(&slot);
        self.source.forget(slot);
        self.scaler.acted(self.now(), &Change::In(vec![slot]), Ok(()));
        self.hear(Happening::Stopped(self.name(slot)));
    }

    /// Takes each instance one stage further, if it is ready for it.
    async fn advance(&mut self, listed: &[Instance]) {
        let slots: Vec<u32> = self.members.keys().copied().collect();
        for slot in slots {
            let instance = listed.iter().find(|instance| instance.slot == slot);
            let member = &self.members[&slot];
            if self.now() < member.again_at {
                continue;
            }
            match (&member.stage, instance) {
                (Stage::Starting, Some(instance)) => self.join(slot, instance).await,
                (Stage::Leaving(leaving), _) => self.leave(slot, *leaving, instance).await,
                _ => {}
            }
        }
    }

    /// A starting instance joins once it is healthy.
    async fn join(&mut self, slot: u32, instance: &Instance) {
        let name = self.name(slot);
        let why = match (self.fleet.health(slot).await, instance.address) {
            (Health::Failing(why), _) => why,
            (Health::Passing, None) => "nobody knows where it serves".to_owned(),
            (Health::Passing, Some(address)) => {
                match self.balancing.add(&name, address).await {
                    Ok(()) => self.joined(slot),
                    Err(error) => self.again(slot, format!("add {name}: {error}")),
                }
                return;
            }
        };
        let since = self.now().since(self.members[&slot].started_at);
        if since >= self.config.start_limit {
            self.give_up(slot, format!("{name} is not healthy {since} after its start: {why}"));
        }
    }

    fn joined(&mut self, slot: u32) {
        let now = self.now();
        let Some(member) = self.members.get_mut(&slot) else { return };
        member.stage = Stage::Serving { is_healthy: true };
        member.readiness_changed_at = now;
        member.failures = 0;
        if std::mem::take(&mut member.is_pending) {
            self.scaler.acted(now, &Change::Out(vec![slot]), Ok(()));
        }
        self.hear(Happening::Ready(self.name(slot)));
    }

    /// An instance that never got healthy is stopped; no balancer has heard of it.
    fn give_up(&mut self, slot: u32, why: String) {
        let now = self.now();
        let Some(member) = self.members.get_mut(&slot) else { return };
        member.stage = Stage::Leaving(Leaving::Stop);
        if std::mem::take(&mut member.is_pending) {
            self.scaler.acted(now, &Change::Out(vec![slot]), Err(ActionError(why.clone())));
        }
        self.fail(why);
    }

    /// One that leaves: drained, waited for, removed, stopped.
    async fn leave(&mut self, slot: u32, leaving: Leaving, instance: Option<&Instance>) {
        let name = self.name(slot);
        let next = match leaving {
            Leaving::Drain => match self.balancing.drain(&name).await {
                Ok(()) => Leaving::Wait { until: self.now() + self.config.drain_timeout },
                Err(error) => {
                    // It serves on; the scaler chooses again, after a pause.
                    self.stays(slot, format!("drain {name}: {error}"));
                    return;
                }
            },
            Leaving::Wait { until } => {
                let idle = self.is_idle(&name, instance).await;
                if !idle && self.now() < until {
                    return;
                }
                Leaving::Remove
            }
            Leaving::Remove => match self.balancing.remove(&name).await {
                Ok(()) => Leaving::Stop,
                Err(error) => return self.again(slot, format!("remove {name}: {error}")),
            },
            Leaving::Stop => match self.fleet.stop(slot).await {
                Ok(()) => Leaving::Stopped,
                Err(error) => return self.again(slot, format!("stop {name}: {error}")),
            },
            Leaving::Stopped => return,
        };
        if let Some(member) = self.members.get_mut(&slot) {
            member.stage = Stage::Leaving(next);
            member.failures = 0;
        }
    }

    fn stays(&mut self, slot: u32, why: String) {
        if let Some(member) = self.members.get_mut(&slot) {
            member.stage = Stage::Serving { is_healthy: true };
            member.is_pending = false;
        }
        self.scaler.acted(self.now(), &Change::In(vec![slot]), Err(ActionError(why.clone())));
        self.fail(why);
    }

    /// Whether nothing is in flight to `name`, by the balancers' count, or else by its own.
    async fn is_idle(&mut self, name: &str, instance: Option<&Instance>) -> bool {
        match self.balancing.in_flight(name).await {
            Ok(Some(count)) => count == 0,
            Ok(None) => match instance.and_then(|instance| instance.metrics) {
                Some(metrics) => self.source.in_flight(metrics).await == Some(0),
                None => false,
            },
            Err(error) => {
                self.fail(format!("ask for what {name} has in flight: {error}"));
                false
            }
        }
    }

    async fn poll(&mut self, at: Nanos, listed: Result<&[Instance], &MetricsError>) {
        let decision = match listed {
            Err(error) => self.scaler.poll(at, Err(error.clone())),
            Ok(listed) => {
                self.check_health(listed).await;
                let running: Vec<_> = listed.iter().filter(|one| self.is_measured(one)).collect();
                match self.source.usages(at, &running).await {
                    Ok(usages) => self.scaler.poll(at, Ok(&self.samples(&usages))),
                    Err(error) => {
                        self.replace().await;
                        self.scaler.poll(at, Err(error))
                    }
                }
            }
        };
        self.carry_out(decision).await;
    }

    /// Instances that serve are asked at each poll whether they still would.
    async fn check_health(&mut self, listed: &[Instance]) {
        for instance in listed {
            let Some(member) = self.members.get(&instance.slot) else { continue };
            let Stage::Serving { is_healthy: was } = member.stage else { continue };
            let is_healthy = self.fleet.health(instance.slot).await.is_passing();
            let now = self.now();
            if let Some(member) = self.members.get_mut(&instance.slot).filter(|_| was != is_healthy)
            {
                member.stage = Stage::Serving { is_healthy };
                member.readiness_changed_at = now;
            }
        }
    }

    /// Asks what is to be done about instances that died, whenever that is.
    async fn replace(&mut self) {
        let samples = self.samples(&[]);
        let decision = self.scaler.replace(self.now(), &samples);
        if decision.change != Change::None {
            self.carry_out(decision).await;
        }
    }

    fn samples(&self, usages: &[(u32, Usage)]) -> Vec<InstanceSample> {
        let sample = |(slot, member): (&u32, &Member)| InstanceSample {
            slot: *slot,
            phase: member.phase(),
            started_at: member.started_at,
            readiness_changed_at: member.readiness_changed_at,
            usage: usages.iter().find(|(of, _)| of == slot).map(|(_, usage)| *usage),
        };
        self.members.iter().map(sample).collect()
    }

    async fn carry_out(&mut self, decision: ScaleDecision) {
        let change = decision.change.clone();
        self.status.decided(&decision);
        self.hear(Happening::Decided(decision));
        match change {
            Change::None => {}
            Change::Out(slots) => {
                for slot in slots {
                    self.start(slot).await;
                }
            }
            Change::In(slots) => self.leave_all(slots).await,
        }
    }

    async fn leave_all(&mut self, slots: Vec<u32>) {
        for slot in slots {
            let Some(member) = self.members.get_mut(&slot) else { continue };
            let first = match member.stage {
                Stage::Starting => Leaving::Stop,
                Stage::Serving { .. } => Leaving::Drain,
                // Nobody waits for what was in flight at one that is dead.
                Stage::Dead => Leaving::Remove,
                Stage::Leaving(leaving) => leaving,
            };
            member.stage = Stage::Leaving(first);
            member.is_pending = true;
            self.leave(slot, first, None).await;
        }
    }

    async fn start(&mut self, slot: u32) {
        let name = self.name(slot);
        let mut result = Ok(());
        if self.members.get(&slot).is_some_and(|member| !member.is_alive()) {
            // The balancers know the dead one, and would know the new one at its old address.
            result = self.balancing.remove(&name).await.map_err(|error| error.to_string());
        }
        if result.is_ok() {
            result = self.fleet.start(slot).await.map_err(|error| error.to_string());
        }
        let now = self.now();
        match result {
            Ok(()) => {
                self.source.forget(slot);
                self.members.insert(slot, Member::starting(now, true));
            }
            Err(error) => {
                let why = format!("start {name}: {error}");
                self.scaler.acted(now, &Change::Out(vec![slot]), Err(ActionError(why.clone())));
                self.fail(why);
            }
        }
    }

    /// A step of a change failed, and is taken again after a pause that doubles.
    fn again(&mut self, slot: u32, why: String) {
        let now = self.now();
        if let Some(member) = self.members.get_mut(&slot) {
            member.wait_to_repeat(now);
        }
        self.fail(why);
    }

    fn fail(&mut self, why: String) {
        self.status.failed();
        self.hear(Happening::Failed(why));
    }

    fn hear(&mut self, happening: Happening) {
        let at = self.now();
        self.log.hear(at, &happening);
    }

    fn name(&self, slot: u32) -> String {
        format!("{}-{}", self.config.group, slot + 1)
    }

    fn show(&self) {
        let phases = self.members.values().map(Member::phase);
        self.status.show(self.scaler.desired(), phases, self.scaler.next_poll());
    }
}

#[cfg(test)]
mod tests;
