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

mod stages;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;

use super::log::{Happening, Log};
use super::member::{Member, Stage};
use super::source::Source;
use super::status::Status;
use super::{Balancing, Fleet, Instance, InstanceState};
use crate::host::clock;
use crate::policy::backoff::BackoffConfig;
use crate::policy::scale::{Change, InstanceSample, MetricsError, ScaleDecision, Scaler};
use crate::units::{Nanos, Purpose, Seed, Span};

/// How much longer than the drain its retirement may take.
const RETIRE_SLACK: Span = Span::from_secs(10);

/// Who has the instances is asked at least so often, however long that has failed.
const LONGEST_BLIND: Span = Span::from_secs(10);

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
    blind: Option<Blind>,
}

/// Nobody says which instances there are.
#[derive(Debug)]
struct Blind {
    error: MetricsError,
    /// How often in a row.
    failures: u16,
    /// Who has them is not asked again before.
    until: Nanos,
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
        let (next_step, blind) = (Nanos::ZERO, None);
        Self { config, scaler, fleet, balancing, source, log, status, members, next_step, blind }
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

    /// Which instances there are. While that cannot be said, it is asked less and less often.
    async fn list(&mut self) -> Result<Vec<Instance>, MetricsError> {
        let now = self.now();
        if let Some(blind) = self.blind.as_ref().filter(|blind| now < blind.until) {
            return Err(blind.error.clone());
        }
        match self.fleet.list().await {
            Ok(listed) => {
                self.blind = None;
                Ok(listed)
            }
            Err(error) => {
                self.fail(format!("look at the instances: {error}"));
                let error = MetricsError(error.to_string());
                let failures =
                    self.blind.as_ref().map_or(0, |blind| blind.failures).saturating_add(1);
                let backoff = self.scaler.config().backoff;
                let backoff = BackoffConfig { max: backoff.max.min(LONGEST_BLIND), ..backoff };
                // Autoscalers that lost the same daemon do not come back in step.
                let seed = Seed::new(self.config.zero.0, 0);
                let draw = seed.draw(Purpose::Scaling, u64::from(failures), 1);
                let until = self.now() + backoff.drawn(draw, failures);
                self.blind = Some(Blind { error: error.clone(), failures, until });
                Err(error)
            }
        }
    }

    /// Whether its metrics are asked for: those of an instance that starts are none yet.
    fn is_measured(&self, instance: &Instance) -> bool {
        let member = self.members.get(&instance.slot);
        instance.state == InstanceState::Running && member.is_some_and(Member::is_serving)
    }

    async fn poll(&mut self, at: Nanos, listed: Result<&[Instance], &MetricsError>) {
        let decision = match listed {
            Err(error) => self.scaler.poll(at, Err(error.clone())),
            Ok(listed) => {
                self.check_health(listed).await;
                let running: Vec<_> = listed.iter().filter(|one| self.is_measured(one)).collect();
                let readings = self.source.readings(at, &running).await;
                self.scaler.poll(at, Ok((&self.samples(), &readings)))
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
        let samples = self.samples();
        let decision = self.scaler.replace(self.now(), &samples);
        if decision.change != Change::None {
            self.carry_out(decision).await;
        }
    }

    fn samples(&self) -> Vec<InstanceSample> {
        let sample = |(slot, member): (&u32, &Member)| InstanceSample {
            slot: *slot,
            phase: member.phase(),
            started_at: member.started_at,
            readiness_changed_at: member.readiness_changed_at,
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
