//! Each instance one stage further: what is to be done next about it, and what came of that.

use super::super::log::{Happening, Log};
use super::super::member::{Leaving, Member, Stage};
use super::super::source::Source;
use super::super::{Balancing, Fleet, Health, Instance, InstanceState};
use super::Control;
use crate::policy::scale::{ActionError, Change};

impl<F: Fleet, B: Balancing, S: Source, L: Log> Control<F, B, S, L> {
    /// Takes notice of instances that came, ended, or are gone.
    pub(super) fn compare(&mut self, listed: &[Instance]) {
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
    pub(super) async fn advance(&mut self, listed: &[Instance]) {
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

    pub(super) async fn leave_all(&mut self, slots: Vec<u32>) {
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

    pub(super) async fn start(&mut self, slot: u32) {
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
}
